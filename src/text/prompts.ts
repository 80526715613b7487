import { largest } from '../domain/lists';
import { TextError } from './errors';
import { textLimits } from './limits';
import type { Encoding, Tokenizer } from './tokenizers/tokenizer';
import { strip } from './tokenizers/unicode';

/** transformers' template for zero-shot classification. */
export const defaultTemplate = 'This is a photo of {}.';

/** Labels that are typed one a line: without the space around them, empty lines left out. */
export function labelsOf(lines: string): readonly string[] {
  const labels = lines
    .split(/\r\n|\r|\n/)
    .map(strip)
    .filter((label) => label !== '');
  if (labels.length > textLimits.prompts)
    throw new TextError(`${labels.length} labels; ${textLimits.prompts} are read`);
  return labels;
}

/**
 * Puts a label into a template, as Python's str.format does: `{}` or `{0}` is the label, `{{` and
 * `}}` are braces. Throws `TextError` for a template that asks for more.
 */
export function fillTemplate(template: string, label: string): string {
  return template.replace(/\{\{|\}\}|\{[^{}]*\}|[{}]/g, (found) => {
    if (found === '{{') return '{';
    if (found === '}}') return '}';
    if (found === '{}' || found === '{0}') return label;
    throw new TextError(`the template holds ${found}; only {} stands for a label`);
  });
}

/** The prompts of labels. A template without a place for them would make all prompts alike. */
export function promptsOf(labels: readonly string[], template = defaultTemplate): readonly string[] {
  if (labels.length > 1 && fillTemplate(template, 'a') === fillTemplate(template, 'b'))
    throw new TextError('the template has no {} where the labels go');
  return labels.map((label) => fillTemplate(template, label));
}

/** How the texts of a batch are made equally long. */
export interface TextLayout {
  /** To the longest of them, or to all positions, for models that attend to padding. */
  readonly padding: 'longest' | 'context';
  /** Writes single spaces between words before anything else (open_clip). */
  readonly cleansSpaces?: boolean;
}

const longest: TextLayout = { padding: 'longest' };
const context: TextLayout = { padding: 'context' };

/**
 * Layouts by `model_type`; others are padded to the longest text, which a mask hides. SigLIP reads
 * its last position, OWL's processors pad to the context, open_clip's tokenizers too.
 */
const layouts: Readonly<Record<string, TextLayout>> = {
  siglip: context,
  siglip2: context,
  owlvit: context,
  owlv2: context,
  open_clip: { padding: 'context', cleansSpaces: true },
};

export const textLayout = (modelType: string): TextLayout => layouts[modelType] ?? longest;

/** Texts as a model takes them: rows of one length. */
export interface TextBatch {
  /** `[texts][tokens]` */
  readonly ids: readonly (readonly number[])[];
  readonly mask: readonly (readonly number[])[];
  readonly typeIds?: readonly (readonly number[])[];
  /** For each text the tokens that did not fit: labels at the end of a long prompt vanish. */
  readonly cut: readonly number[];
}

/**
 * Encodes texts for a model with so many positions, padded on the right whatever the tokenizer's
 * own side, as the processors of transformers ask. Throws `TextError` if padding is needed and
 * there is no token for it.
 */
export function encodeTexts(
  tokenizer: Tokenizer,
  texts: readonly string[],
  positions: number | undefined,
  layout: TextLayout = longest,
): TextBatch {
  const most = positions ?? tokenizer.maxLength;
  const encode = (text: string, padTo?: number): Encoding =>
    tokenizer.encode(
      layout.cleansSpaces
        ? text
            .split(/\s+/)
            .filter((word) => word !== '')
            .join(' ')
        : text,
      {
        maxLength: most,
        padTo,
        padSide: 'right',
      },
    );
  const length =
    layout.padding === 'context' && most !== undefined
      ? most
      : Math.max(0, largest(texts.map((text) => encode(text).ids.length)));
  const rows = texts.map((text) => encode(text, length));
  const types = rows.map(({ typeIds }) => typeIds).filter((each) => each !== undefined);
  return {
    ids: rows.map(({ ids }) => ids),
    mask: rows.map(({ mask }) => mask),
    ...(types.length > 0 && { typeIds: types }),
    cut: rows.map(({ cut }) => cut),
  };
}

