import { viewShape } from '../graph/builder';
import { whole as asStored, type Translated, type Translation } from './dialect';
import type { Network } from './networks/networks';
import type { Whole } from './whole';
import * as registered from './wholes/index';

/** The whole models of `wholes/index.ts`. */
export const wholes: readonly Whole[] = Object.values(registered);

/** The whole model of this name. Throws if there is none. */
export function wholeNamed(name: string): Whole {
  const found = wholes.find((whole) => whole.name === name);
  if (!found) throw new Error(`whole model ${name} found; architectures/wholes/index.ts does not list it`);
  return found;
}

const views = new WeakMap<Network, Map<string, ReadonlyMap<string, Translated>>>();

/** All tensors of a network by the names that a whole model has for them; made once for each. */
export function namesOfWhole(
  { name, renames = [] }: Whole,
  { network }: Translation,
): ReadonlyMap<string, Translated> {
  const kept = views.get(network) ?? new Map<string, ReadonlyMap<string, Translated>>();
  views.set(network, kept);
  const known = kept.get(renames.length === 0 ? '' : name);
  if (known) return known;
  const found = new Map<string, Translated>();
  for (const { name: stands, tensor } of network.members) {
    const rows = renames.filter(([from]) => from.test(stands));
    const named: readonly (readonly [string, Translated['view']])[] =
      rows.length === 0
        ? [[stands, asStored(tensor)]]
        : rows.flatMap(([from, to, layout]) => {
            const target = typeof to === 'string' ? stands.replace(from, to) : stands.replace(from, to);
            return (layout?.(tensor) ?? [asStored(tensor)]).map(
              (view, index) => [target.replace('*', String(index)), view] as const,
            );
          });
    // Inside members come first: of two that come to bear one name, theirs counts.
    for (const [own, view] of named)
      if (!found.has(own)) found.set(own, { shape: viewShape(view), tensor, view });
  }
  kept.set(renames.length === 0 ? '' : name, found);
  return found;
}
