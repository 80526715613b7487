import type { TextGiven, TextLayer, TextPanelApi, TextPanelEvents, TextView } from '../../src/protocol/text';
import { seeded } from '../support/random';
import { failure, never, serveDemo, shownCase } from './host';

const CHECKPOINT = '/home/you/models/opus-mt-en-de/model.safetensors';
const long = shownCase === 'long';

const read = (
  long
    ? Array.from({ length: 6 }, () => 'the old man and the sea were never far apart')
    : ['the small dog sleeps under the table']
)
  .join(' ')
  .split(' ')
  .concat('</s>');
const written = (
  long
    ? Array.from({ length: 6 }, () => 'der alte Mann und das Meer waren nie weit voneinander entfernt')
    : ['der kleine Hund schläft unter dem Tisch']
)
  .join(' ')
  .split(' ')
  .concat('</s>');

const layers: readonly TextLayer[] = (['self', 'causal', 'cross'] as const).flatMap((kind) =>
  [0, 1].map((index) => ({
    layer: `model.${kind === 'self' ? 'encoder' : 'decoder'}.layers.${index}.${kind === 'cross' ? 'encoder_attn' : 'self_attn'}`,
    kind,
    heads: 4,
    queries: kind === 'self' ? read.length : written.length,
    keys: kind === 'causal' ? written.length : read.length,
  })),
);

/** A softmax around the diagonal; tokens that are written see none behind them. */
function mapOf({ kind, heads, queries, keys }: TextLayer, seed: number): Float32Array {
  const random = seeded(seed);
  const values = new Float32Array(heads * queries * keys);
  for (let line = 0; line < heads * queries; line++) {
    const row = line % queries;
    const last = kind === 'causal' ? row : keys - 1;
    const middle = (row / queries) * keys;
    let sum = 0;
    for (let key = 0; key <= last; key++)
      sum += values[line * keys + key] = Math.exp(-((key - middle) ** 2) / 2) + 0.2 * random();
    for (let key = 0; key <= last; key++) values[line * keys + key]! /= sum;
  }
  return values;
}

const view = ({ text }: TextGiven): TextView => ({
  run: 1,
  modelTitle: 'Marian, 6 + 6 layers of 512',
  source: read.map((shown, id) => ({ id, text: `▁${shown}`, shown })),
  texts: [
    {
      name: 'default',
      ids: written.map((_, id) => id),
      text: text.includes('nothing') ? '' : written.slice(0, -1).join(' '),
      textWithSpecial: written.join(' '),
      tokens: written.map((shown, id) => ({ id, text: `▁${shown}`, shown, score: -0.05 * (id % 7) })),
      ending: 'end',
    },
  ],
  layers: shownCase === 'unmapped' ? [] : layers,
  ...(shownCase === 'unmapped' && {
    noMaps: 'The text is too long: what its tokens look at is too much to keep.',
  }),
  milliseconds: 412,
  warnings: shownCase === 'long' ? ['The text was cut to 55 tokens, as many as the model reads.'] : [],
});

const waits: Readonly<Record<string, (given: TextGiven) => Promise<TextView>>> = {
  writing: () => {
    tell.written('der kleine Hund');
    return never();
  },
  error: () =>
    Promise.reject(
      failure(`${CHECKPOINT}: no tokenizer.json, nor source.spm lies beside it.`, 'unsupported'),
    ),
  untrusted: () =>
    Promise.reject(failure('This workspace is restricted: running a model needs your trust.', 'untrusted')),
};

const api: TextPanelApi = {
  open: async () => ({
    checkpoint: CHECKPOINT,
    checkpoints: [{ path: CHECKPOINT, label: 'opus-mt-en-de' }],
    ways: shownCase === 'ways' ? ways : [],
    colourMap: 'viridis',
    ...(shownCase !== '' && {
      given: {
        text: 'the small dog sleeps under the table',
        as: shownCase === 'ways' ? 'translation_en_to_de' : '',
      },
    }),
  }),
  run: async (given) => (waits[shownCase] ?? (async () => view(given)))(given),
  map: async (_, layer) => mapOf(layers[layer] ?? layers[0]!, layer),
  stop: async () => undefined,
  chooseCheckpoint: async () => undefined,
  perform: async () => undefined,
  copy: async () => undefined,
};

const ways = [
  { name: 'translation_en_to_de', prefix: 'translate English to German: ' },
  { name: 'translation_en_to_fr', prefix: 'translate English to French: ' },
  { name: 'summarization', prefix: 'summarize: ' },
];

const tell = serveDemo<TextPanelEvents>(api);
