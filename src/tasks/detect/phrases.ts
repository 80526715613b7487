import type { TextsRead } from '../../domain/reading';
import { formatPercent } from '../../domain/units';
import type { Model } from '../../models/model';
import { groundingText } from '../../text/prompts';
import type { Box } from '../answer';
import type { Phrase } from '../post/detection';
import type { GivenTensor, Prepared } from '../task';
import { encodeTexts, tokenizerOf, type Prompt } from '../words';

/** One token that says nothing: the image can be run before anybody says what to find. */
const noWord: GivenTensor = { dtype: 'I64', shape: [1, 1], data: BigInt64Array.of(0n) };
const oneToken: GivenTensor = { dtype: 'I64', shape: [1, 1], data: BigInt64Array.of(1n) };

/** The first tokens of a text, as many as a model reads: it cuts the end token like any other. */
function firstTokens(tensor: GivenTensor, most: number): GivenTensor {
  const [texts = 1, text = 0] = tensor.shape;
  return text <= most ? tensor : { ...tensor, shape: [texts, most], data: tensor.data.slice(0, most) };
}

/**
 * What Grounding DINO is given: one text of all phrases. A single text stays as it is written, a
 * dot behind it at least; of several each is a phrase.
 */
export async function preparePhrases(
  model: Model,
  prompts: readonly Prompt[],
  { context }: TextsRead,
): Promise<Prepared> {
  if (prompts.length === 0) return { tensors: { input_ids: noWord, attention_mask: oneToken }, words: [] };
  const texts = prompts.map(({ text }) => text);
  const [first = ''] = texts;
  const isWritten = texts.length === 1 && first.includes('.');
  const tokenizer = await tokenizerOf(model);
  const text = isWritten ? first : groundingText(texts);
  const { ids, mask } = encodeTexts(tokenizer, [text], { most: tokenizer.maxLength ?? Infinity });
  const read = firstTokens(ids, context);
  return {
    tensors: { input_ids: read, attention_mask: firstTokens(mask, context) },
    words: prompts.map(({ label }) => label),
    decode: (places) => tokenizer.decode(places.flatMap((place) => Number(read.data[place] ?? 0))),
  };
}

/** Where labels of phrases come from. */
export const phraseSource = (threshold: number): string =>
  `the tokens of the text above ${formatPercent(threshold, 0)}`;

/** Boxes called by the tokens that they light up; those of one name are of one class. */
export function namedPhrases(phrases: readonly Phrase[], given: Prepared | undefined): readonly Box[] {
  const names = new Map<string, number>();
  return phrases.map(({ tokens, score, box, query }) => {
    const name = given?.decode?.(tokens) ?? '';
    const label = names.get(name) ?? names.size;
    names.set(name, label);
    return { label, name, score, box, query };
  });
}