/**
 * What Grounding DINO reads: labels in lower case, a dot behind each; a text that is written out
 * stays as it is, and so does a list in which a label has a dot of its own.
 */
export function groundingText(text: string | readonly string[]): string {
  if (typeof text === 'string') return text;
  if (text.some((label) => label.includes('.'))) return text.join(' ');
  return `${text.map((label) => strip(label).toLowerCase()).join('. ')}.`;
}

/**
 * Ids of `[CLS]`, `[SEP]`, `.` and `?` in BERT's vocabulary: Grounding DINO's code has them
 * fixed.
 */
export const phraseEnds: readonly number[] = [101, 102, 1012, 1029];

/** Which tokens belong together, and where each stands in its phrase. */
export interface Phrases {
  /** `[tokens * tokens]`: 1 where a row's token attends to a column's. */
  readonly mask: Uint8Array;
  /** `[tokens]`: places counted from the start of each phrase. */
  readonly positions: readonly number[];
}

/**
 * Cuts a text into phrases at end tokens: a token sees its own phrase, its end included, and counts
 * from there (Liu et al. 2023, section 3.4). Phrases that end with the first or the last token, or
 * nowhere, are none: their tokens see themselves alone.
 */
export function phrasesOf(ids: readonly number[], ends: readonly number[] = phraseEnds): Phrases {
  const count = ids.length;
  const mask = new Uint8Array(count * count);
  const positions: number[] = [];
  const endOf: number[] = [];
  let end = count;
  for (let at = count - 1; at >= 0; at--) {
    if (ends.includes(ids[at] ?? -1)) end = at;
    endOf[at] = end;
  }
  let start = 0;
  for (let at = 0; at < count; at++) {
    const own = endOf[at] ?? count;
    const isPhrase = own !== 0 && own < count - 1;
    positions.push(isPhrase ? at - start : 0);
    for (let other = 0; other < count; other++)
      if (other === at || (isPhrase && endOf[other] === own)) mask[at * count + other] = 1;
    if (ends.includes(ids[at] ?? -1)) start = at + 1;
  }
  return { mask, positions };
}

/**
 * The label of a box of Grounding DINO: the text of the tokens whose probability is above a
 * threshold, without the first and the last place of the text.
 *
 * @param scores probabilities of the box's tokens, as many as the model has places for text.
 */
export function groundedLabel(
  tokenizer: Tokenizer,
  ids: readonly number[],
  scores: ArrayLike<number>,
  threshold: number,
): string {
  const above = ids.filter(
    (_, place) => place > 0 && place < scores.length - 1 && (scores[place] ?? 0) > threshold,
  );
  return tokenizer.decode(above);
}

/** What a captioner's decoder starts from. */
export interface CaptionStart {
  readonly kind: 'special' | 'bare' | 'instead';
  readonly tokenizer: Tokenizer;
  /** Words that the caption goes on from; none for a caption of its own. */
  readonly prompt?: string;
  /** BLIP's `bos_token_id` of its text_config: no tokenizer lists it. */
  readonly start: number;
}

/**
 * Ids that a caption is written on from. BLIP's generate puts its start token in the place of the
 * prompt's first special token and drops the last one; GIT starts from `[CLS]` and the bare prompt;
 * Donut's prompts name its task with a token that stands in the place of the start token.
 */
export function captionStart({ kind, tokenizer, prompt = '', start }: CaptionStart): readonly number[] {
  if (prompt === '') return [start];
  const plain = tokenizer.encode(prompt, { addSpecial: kind === 'special' }).ids;
  if (kind === 'instead') return plain;
  return [start, ...(kind === 'special' ? plain.slice(1, -1) : plain)];
}
