import type { Known } from '../family';
import { namesOfWhole, wholeNamed } from '../wholes';

/** Tensors that the model around a network stores and never reads, or in training alone. */
export function idleOfWhole({ whole, translation }: Known): ReadonlySet<string> {
  const around = whole && wholeNamed(whole.name);
  if (!around?.idle || !translation) return new Set();
  const { idle } = around;
  const names = [...namesOfWhole(around, translation)];
  return new Set(names.flatMap(([name, { tensor }]) => (idle.test(name) ? [tensor.name] : [])));
}
