import assert from 'node:assert/strict';
import { layerOf, moduleOf } from '../../../webview/inspector/links';
import { deriveTree, findModule, holderOf, standIn } from '../../../webview/marks/treeState';
import { inspectorModel, vitrineSample } from '../../pages/vit';

const { modules, tensors, attention } = inspectorModel(vitrineSample);
const rowAt = (path: string): number => {
  const found = findModule(modules, path);
  assert.ok(found !== undefined, path);
  return found;
};
const layerAt = (path: string): string | undefined => layerOf(attention, { path });

describe('links between the views', () => {
  it('find the layer inside of a module, around it, or of its block', () => {
    assert.equal(layerAt('blocks.2.attn'), 'blocks.2');
    assert.equal(layerAt('blocks.2.attn.qkv'), 'blocks.2');
    assert.equal(layerAt('blocks.2.norm1'), 'blocks.2');
    assert.equal(layerAt('blocks'), 'blocks.0');
    assert.equal(layerAt('patch_embed.proj'), undefined);
    assert.equal(layerOf([], { path: 'blocks.2' }), undefined);
  });

  it('find the module of a layer, and take any other name as it is', () => {
    assert.equal(moduleOf(attention, 'blocks.3'), 'blocks.3.attn');
    assert.equal(moduleOf(attention, 'patch_embed'), 'patch_embed');
  });

  it('find a module by either path, and the one around what has no row', () => {
    const renamed = modules.map((row) => ({ ...row, ownPath: `vit.${row.path}` }));
    assert.equal(findModule(renamed, 'vit.blocks.3.attn'), rowAt('blocks.3.attn'));
    assert.equal(findModule(modules, 'blocks.3.attn.softmax'), rowAt('blocks.3.attn'));
    assert.equal(findModule(modules, 'no.such.thing'), undefined);
  });

  it('stand in for a member of a group by what all members share', () => {
    const member = rowAt('blocks.3.attn');
    assert.ok(modules[member]?.folded);
    const shared = modules[standIn(modules, member)];
    assert.deepEqual([shared?.path, shared?.folded], ['blocks.0.attn', false]);
    const whole = modules[standIn(modules, rowAt('blocks.3'))];
    assert.equal(whole?.kind, 'group');
    const alone = rowAt('patch_embed');
    assert.equal(standIn(modules, alone), alone);
  });

  it('find the module that holds a tensor', () => {
    const at = tensors.findIndex(({ name }) => name === 'blocks.3.attn.qkv.weight');
    assert.equal(modules[holderOf(modules, at) ?? -1]?.path, 'blocks.3.attn.qkv');
    assert.equal(holderOf(modules, -1), undefined);
  });

  it('reach every row of the tree', () => {
    const { children, roots } = deriveTree(modules);
    const reached = new Set(roots);
    for (const index of reached) {
      for (const child of children[index] ?? []) reached.add(child);
      for (const member of modules[index]?.members ?? []) reached.add(member);
    }
    assert.equal(reached.size, modules.length);
  });
});
