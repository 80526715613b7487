import type { Family, Known } from '../family';
import { familyNamed } from '../registry';
import { isStandalone } from '../whole';
import { namesOfWhole, wholeNamed } from '../wholes';

/** What builds the network of a recognised model; undefined of one without a backbone. */
export const familyOf = ({ whole, architecture }: Known): Family | undefined =>
  whole && isStandalone(wholeNamed(whole.name)) ? undefined : familyNamed(architecture);

/** Canonical names that may take no part in the pass of the network's family. */
export const idleOf = (known: Known): RegExp | undefined => familyOf(known)?.idle;

/** Tensors that the model around a network stores and never reads, or in training alone. */
export function idleOfWhole({ whole, translation }: Known): ReadonlySet<string> {
  const around = whole && wholeNamed(whole.name);
  if (!around?.idle || !translation) return new Set();
  const { idle } = around;
  const names = [...namesOfWhole(around, translation.network)];
  return new Set(names.flatMap(([name, { tensor }]) => (idle.test(name) ? [tensor.name] : [])));
}
