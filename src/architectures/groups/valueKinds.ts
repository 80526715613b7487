import type { ConfigValue } from '../family';

/** Which values a family can compute with, and the words for them if the user's value is none. */
interface ValueKind {
  readonly is: (value: ConfigValue) => boolean;
  readonly needed: string;
}

export const positive: ValueKind = {
  is: (value) => typeof value === 'number' && value > 0,
  needed: 'a number above 0',
};

export const flag: ValueKind = {
  is: (value) => typeof value === 'boolean',
  needed: 'true or false',
};
