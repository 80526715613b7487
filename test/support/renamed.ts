// Golden checkpoints under the names of another code base.
import assert from 'node:assert/strict';
import type { Known } from '../../src/architectures/family';
import { buildGraph, recognise } from '../../src/architectures/recognise/recognise';
import type { Checkpoint } from '../../src/checkpoint/checkpoint';
import { openCheckpoint } from '../../src/checkpoint/open';
import type { Tensor } from '../../src/checkpoint/tensors';
import { checkpointPath, readCases } from './cases';

/** A name's words in a library and in another's; a list of them is applied one after the other. */
export type Row = readonly [from: RegExp, to: string | ((match: string, ...groups: string[]) => string)];

export const inWords = (rows: readonly Row[], name: string): string =>
  rows.reduce(
    (text, [from, to]) => (typeof to === 'string' ? text.replace(from, to) : text.replace(from, to)),
    name,
  );

export async function opened(id: string): Promise<Checkpoint> {
  return openCheckpoint(checkpointPath(readCases().find((each) => each.id === id) ?? assert.fail(id)));
}

export function renamed(checkpoint: Checkpoint, rename: (name: string) => string): Checkpoint {
  const tensors = checkpoint.selected.tensors.map((tensor): Tensor => ({
    ...tensor,
    name: rename(tensor.name),
  }));
  return { ...checkpoint, selected: { ...checkpoint.selected, tensors } };
}

export function known(checkpoint: Checkpoint): Known {
  const recognition = recognise(checkpoint);
  return recognition.family === null ? assert.fail(recognition.reason) : recognition;
}

/** Which tensor of the file each canonical parameter that the graph reads is. */
function read(checkpoint: Checkpoint, recognition: Known, rename: (name: string) => string) {
  const { used } = buildGraph(checkpoint, recognition);
  return [...recognition.translation!.parameters]
    .filter(([, { tensor }]) => used.has(tensor.name))
    .map(([name, { tensor, shape }]) => `${name} [${shape.join(', ')}] ${rename(tensor.name)}`)
    .toSorted();
}

/** Every canonical parameter of the graph is the same tensor under both names. */
export async function areTheSame(
  id: string,
  dialect: string,
  rename: (name: string) => string,
  without = /^$/,
): Promise<Known> {
  const { selected, ...file } = await opened(id);
  const tensors = selected.tensors.filter(({ name }) => !without.test(name));
  const timm = { ...file, selected: { ...selected, tensors } };
  const own = renamed(timm, rename);
  const [expected, found] = [known(timm), known(own)];
  assert.equal(found.dialect, dialect);
  assert.equal(found.architecture, expected.architecture);
  assert.deepEqual(
    read(own, found, (name) => name),
    read(timm, expected, rename),
  );
  return found;
}
