import { headerKey } from '../../../../src/checkpoint/header';
import assert from 'node:assert/strict';
import { WorkspaceMemory } from '../../../../src/editor/documents/memory';
import { createStore } from './store';

const tensors = [
  { name: 'cls_token', shape: [1, 1, 192] },
  { name: 'head.weight', shape: [10, 192] },
];

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

  it('keeps what was given to a checkpoint beside its images, and forgets it', async () => {
    const store = createStore();
    const memory = new WorkspaceMemory(store);
    await memory.setGiven('/a', { labels: ['cat', 'dog'], template: 'a {}' });
    assert.deepEqual(memory.given('/a'), { labels: ['cat', 'dog'], template: 'a {}' });
    assert.equal(memory.given('/b'), undefined);
    await memory.setGiven('/a', undefined);
    assert.deepEqual(store.keys(), []);
  });

  it('keeps what a checkpoint is for, if it is for something else than classes', async () => {
    const store = createStore();
    const memory = new WorkspaceMemory(store);
    await memory.setOtherTask('/a', 'detect');
    assert.deepEqual([memory.otherTask('/a'), memory.otherTask('/b')], ['detect', undefined]);
    await memory.setOtherTask('/a', undefined);
    assert.deepEqual([memory.otherTask('/a'), ...store.keys()], [undefined]);
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

  it('keeps what is added to a file until all of it is taken off', async () => {
    const store = createStore();
    const memory = new WorkspaceMemory(store);
    await memory.setAdded('/a.pth', { adapter: '/lora', classes: '/names.txt' });
    assert.deepEqual(memory.added('/b.pth'), {});
    await memory.setAdded('/a.pth', { ...memory.added('/a.pth'), adapter: undefined });
    assert.deepEqual(memory.added('/a.pth'), { classes: '/names.txt' });
    await memory.setAdded('/a.pth', { classes: undefined });
    assert.deepEqual(store.keys(), []);
  });
});
