// Words of whole task models: what their golden cases feed, and what they generate.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { readTensor, toFloat32 } from '../../../src/checkpoint/values';
import { generate } from '../../../src/text/generation/generate';
import { settleGeneration } from '../../../src/text/generation/settings';
import type { Json } from '../../../src/text/json';
import { captionStart, encodeTexts, groundingText, promptsOf, textLayout } from '../../../src/text/prompts';
import { openTokenizer } from '../../../src/text/tokenizers/openTokenizer';
import type { Tokenizer } from '../../../src/text/tokenizers/tokenizer';
import { casesFolder, readCases, type Case } from '../../support/cases';
import { filesIn } from '../../support/tokenizerCases';

/** What a case with words has beside the keys of all cases. */
interface WordCase extends Case {
  readonly given?: {
    readonly labels?: readonly string[];
    readonly template?: string;
    readonly prompts?: readonly string[];
    readonly texts?: readonly string[];
    readonly text?: string;
    readonly question?: string;
    readonly prompt?: string | null;
  };
  readonly generation?: readonly {
    readonly name: string;
    readonly arguments: Json;
    readonly ids: string;
    readonly logits?: string;
    readonly text: readonly string[];
    readonly text_with_special: readonly string[];
  }[];
}

type Rows = readonly (readonly number[])[];

/** Tensors of the reference by name, as rows of their last axis. */
async function readRows({ folder }: Case, names: readonly string[]): Promise<ReadonlyMap<string, Rows>> {
  const { selected } = await openCheckpoint(join(folder, 'reference.safetensors'));
  const rows = new Map<string, Rows>();
  for (const tensor of selected.tensors) {
    if (!names.includes(tensor.name)) continue;
    const data = toFloat32(await readTensor(tensor), tensor.dtype);
    const width = tensor.shape.at(-1) ?? 1;
    rows.set(
      tensor.name,
      Array.from({ length: data.length / width }, (_, row) => [
        ...data.subarray(row * width, (row + 1) * width),
      ]),
    );
  }
  return rows;
}

const json = (folder: string, name: string): Json | undefined =>
  existsSync(join(folder, name)) ? (JSON.parse(readFileSync(join(folder, name), 'utf8')) as Json) : undefined;

/** The texts that a case gives its model. */
function textsOf({ given = {} }: WordCase, modelType: string): readonly string[] {
  const { labels, template, texts, text, question, prompt } = given;
  if (labels !== undefined) return promptsOf(labels, template);
  if (modelType === 'grounding-dino' && text !== undefined) return [groundingText(text)];
  return texts ?? [text ?? question ?? prompt ?? ''].filter((each) => each !== '');
}

/** Positions for text: of the text part, else of the model. */
function positionsOf(config: Json | undefined): number | undefined {
  const part = (config?.['text_config'] ?? config?.['text_cfg'] ?? config ?? {}) as Json;
  const positions = part['max_position_embeddings'] ?? part['context_length'] ?? part['max_text_len'];
  return typeof positions === 'number' ? positions : undefined;
}

async function tokenizerOf({ folder }: Case): Promise<Tokenizer> {
  const tokenizer = await openTokenizer(filesIn(folder));
  if (typeof tokenizer === 'string') throw new Error(tokenizer);
  return tokenizer;
}

/** How a captioner of a configuration begins a text; undefined for other models. */
function startOf({
  model_type: type,
  encoder,
}: Json): Parameters<typeof captionStart>[0]['kind'] | undefined {
  if (type === 'blip') return 'special';
  if (type === 'git') return 'bare';
  return (encoder as Json | undefined)?.['model_type'] === 'donut-swin' ? 'instead' : undefined;
}

describe(`words of the cases in ${casesFolder}`, () => {
  const nested = existsSync(join(casesFolder, 'cases')) ? readCases(join(casesFolder, 'cases')) : [];
  for (const golden of [...readCases(), ...nested] as readonly WordCase[]) {
    const hasWords = existsSync(join(golden.folder, 'tokenizer_config.json'));
    if (!hasWords) continue;

    if ('input_ids' in golden.inputs && golden.given !== undefined && golden.given.prompt !== null)
      it(`${golden.id}: token ids of what is given`, async () => {
        const config = json(golden.folder, 'config.json');
        const open = json(golden.folder, 'open_clip_config.json')?.['model_cfg'] as Json | undefined;
        const type = open === undefined ? String(config?.['model_type']) : 'open_clip';
        const tokenizer = await tokenizerOf(golden);
        const batch = encodeTexts(
          tokenizer,
          textsOf(golden, type),
          positionsOf(open ?? config),
          textLayout(type),
        );
        const rows = await readRows(golden, ['input_ids', 'attention_mask', 'token_type_ids']);
        assert.deepEqual(batch.ids, rows.get('input_ids'));
        if ('attention_mask' in golden.inputs) assert.deepEqual(batch.mask, rows.get('attention_mask'));
        if ('token_type_ids' in golden.inputs) assert.deepEqual(batch.typeIds, rows.get('token_type_ids'));
      });

    for (const { name, ids, logits, text, text_with_special, ...run } of golden.generation ?? []) {
      it(`${golden.id}: text of what ${name} generates`, async () => {
        const [row = []] = (await readRows(golden, [ids])).get(ids) ?? [];
        const tokenizer = await tokenizerOf(golden);
        assert.equal(tokenizer.decode(row, { skipSpecial: true }), text[0]);
        assert.equal(tokenizer.decode(row), text_with_special[0]);
      });
      if (logits === undefined) continue;
      it(`${golden.id}: tokens that ${name} chooses`, async () => {
        const rows = await readRows(golden, [ids, logits]);
        const [wanted = []] = rows.get(ids) ?? [];
        const steps = rows.get(logits) ?? [];
        const config = json(golden.folder, 'config.json') ?? {};
        const prompt = wanted.slice(0, wanted.length - steps.length);
        const { settings, unsupported } = settleGeneration({
          given: run.arguments,
          file: json(golden.folder, 'generation_config.json'),
          config,
          promptLength: prompt.length,
        });
        assert.deepEqual(unsupported, []);
        let step = 0;
        const [found] = await generate(prompt, settings, () =>
          Promise.resolve([Float32Array.from(steps[step++] ?? [])]),
        );
        assert.deepEqual(found?.ids, wanted);
        const given = name.includes('prompt') ? (golden.given?.prompt ?? undefined) : undefined;
        const isBegun = given !== undefined;
        if (config['is_encoder_decoder'] === true && !isBegun) assert.equal(settings.start, wanted[0]);
        const kind = startOf(config);
        if (kind === undefined) return;
        const start = settings.start ?? -1;
        const tokenizer = await tokenizerOf(golden);
        assert.deepEqual(captionStart({ kind, tokenizer, start, prompt: given }), prompt);
      });
    }
  }
});
