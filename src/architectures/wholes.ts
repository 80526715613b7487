import type { Tensor } from '../checkpoint/tensors';
import { oncePer } from '../domain/once';
import { viewShape } from '../graph/builder';
import { asNamed, whole as wholeTensor, type Dialect, type Translated } from './dialect';
import type { Network } from './networks/networks';
import type { Standalone, WholeModel } from './whole';
import * as registered from './wholes/index';

/** The whole models of `wholes/index.ts`. */
export const wholes: readonly WholeModel[] = Object.values(registered);

/** The whole model of this name. Throws if there is none. */
export function wholeNamed(name: string): WholeModel {
  const found = wholes.find((whole) => whole.name === name);
  if (!found) throw new Error(`whole model ${name} found; architectures/wholes/index.ts does not list it`);
  return found;
}

/** Names that a whole model's rows may rename; undefined if it has none. */
const renamedBy = oncePer(({ renames = [] }: WholeModel): RegExp | undefined =>
  renames.length === 0 ? undefined : new RegExp(renames.map(([{ source }]) => `(?:${source})`).join('|')),
);

/** Names that a whole model may have: published ones have 5,000, and every kind renames them. */
const mostNames = 20_000;

/** Whether a network has the names that tell a whole model. */
export function speaksOf(whole: WholeModel, network: Network): boolean {
  if (network.members.length > mostNames) return false;
  const names = namesOfWhole(whole, network);
  return whole.signature.every((name) => names.has(name)) && !whole.absent?.some((name) => names.has(name));
}

/** The naming of a model without a backbone: as its library has it. */
export const namingOf = oncePer(({ library, buffers }: Standalone): Dialect => ({
  ...library,
  signature: [],
  renames: [asNamed],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  ...(buffers && { buffers }),
}));

const views = new WeakMap<Network, Map<string, ReadonlyMap<string, Translated>>>();

/** All tensors of a network by the names that a whole model has for them; made once for each. */
export function namesOfWhole(whole: WholeModel, network: Network): ReadonlyMap<string, Translated> {
  const kept = views.get(network) ?? new Map<string, ReadonlyMap<string, Translated>>();
  views.set(network, kept);
  const known = kept.get(whole.name);
  if (known) return known;
  const pattern = renamedBy(whole);
  const isRenamed = pattern !== undefined && network.members.some(({ name }) => pattern.test(name));
  const found = isRenamed ? renamed(network, whole, pattern) : (kept.get('') ?? asStored(network));
  if (!isRenamed) kept.set('', found);
  kept.set(whole.name, found);
  return found;
}

/** Names as they stand. Inside members come first: of two that bear one name, theirs counts. */
function asStored({ members }: Network): ReadonlyMap<string, Translated> {
  const found = new Map<string, Translated>();
  for (const { name, tensor } of members) if (!found.has(name)) found.set(name, storedAs(tensor));
  return found;
}

function renamed(
  { members }: Network,
  { renames = [] }: WholeModel,
  pattern: RegExp,
): ReadonlyMap<string, Translated> {
  const found = new Map<string, Translated>();
  const add = (name: string, known: Translated): void => {
    if (!found.has(name)) found.set(name, known);
  };
  for (const { name, tensor } of members) {
    const rows = pattern.test(name) ? renames.filter(([from]) => from.test(name)) : [];
    if (rows.length === 0) add(name, storedAs(tensor));
    for (const [from, to, layout] of rows) {
      const target = typeof to === 'string' ? name.replace(from, to) : name.replace(from, to);
      const cut = layout?.(tensor) ?? [wholeTensor(tensor)];
      for (const [index, view] of cut.entries())
        add(target.replace('*', String(index)), { shape: viewShape(view), tensor, view });
    }
  }
  return found;
}

const storedAs = (tensor: Tensor): Translated => {
  const view = wholeTensor(tensor);
  return { shape: view.stored, tensor, view };
};
