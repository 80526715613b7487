import { tokenCount, type Probe } from '../../src/domain/probes';
import type { Query } from '../../src/domain/query';
import type { Text } from '../../src/tasks/answer';
import type { Run } from '../../src/tasks/run';
import { seeded } from '../support/random';

const grid = [24, 24] as const;
const heads = 8;
const image = { special: ['cls'], grid };

/** Words with their probabilities, and where on the image each was seen: row, column, spread. */
const words = [
  ['a', 0.91, [12, 12, 9]],
  ['cat', 0.87, [14, 12, 3]],
  ['sitting', 0.42, [16, 12, 5]],
  ['on', 0.95, [20, 12, 5]],
  ['the', 0.33, [21, 6, 6]],
  ['grass', 0.76, [22, 3, 4]],
  ['[SEP]', 0.81, [12, 12, 9]],
] as const;

const text = { sequence: words.length };
const layer = (name: string, kind: Probe['kind'], queries: object, keys: object): Probe => ({
  ...{ value: name, layer: name, kind, heads, queries, keys },
});
const probes: readonly Probe[] = [
  ...[0, 1, 2].map((index) => layer(`vision_model.encoder.layers.${index}`, 'self', image, image)),
  ...[0, 1, 2].flatMap((index) => [
    layer(`text_decoder.bert.encoder.layer.${index}.attention`, 'causal', text, text),
    layer(`text_decoder.bert.encoder.layer.${index}.crossattention`, 'cross', text, image),
  ]),
];

const answer: Text = {
  kind: 'text',
  asks: 'prompt',
  searches: [
    {
      name: 'text',
      beams: 1,
      prompt: 1,
      texts: [
        {
          ids: [30522, ...words.map((_, index) => 1000 + index)],
          text: 'a cat sitting on the grass',
          withSpecial: '[DEC] a cat sitting on the grass [SEP]',
          tokens: words.map(([word, share], index) => ({
            id: 1000 + index,
            text: word,
            score: Math.log(share),
          })),
          ending: 'end',
        },
      ],
    },
  ],
  warnings: [],
};

/** How a captioner answered. */
export const captionerView: Pick<Run, 'task' | 'answer' | 'probes' | 'modelTitle' | 'inputSize'> = {
  task: 'caption',
  modelTitle: 'BLIP for captions around ViT-B/16',
  answer,
  probes,
  inputSize: { current: [384, 384], native: [384, 384], step: [16, 16] },
};

export const captionerRegion = { x: 0, y: 0, width: 640, height: 480 } as const;

/** Where on the grid a query looks, and how far around: that of a word where the word is. */
function hillOf(query: Query): readonly [row: number, column: number, spread: number] {
  if (query.kind === 'patch') return [query.row, query.column, 2];
  return (query.kind === 'token' ? words[query.index]?.[2] : undefined) ?? [12, 12, 8];
}

function rowOf(probe: Probe, index: number, head: number, query: Query): Float32Array {
  const random = seeded(1000 * index + head);
  const [y, x, spread] = hillOf(query);
  const first = probe.keys.special?.length ?? 0;
  const row = Float32Array.from({ length: tokenCount(probe.keys) }, (_, key) => {
    if (!probe.keys.grid || key < first) return random() ** 2;
    const [dy, dx] = [Math.floor((key - first) / grid[1]) + 0.5 - y, ((key - first) % grid[1]) + 0.5 - x];
    return Math.exp((-(dy * dy) - dx * dx) / (2 * spread * spread)) + 0.02 * random();
  });
  const sum = row.reduce((whole, value) => whole + value, 0);
  return row.map((value) => value / sum);
}

/** Layers of words have no class token, and answer the mean of their words in its place. */
const answers = ({ queries }: Probe, { kind }: Query): boolean =>
  kind === 'mean' ||
  kind === 'special' ||
  (kind === 'token' ? queries.sequence !== undefined : queries.grid !== undefined);

/** A query's weights in every layer that has it. */
export const captionerRows = (query: Query): readonly Float32Array[] =>
  probes.map((probe, index) => {
    if (!answers(probe, query)) return new Float32Array(0);
    const all = Array.from({ length: heads }, (_, head) => rowOf(probe, index, head, query));
    return Float32Array.from(all.flatMap((row) => [...row]));
  });
