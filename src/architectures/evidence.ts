import type { Sides } from '../domain/probes';
import type { ConfigValue, Evidence, Found, EvidenceRecord } from './family';

/** Evidence of a word is that of any word, unless the type is named: `stored<Kind>('never', …)`. */
interface Witness<Rest extends readonly unknown[]> {
  (value: string, ...rest: Rest): Evidence<string>;
  (value: number, ...rest: Rest): Evidence<number>;
  (value: boolean, ...rest: Rest): Evidence<boolean>;
  <T extends ConfigValue>(value: T, ...rest: Rest): Evidence<T>;
}

/** A hyper-parameter that the weights themselves decide. */
export const stored: Witness<[source: string]> = <T extends ConfigValue>(
  value: T,
  source: string,
): Evidence<T> => ({ value, source, assumed: false });

/** A hyper-parameter that nothing decides: shown with a warning, and the user may change it. */
export const assumed: Witness<[why: string]> = <T extends ConfigValue>(
  value: T,
  why: string,
): Evidence<T> => ({ value, source: `assumed: ${why}`, assumed: true });

/** What the user typed in; undefined if nothing. */
export function given({ assume }: Found, key: string): Evidence | undefined {
  const value = assume[key];
  return value === undefined ? undefined : { value, source: 'given by the user', assumed: false };
}

/**
 * The first evidence there is. The order is the caller's: user, config, published table,
 * assumption.
 */
export function firstOf<T extends ConfigValue>(
  otherwise: Evidence<T>,
  ...evidences: readonly (Evidence<T> | undefined)[]
): Evidence<T> {
  return evidences.find((evidence) => evidence !== undefined) ?? otherwise;
}

/** What code reads of a record of evidence: the values alone, under the same keys. */
export type ConfigOf<S> = {
  readonly [K in keyof S]: NonNullable<S[K]> extends Evidence<infer T> ? T : never;
};

/** The typed config that a record of evidence settles. */
export function configOf<S extends EvidenceRecord>(settled: S): ConfigOf<S> {
  const values = Object.entries(settled).map(([key, { value }]) => [key, value]);
  return Object.fromEntries(values) as ConfigOf<S>;
}

/** Sides `[height, width]` as people write them: one number for a square. */
export const sideOrPair = ([height, width]: readonly [number, number]): Sides =>
  height === width ? height : [height, width];

/** The numbers of a value, one or a list. */
export const numbersIn = (value: ConfigValue): readonly number[] => [value].flat().map(Number);

/**
 * A value as a pair `[vertical, horizontal]`; one number stands for both. Throws for other values.
 */
export function pairIn(value: ConfigValue, key: string): readonly [number, number] {
  const [first, second = first, ...more] = numbersIn(value);
  if (first !== undefined && second !== undefined && more.length === 0 && typeof value !== 'string')
    return [first, second];
  throw new Error(`${key}: ${JSON.stringify(value)} found, a number or two needed`);
}
