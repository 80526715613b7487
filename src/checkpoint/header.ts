import { createHash } from 'node:crypto';
import type { Tensor } from './tensors';

type Entry = Pick<Tensor, 'name' | 'shape'>;

/**
 * Returns the digest of a header as hexadecimal digits: over names and shapes of its tensors,
 * whatever their order, place and values. `between` stands between the sides of a shape.
 */
export function headerDigest(
  tensors: readonly Entry[],
  algorithm: 'sha1' | 'sha256',
  between: string,
): string {
  const lines = tensors.map(({ name, shape }) => `${name} ${shape.join(between)}`).sort();
  return createHash(algorithm).update(lines.join('\n')).digest('hex');
}

/**
 * Identifies a header. Users' assumptions are remembered under it, so that it stays as it is; the
 * table of published models has a shorter key of its own, which leaves out classifiers.
 */
export const headerKey = (tensors: readonly Entry[]): string => headerDigest(tensors, 'sha256', ',');
