import type { ModuleRow } from '../../src/domain/report';
import type { InspectorModel } from '../../src/protocol/inspector';

type Attention = InspectorModel['attention'];

/** Whether a path is that of a module or of something in it. */
export const isInside = (path: string, module: string): boolean =>
  module === '' || path === module || path.startsWith(`${module}.`);

/**
 * The layer whose attention a module shows: the first one inside of it, else the one that it is a
 * part of, else that of the block around it. Undefined if there is none below the model itself.
 */
export function layerOf(attention: Attention, { path }: Pick<ModuleRow, 'path'>): string | undefined {
  const inside = attention.find((each) => isInside(each.path, path));
  if (inside) return inside.layer;
  for (let around = path; around !== ''; around = around.split('.').slice(0, -1).join('.')) {
    const found = attention.find((each) => isInside(around, each.path) || isInside(each.path, around));
    if (found) return found.layer;
  }
  return undefined;
}

/** The module of what somebody asked for: its path, or a layer as the image panel calls it. */
export const moduleOf = (attention: Attention, asked: string): string =>
  attention.find(({ layer }) => layer === asked)?.path ?? asked;
