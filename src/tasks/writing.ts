import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Checkpoint } from '../checkpoint/checkpoint';
import { pushAll } from '../domain/lists';
import type { Writing } from '../domain/reading';
import type { GraphSize, Model, Part } from '../models/model';
import { settleGeneration } from '../text/generation/settings';
import type { Json } from '../text/json';
import { captionStart } from '../text/prompts';
import type { Tokenizer } from '../text/tokenizers/tokenizer';
import type { Text, WrittenText } from './answer';
import type { Given } from './run';
import { outputOf, type Generation, type InputSource, type Prepared, type Step, type Written } from './task';
import { textsIn, tokenizerOf } from './words';

/** Reads token ids as text; numbers if there is no tokenizer. */
export interface TextReader {
  /** Without special tokens, as transformers' `decode` leaves them out. */
  text(ids: readonly number[]): string;
  withSpecial(ids: readonly number[]): string;
  /** Why ids are not read as text, and which file is missing. */
  readonly missing?: string;
}

const withNumbers = (missing: string): TextReader => ({
  text: (ids) => ids.join(' '),
  withSpecial: (ids) => ids.join(' '),
  missing: `${missing}; token ids are shown instead of words`,
});

/** Reads ids by the tokenizer that made them. */
export const withTokenizer = (tokenizer: Tokenizer): TextReader => ({
  text: (ids) => tokenizer.decode(ids, { skipSpecial: true }),
  withSpecial: (ids) => tokenizer.decode(ids),
});

/** The reader of a model's tokens, and its tokenizer if there is one beside the weights. */
export async function readerOf(
  model: Model,
): Promise<{ readonly reader: TextReader; readonly tokenizer?: Tokenizer }> {
  try {
    const tokenizer = await tokenizerOf(model);
    return { reader: withTokenizer(tokenizer), tokenizer };
  } catch (error) {
    return { reader: withNumbers((error as Error).message) };
  }
}

/** Bytes of a generation_config.json: published ones have a few hundred. */
const largestFile = 1e6;

