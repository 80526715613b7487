import { createHash } from 'node:crypto';

/** Sixteen hexadecimal digits that tell two plain values apart. */
export const hash = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
