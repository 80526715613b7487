import type { Family } from './family';
import * as registered from './index';

/** The families of `index.ts`, in the order of their names. */
export const families: readonly Family[] = Object.values(registered);

/** The family of this name. Throws if there is none: a dialect names it wrongly. */
export function familyNamed(name: string): Family {
  const found = families.find((family) => family.name === name);
  if (!found) throw new Error(`family ${name} found; architectures/index.ts does not list it`);
  return found;
}
