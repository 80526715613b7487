import { headerKey } from '../../../../src/checkpoint/header';
import assert from 'node:assert/strict';
import { WorkspaceMemory } from '../../../../src/editor/documents/memory';

const tensors = [
  { name: 'cls_token', shape: [1, 1, 192] },
  { name: 'head.weight', shape: [10, 192] },
];

/** VS Code's store of a workspace, as far as it is used. */
function createStore(): ConstructorParameters<typeof WorkspaceMemory>[0] {
  const values = new Map<string, unknown>();
  return {
    keys: () => [...values.keys()],
    get: <T>(key: string, otherwise?: T) => (values.get(key) as T | undefined) ?? otherwise,
    update: async (key: string, value: unknown) =>
      void (value === undefined ? values.delete(key) : values.set(key, value)),
  } as ConstructorParameters<typeof WorkspaceMemory>[0];
}

describe('headerKey', () => {
  it('does not depend on the order of the tensors', () => {
    assert.equal(headerKey(tensors), headerKey([...tensors].reverse()));
  });

  it('depends on names and shapes', () => {
    const [first, second] = tensors as [(typeof tensors)[0], (typeof tensors)[0]];
    const others = [
      [first],
      [first, { ...second, shape: [192, 10] }],
      [first, { ...second, name: 'fc.weight' }],
    ];
    assert.equal(new Set([tensors, ...others].map(headerKey)).size, 4);
  });
});

describe('WorkspaceMemory', () => {
  it('keeps typed hyper-parameters by header and gives them as values', async () => {
    const memory = new WorkspaceMemory(createStore());
    await memory.setAssumptions('a', { heads: '3', grid: '14,10', activation: 'gelu' });
    assert.deepEqual(memory.values('a'), { heads: 3, grid: [14, 10], activation: 'gelu' });
    assert.deepEqual(memory.values('b'), {});
  });

  it('leaves nothing behind when the last hyper-parameter is reset', async () => {
    const store = createStore();
    const memory = new WorkspaceMemory(store);
    await memory.setAssumptions('a', { heads: '3' });
    await memory.setAssumptions('a', {});
    assert.deepEqual(store.keys(), []);
  });

  it('keeps confirmed names by header, until they are forgotten', async () => {
    const store = createStore();
    const memory = new WorkspaceMemory(store);
    const mapping = [{ name: 'x', as: 'cls_token' }];
    await memory.setMapping('a', mapping);
    assert.deepEqual(memory.mapping('a'), mapping);
    assert.equal(memory.mapping('b'), undefined);
    await memory.setMapping('a', undefined);
    assert.deepEqual(store.keys(), []);
  });
});