/** What generation_config.json beside the weights says; undefined without one. */
export async function generationConfig({ files: [file = '.'] }: Checkpoint): Promise<Json | undefined> {
  const path = join(dirname(file), 'generation_config.json');
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return undefined;
  if (found.size > largestFile)
    throw new Error(`${path}: ${found.size} bytes found, at most ${largestFile} are read`);
  try {
    const json: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof json === 'object' && json !== null ? (json as Json) : undefined;
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** A text that is asked for by name, with the library's arguments. */
export interface AskedText {
  readonly name: string;
  readonly arguments: Json;
}

/** Texts of one image that are written for one request, each a search of its own. */
const mostTexts = 16;

/**
 * Names and arguments of the texts that are asked for; one of the model's own way without any, of
 * the name `own`.
 */
export function askedTexts(given: Given, own: string): readonly AskedText[] {
  const list = given['generation'];
  if (!Array.isArray(list) || list.length === 0) return [{ name: own, arguments: {} }];
  if (list.length > mostTexts)
    throw new Error(`generation: ${list.length} texts asked for; ${mostTexts} at most`);
  return list.map((each: unknown, index) => {
    const { name, arguments: own } = each as { readonly name?: unknown; readonly arguments?: unknown };
    return {
      name: typeof name === 'string' ? name : `text ${index + 1}`,
      arguments: typeof own === 'object' && own !== null ? (own as Json) : {},
    };
  });
}

/** What is said of settings that are asked for and that this search does not know, each once. */
export const notDone = (unsupported: readonly string[]): readonly string[] =>
  [...new Set(unsupported)].map((each) => `${each} is asked for and not done: the words may be others`);

/** How texts are begun, and how their tokens are chosen. */
export interface Generations {
  readonly generations: readonly Generation[];
  readonly warnings: readonly string[];
}

/**
 * What of config.json the library reads a decoder's settings from: all of it, or of a section that
 * alone decides the ids of tokens. Files of transformers 4 list every default there (`max_length`:
 * 20), which version 5 drops.
 */
function sectionOf(config: Json, { section }: Writing): Json {
  if (section === undefined) return config;
  const own = (config[section] as Json | undefined) ?? {};
  return Object.fromEntries(Object.entries(own).filter(([key]) => key.endsWith('_token_id')));
}

/** Settles the texts that are asked of a model. Throws if no file says what a text begins with. */
export async function generationsOf(
  model: Model,
  writing: Writing,
  given: Given,
  tokenizer: Tokenizer | undefined,
): Promise<Generations> {
  const config = (model.checkpoint.sidecars.config ?? {}) as Json;
  const own = { ...writing.defaults, ...sectionOf(config, writing) };
  const file = writing.section === undefined ? await generationConfig(model.checkpoint) : undefined;
  const end = writing.end === undefined ? undefined : own[writing.end];
  const [words = ''] = textsIn(given, 'prompt');
  const asked = askedTexts(given, 'text');
  // Of several texts those go on from the prompt that say so; all of them if none does.
  const isChosen = asked.some(({ name }) => name.includes('prompt'));
  const lacking: string[] = [];
  const generations = asked.map(({ name, arguments: own_ }) => {
    const said = { ...(end !== undefined && { eos_token_id: end }), ...own_ };
    const from = { given: said, ...(file && { file }), config: own, ...positionsOf(writing) };
    const { start } = settleGeneration({ ...from, promptLength: 1 }).settings;
    if (start === undefined)
      throw new Error(
        `${model.checkpoint.path}: no file says which token a text begins with; decoder_start_token_id or bos_token_id of generation_config.json or config.json is needed`,
      );
    const prompt = !isChosen || name.includes('prompt') ? words : '';
    if (prompt !== '' && !tokenizer)
      throw new Error('a prompt is given, and there is no tokenizer to read it');
    const ids =
      prompt === '' || !tokenizer
        ? [start]
        : captionStart({ kind: writing.prompt, tokenizer, prompt, start });
    const { settings, unsupported } = settleGeneration({ ...from, promptLength: ids.length });
    pushAll(lacking, unsupported);
    return { name, prompt: ids, settings };
  });
  return { generations, warnings: notDone(lacking) };
}

const positionsOf = ({ positions }: Writing) => (positions === undefined ? {} : { positions });

/** The part that writes, and those whose answers it looks at, in their order. */
function partsOf({ parts }: Model): readonly [writer: Part, before: readonly Part[]] {
  const writer = parts.find(({ name }) => name === 'decoder');
  if (!writer) throw new Error('the model has no decoder');
  return [writer, parts.slice(0, parts.indexOf(writer))];
}

/** Texts and tokens of given ids, as lengths of a graph. */
const lengthsOf = ({ tensors }: Prepared): Readonly<Record<string, number>> => {
  const [texts = 1, text] = tensors['input_ids']?.shape ?? [];
  return text === undefined ? {} : { texts, text };
};

/**
 * Steps that run every part in front of the decoder once, each with what is given and what earlier
 * ones answered, and the decoder for each text. The first reads the image; it runs alone if no text
 * is asked for.
 */
export function writingSteps(
  model: Model,
  size: GraphSize,
  prepared: Prepared,
  generations: readonly Generation[],
): readonly Step[] {
  const [writer, before] = partsOf(model);
  const lengths = lengthsOf(prepared);
  const answered = new Map<string, InputSource>(Object.entries(prepared.tensors));
  const isGiven = generations.length > 0;
  const steps = before.slice(0, isGiven ? before.length : 1).map((part, index): Step => {
    const { inputs, outputs } = part.graph({ ...size, lengths });
    const states = outputs.filter(({ means }) => means === 'state').map(({ name }) => name);
    const sources = inputs.map(({ name }) => [name, answered.get(name) ?? ('image' as const)] as const);
    for (const output of states) answered.set(output, { step: index, output });
    return { part: part.name, inputs: Object.fromEntries(sources), outputs: states, lengths };
  });
  if (!isGiven) return steps;
  const { inputs } = writer.graph({ ...size, lengths, pass: 'start' });
  const looked = inputs.flatMap(({ name }) => {
    const source = answered.get(name);
    return source ? [[name, source] as const] : [];
  });
  return [
    ...steps,
    ...generations.map((generation): Step => ({
      ...{ part: writer.name, outputs: [], lengths, generation },
      inputs: Object.fromEntries(looked),
    })),
  ];
}

/** Whether a part of a model writes words. */
export const writes = ({ parts }: Model): boolean =>
  parts.some(({ name, graph }) => name === 'decoder' && outputOf(graph().outputs, 'words') !== undefined);

/** The answer that texts are: those of each search, the best first. */
export function textAnswer(
  written: readonly Written[],
  {
    reader,
    warnings,
    ...said
  }: Pick<Text, 'asks' | 'question' | 'missing' | 'warnings'> & { reader: TextReader },
): Text {
  return {
    kind: 'text',
    searches: written.map(({ generation, sequences }) => ({
      name: generation.name,
      beams: generation.settings.beams,
      prompt: generation.prompt.length,
      texts: sequences.map(({ ids, tokens, score, ending }): WrittenText => ({
        ids,
        text: reader.text(ids),
        withSpecial: reader.withSpecial(ids),
        tokens: tokens.map(({ id, score: own }) => ({ id, text: reader.withSpecial([id]), score: own })),
        ending,
        ...(score !== undefined && { score }),
      })),
    })),
    asks: said.asks,
    ...(said.question !== undefined && { question: said.question }),
    ...(said.missing !== undefined && { missing: said.missing }),
    warnings: [...(reader.missing === undefined ? [] : [reader.missing]), ...warnings],
  };
}
