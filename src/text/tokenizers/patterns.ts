import { ReplaceNormalizer } from '@huggingface/tokenizers';
import { TextError } from '../errors';
import { asJson, asText } from '../json';

/**
 * Compiles the pattern of a step, `{ String }` or `{ Regex }`. The library turns Oniguruma's
 * syntax, which tokenizer.json is written in, into JavaScript's; it is asked for by the one
 * class that keeps what it compiled. Throws `TextError`.
 */
export function compilePattern(value: unknown, what: string): RegExp {
  const pattern = asJson(value);
  const literal = asText(pattern?.['String']);
  if (literal !== undefined) return new RegExp(literal.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&'), 'gu');
  const source = asText(pattern?.['Regex']);
  if (source === undefined) throw new TextError(`${what} has a pattern that is neither text nor expression`);
  try {
    const { pattern: compiled } = new ReplaceNormalizer({
      type: 'Replace',
      pattern: { Regex: source },
      content: '',
    }) as unknown as { readonly pattern: RegExp | null };
    if (compiled !== null) return compiled;
  } catch (error) {
    throw new TextError(`${what} has a pattern that is not understood: ${String(error)}`);
  }
  throw new TextError(`${what} has an empty pattern`);
}
