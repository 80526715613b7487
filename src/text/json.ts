import { TextError } from './errors';
import { textLimits } from './limits';

/** An object of a JSON file, whatever it holds. */
export type Json = Readonly<Record<string, unknown>>;

/** Reads a JSON object. Throws `TextError` naming the file. */
export function parseJson(bytes: Uint8Array, file: string): Json {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (isJson(value)) return value;
  } catch (error) {
    throw new TextError(`${file} is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  throw new TextError(`${file} holds no JSON object`);
}

export const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value if it is of a kind, else undefined: settings that are absent and null read alike. */
export const asText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
export const asNumber = (value: unknown): number | undefined =>
  typeof value === 'number' ? value : undefined;
export const asFlag = (value: unknown): boolean | undefined =>
  typeof value === 'boolean' ? value : undefined;
export const asJson = (value: unknown): Json | undefined => (isJson(value) ? value : undefined);
export const asList = (value: unknown): readonly unknown[] | undefined =>
  Array.isArray(value) ? value : undefined;

/** Returns the text, or throws `TextError` saying what lacks it. */
export function needText(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new TextError(`${what} is missing or no text`);
  return value;
}

/** Returns a whole number from 0, or throws `TextError` saying what lacks it. */
export function needIndex(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 2 ** 31)
    throw new TextError(`${what} is no whole number from 0`);
  return value;
}

/** The objects of a list of steps. Throws `TextError` for other items and for too many. */
export function needSteps(value: unknown, what: string): readonly Json[] {
  const list = asList(value);
  if (list === undefined) throw new TextError(`${what} holds no list of steps`);
  if (list.length > textLimits.steps)
    throw new TextError(`${what} holds ${list.length} steps; ${textLimits.steps} are read`);
  return list.map((item) => {
    if (!isJson(item)) throw new TextError(`${what} holds a step that is no object`);
    return item;
  });
}
