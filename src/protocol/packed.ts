/**
 * A large value as the bytes of its JSON. On its way to a page a message crosses several borders,
 * and at each thousands of small objects are copied one by one, where bytes are handed on whole.
 */
export interface Packed<T> {
  readonly json: Uint8Array;
  /** Never there: it carries the type alone. */
  readonly value?: T;
}

export const pack = <T>(value: T): Packed<T> => ({ json: new TextEncoder().encode(JSON.stringify(value)) });

export const unpack = <T>({ json }: Packed<T>): T => JSON.parse(new TextDecoder().decode(json)) as T;
