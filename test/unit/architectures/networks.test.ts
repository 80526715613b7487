import assert from 'node:assert/strict';
import { networksIn } from '../../../src/architectures/networks/networks';
import { viewsOf } from '../../../src/architectures/recognise/views';
import { trainingStates } from '../../../src/architectures/recognise/states';
import type { Tensor } from '../../../src/checkpoint/tensors';
import { unwrapNames } from '../../../src/checkpoint/unwrap';
import { at } from '../../../src/domain/lists';

function tensor(name: string, shape: readonly number[] = [4], start = 0): Tensor {
  const storage = { kind: 'file', file: 'a.pth', offset: 0, length: 64 } as const;
  return { name, shape, dtype: 'F32', storage, start };
}

/** A small network: a convolution, a list of two blocks and a norm. */
const network = (prefix: string, infix = ''): readonly Tensor[] => [
  tensor(`${prefix}stem.weight`, [4, 3, 2, 2]),
  ...[0, 1].flatMap((block) =>
    ['fc.weight', 'fc.bias'].map((name) => tensor(`${prefix}blocks.${block}.${infix}${name}`)),
  ),
  tensor(`${prefix}norm.weight`),
];

const names = (tensors: readonly Tensor[]): readonly string[] => tensors.map(({ name }) => name);

describe('networks of a file', () => {
  it('parts networks and their copies, the plain one before the online one', () => {
    const found = unwrapNames([...network('online_net.'), ...network('slow.'), tensor('queue')]);
    assert.deepEqual(
      found.map(({ name }) => name),
      ['slow', 'online_net', 'queue'],
    );
    assert.deepEqual(names(at(found, 0).tensors), names(network('')));
  });

  it('finds the path that holds a network, and what lies beside it', () => {
    const readings = [...networksIn([...network('a.b.'), tensor('fc.weight', [3, 4])])];
    const roots = [...at(readings, 0)].map(({ root }) => root);
    assert(roots.includes('a.b.'), roots.join());
  });

  it('leaves out what wrappers put into lists', () => {
    const [first] = networksIn(network('', '_wrapped.'));
    const [whole] = first ?? [];
    assert.deepEqual(
      whole?.members.map(({ name }) => name),
      names(network('')),
    );
  });

  it('tells states of metrics from what is learned', () => {
    const all = [tensor('val_acc.tp'), tensor('logit_scale', []), tensor('fc.weight', [3, 4])];
    const members = all.map((each) => ({ name: each.name, tensor: each, inside: true }));
    assert.deepEqual(
      [...trainingStates(members)].map(({ name }) => name),
      ['val_acc.tp'],
    );
  });

  it('tells a view of a part from a second name of the same range', () => {
    const isView = viewsOf([tensor('a')]);
    assert.equal(isView(tensor('b')), false);
    assert.equal(isView(tensor('b', [2])), true);
    assert.equal(isView({ ...tensor('b', [9]), strides: [0] }), true);
  });
});
