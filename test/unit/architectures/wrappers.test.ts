import assert from 'node:assert/strict';
import { countParameters } from '../../../src/architectures/recognise/counts';
import { buildGraph } from '../../../src/architectures/recognise/graphs';
import { recognise } from '../../../src/architectures/recognise/recognise';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { unwrapNames } from '../../../src/checkpoint/unwrap';
import { openCheckpoint } from '../../../src/checkpoint/open';
import type { Tensor } from '../../../src/checkpoint/tensors';
import { checkpointPath, readCases, sizeOfCase, type Case } from '../../support/cases';
import { seeded } from '../../support/random';

type Random = () => number;
type Rename = (name: string) => string;

const letters = 'abcdefghijklmnopqrstuvwxyz';
const word = (random: Random): string =>
  Array.from({ length: 3 + Math.floor(8 * random()) }, () => letters[Math.floor(26 * random())]).join('');

/** One to three attributes, some of them places in a sequence: `zoqi.3.`, `net.`. */
function attributePath(random: Random): string {
  const parts = Array.from({ length: 1 + Math.floor(3 * random()) }, () =>
    random() < 0.25 ? String(Math.floor(10 * random())) : word(random),
  );
  return `${parts.join('.')}.`;
}

/** Wraps every member of numbered lists, as checkpointing and sharding do. */
const inList =
  (infix: string): Rename =>
  (name) =>
    name.replace(/\.(\d+)\.(?=[a-z])/g, `.$1.${infix}.`);

/** States of metrics as a training module keeps them beside its network. */
const states: readonly (readonly [name: string, shape: readonly number[]])[] = [
  ['train_acc.tp', [3]],
  ['val_confmat.confmat', [3, 3]],
  ['val_loss.mean_value', []],
  ['criterion.weight', [3]],
];

function wrapped(checkpoint: Checkpoint, rename: Rename, more: readonly Tensor[] = []): Checkpoint {
  const own = checkpoint.selected.tensors.map((tensor) => ({ ...tensor, name: rename(tensor.name) }));
  const [selected] = unwrapNames([...own, ...more]);
  assert(selected);
  return { ...checkpoint, selected, stateDicts: [selected] };
}

/** What must be as without the wrapper: label, sizes, counts, and the graph by its operators. */
function facts(checkpoint: Checkpoint, golden: Case): object {
  const recognition = recognise(checkpoint, { assume: golden.assume, imageSize: sizeOfCase(golden) });
  assert(recognition.family !== null, 'reason' in recognition ? recognition.reason : '');
  const { params, buffers } = countParameters(checkpoint, recognition);
  const { graph } = buildGraph(checkpoint, recognition);
  return {
    label: recognition.label,
    title: recognition.title,
    task: recognition.task,
    params,
    buffers,
    nodes: graph.nodes.map(({ op, name, inputs }) => [op, name, inputs]),
    outputs: graph.outputs,
    read: [...graph.initializers.keys()],
  };
}

/**
 * Refused, not misread, with something in their lists: what tells them lies in the lists, or beside
 * a network whose lists are told apart by it.
 */
const toldByLists: readonly string[] = ['sam2-whole-original-pth', 't5-translate', 't5-v1.1-translate'];

describe('networks in wrappers', () => {
  const cases = readCases().filter(({ format }) => format !== 'onnx');
  for (const [index, golden] of cases.entries()) {
    const random = seeded(index + 1);
    const path = attributePath(random);
    const infix = random() < 0.5 ? `_${word(random)}_module` : word(random);

    it(`${golden.id} behind ${path}`, async () => {
      const checkpoint = await openCheckpoint(checkpointPath(golden));
      const more = states.map(([name, shape]): Tensor => {
        const storage = { kind: 'inline', bytes: new Uint8Array() } as const;
        return { name, shape, dtype: 'F32', storage, start: 0 };
      });
      const found = facts(
        wrapped(checkpoint, (name) => path + name, more),
        golden,
      );
      const plain = facts(checkpoint, golden);
      const buffers = 3 + 9 + 1 + 3 + (plain as { buffers: number }).buffers;
      assert.deepEqual(found, { ...plain, buffers });
    });

    if (toldByLists.includes(golden.id)) continue;
    it(`${golden.id} with ${infix} in its lists`, async () => {
      const checkpoint = await openCheckpoint(checkpointPath(golden));
      const found = facts(wrapped(checkpoint, inList(infix)), golden);
      assert.deepEqual(found, facts(checkpoint, golden));
    });
  }
});
