import { basename } from 'node:path';
import type { Opener } from '../checkpoint/byteSource';
import type { Checkpoint } from '../checkpoint/checkpoint';
import { CheckpointError } from '../checkpoint/errors';
import { readGivenNames } from '../checkpoint/givenNames';
import { formatExact } from '../domain/units';
import { valueOf } from '../graph/graph';
import type { Model } from './model';

/** The checkpoint with the names of a file or folder before all others. */
export async function withGivenNames(
  checkpoint: Checkpoint,
  path: string,
  open: Opener,
): Promise<Checkpoint> {
  const names = await readGivenNames(path, open);
  return {
    ...checkpoint,
    classNames: [...names, ...(checkpoint.classNames ?? [])],
    beside: [...checkpoint.beside, path],
  };
}

/**
 * Throws `CheckpointError` with what was found and what is needed if names that were given fit no
 * head of the model. What cannot be run has no outputs to hold them to.
 */
export function requireFit(model: Model, path: string): Model {
  if (model.parts.length === 0) return model;
  const given = (model.checkpoint.classNames ?? []).filter((each) => each.given);
  const heads = headsOf(model);
  if (given.some(({ names }) => heads.some(({ classes }) => classes === names.length))) return model;
  const counts = [...new Set(given.map(({ names }) => formatExact(names.length)))].join(' or ');
  const needed =
    heads.length === 0
      ? 'has no classifier'
      : `needs ${heads.map(({ name, classes }) => `${formatExact(classes)}${heads.length > 1 ? ` (${name})` : ''}`).join(' or ')}`;
  const { file } = model.checkpoint;
  throw new CheckpointError('unsupported', path, `names ${counts} classes, ${basename(file)} ${needed}`);
}

/** The outputs that mean logits, and how many classes each has. */
function headsOf(model: Model): readonly { readonly name: string; readonly classes: number }[] {
  const graph = model.graph();
  return graph.outputs
    .filter(({ means }) => means === 'logits')
    .map(({ name, value }) => ({ name, classes: valueOf(graph, value).shape.at(-1) ?? 0 }));
}
