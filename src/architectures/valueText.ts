import type { ConfigValue } from './family';

/**
 * Reads a hyper-parameter as people type it: a number (`12`), a word (`gelu`), `true` or `false`,
 * or a comma list (`2,4` for one value per stage, or rows and columns). Throws if nothing stands
 * between commas.
 */
export function parseValue(text: string): ConfigValue {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.includes(''))
    throw new Error(`${JSON.stringify(text)}: a number, a word or a comma list is needed`);
  const numbers = parts.map(Number);
  const areNumbers = numbers.every(Number.isFinite);
  if (parts.length > 1) return areNumbers ? numbers : parts;
  if (areNumbers) return numbers[0]!;
  return parts[0] === 'true' || parts[0] === 'false' ? parts[0] === 'true' : parts[0]!;
}
