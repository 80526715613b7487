import { TextError } from '../errors';
import { asJson, asList, asText, needIndex, needSteps, type Json } from '../json';
import { textLimits } from '../limits';

/** A place of a template: special tokens, or one of the two texts. */
export interface TemplatePart {
  readonly text?: 'A' | 'B';
  readonly ids?: readonly number[];
  /** Token type: which of the two texts a token belongs to, for models that ask. */
  readonly type: number;
}

/** How special tokens are put around one text, and around two. */
export interface Template {
  readonly single: readonly TemplatePart[];
  readonly pair: readonly TemplatePart[];
}

const textA = { text: 'A', type: 0 } as const;

/** Two texts one after the other, the second of type 1. */
export const bareTemplate: Template = { single: [textA], pair: [textA, { text: 'B', type: 1 }] };

export const token = (id: number, type = 0): TemplatePart => ({ ids: [id], type });
export const first = (type = 0): TemplatePart => ({ text: 'A', type });
export const second = (type = 0): TemplatePart => ({ text: 'B', type });

/** `<s> A </s>` and `<s> A </s></s> B </s>`, all of type 0 (RoBERTa, CLIP). */
export const robertaTemplate = (start: number, end: number): Template => ({
  single: [token(start), first(), token(end)],
  pair: [token(start), first(), token(end), token(end), second(), token(end)],
});

/** `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, the second half of type 1. */
export const bertTemplate = (start: number, end: number): Template => ({
  single: [token(start), first(), token(end)],
  pair: [token(start), first(), token(end), second(1), token(end, 1)],
});

const templates: Readonly<Record<string, (step: Json) => Template | undefined>> = {
  ByteLevel: () => undefined,
  TemplateProcessing: (step) => {
    const ids = asJson(step['special_tokens']) ?? {};
    return { single: partsOf(step['single'], ids), pair: partsOf(step['pair'], ids) };
  },
  BertProcessing: (step) => bertTemplate(idOf(step['cls']), idOf(step['sep'])),
  RobertaProcessing: (step) => robertaTemplate(idOf(step['cls']), idOf(step['sep'])),
  Sequence: (step) =>
    needSteps(step['processors'], 'the post-processor').reduce<Template | undefined>(
      (sofar, each) => template(each) ?? sofar,
      undefined,
    ),
};

/**
 * Reads the `post_processor` of tokenizer.json; undefined for one that adds nothing. Throws
 * `TextError` for one that is unknown.
 */
export function template(step: Json | undefined): Template | undefined {
  if (step === undefined) return undefined;
  const type = asText(step['type']) ?? '';
  const read = templates[type];
  if (read === undefined)
    throw new TextError(`a post-processor of type ${JSON.stringify(type)} is not supported`);
  return read(step);
}

function partsOf(value: unknown, ids: Json): readonly TemplatePart[] {
  return needSteps(value, 'a template of special tokens').map((item) => {
    const text = asJson(item['Sequence']);
    if (text !== undefined)
      return {
        text: asText(text['id']) === 'B' ? 'B' : 'A',
        type: needIndex(text['type_id'] ?? 0, 'a token type'),
      };
    const special = asJson(item['SpecialToken']);
    const name = asText(special?.['id']) ?? '';
    const list = asList(asJson(ids[name])?.['ids']);
    if (special === undefined || list === undefined || list.length > textLimits.steps)
      throw new TextError(`a template asks for ${JSON.stringify(name)}, which it gives no ids`);
    return {
      ids: list.map((id) => needIndex(id, `the id of ${name}`)),
      type: needIndex(special['type_id'] ?? 0, 'a token type'),
    };
  });
}

/** A token of older post-processors: `[text, id]`. */
const idOf = (value: unknown): number => needIndex(asList(value)?.[1], 'the id of a special token');
