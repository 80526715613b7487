// Checkpoints whose names say nothing: every name replaced by random words.
import type { Checkpoint } from '../../src/checkpoint/checkpoint';
import { seeded } from './random';

/** How words stand for a name: one for all of it, or one for each part between its dots. */
export type Words = 'flat' | 'dotted';

const letters = 'abcdefghijklmnopqrstuvwxyz';

/** A checkpoint with random words for names, in the file's order; the same for a seed. */
export function scrambled(checkpoint: Checkpoint, words: Words = 'flat', seed = 1): Checkpoint {
  const random = seeded(seed);
  const word = (): string =>
    Array.from({ length: 9 }, () => letters[Math.floor(random() * letters.length)]).join('');
  const known = new Map<string, string>();
  const wordFor = (part: string): string => {
    const found = known.get(part) ?? word();
    known.set(part, found);
    return found;
  };
  const named = (name: string): string =>
    words === 'flat'
      ? word()
      : name
          .split(/[./]/)
          .map((part) => (/^\d+$/.test(part) ? part : wordFor(part)))
          .join('.');
  const { selected } = checkpoint;
  const tensors = selected.tensors.map((tensor) => ({ ...tensor, name: named(tensor.name) }));
  return { ...checkpoint, selected: { ...selected, tensors } };
}
