import assert from 'node:assert/strict';
import {
  deriveTree,
  keyOf,
  membersKeyOf,
  moveInTree,
  searchRows,
  typeAhead,
  visibleLines,
} from '../../../webview/marks/treeState';
import { inspectorModel, vitrineSample } from '../../pages/vit';

const { modules } = inspectorModel(vitrineSample);
const tree = deriveTree(modules);
const at = (path: string, folded = false): number =>
  modules.findIndex((row) => row.path === path && row.folded === folded);
const blocks = at('blocks');
const group = modules.findIndex((row) => row.kind === 'group');
const names = (expanded: readonly string[]): readonly string[] =>
  visibleLines(tree, new Set(expanded)).map((line) => `${' '.repeat(line.level - 1)}${line.name}`);

describe('module tree', () => {
  it('begins with the roots', () => {
    assert.deepEqual(names([]), ['patch_embed', 'cls_token', 'pos_embed', 'blocks', 'norm', 'head']);
  });

  it('shows what a group’s members have in common, and the members behind a line of their own', () => {
    assert.deepEqual(names([keyOf(blocks), keyOf(group)]).slice(4, 10), [
      ' 0 … 5',
      '  norm1',
      '  attn',
      '  norm2',
      '  mlp',
      '  6 single modules, blocks.0 … 5',
    ]);
    const single = names([keyOf(blocks), keyOf(group), membersKeyOf(group)]);
    assert.deepEqual(single.slice(9, 12), ['  6 single modules, blocks.0 … 5', '   0', '   1']);
  });

  it('counts level, place and siblings as ARIA wants them', () => {
    const lines = visibleLines(tree, new Set([keyOf(blocks), keyOf(group)]));
    const tail = lines.find((line) => line.kind === 'members');
    assert.deepEqual([tail?.level, tail?.position, tail?.siblings], [3, 5, 5]);
  });

  it('finds a module once, in the common structure, with all that it lies in', () => {
    const { shown, hits } = searchRows(tree, 'QKV', (row) => row.path);
    assert.equal(hits, 1);
    const lines = visibleLines(tree, new Set(), shown);
    assert.deepEqual(
      lines.map((line) => line.name),
      ['blocks', '0 … 5', 'attn', 'qkv'],
    );
  });

  it('finds a single member where only that matches', () => {
    const { shown } = searchRows(tree, 'blocks.3.mlp', (row) => row.path);
    const lines = visibleLines(tree, new Set(), shown);
    assert.ok(lines.some((line) => modules[line.index]?.path === 'blocks.3.mlp'));
    assert.ok(!lines.some((line) => modules[line.index]?.path === 'blocks.2'));
  });

  it('shows nothing for what is not there', () => {
    const { shown, hits } = searchRows(tree, 'relative_position', (row) => row.path);
    assert.deepEqual([shown.size, hits], [0, 0]);
  });
});

describe('keys in the module tree', () => {
  const lines = visibleLines(tree, new Set([keyOf(blocks)]));
  const keys = lines.map((line) => line.key);
  const [first, last] = [keys[0], keys.at(-1)];

  it('Home, End, arrows and pages stay inside', () => {
    assert.deepEqual(moveInTree(lines, first, 'ArrowUp', 10), { active: first });
    assert.deepEqual(moveInTree(lines, first, 'ArrowDown', 10), { active: keys[1] });
    assert.deepEqual(moveInTree(lines, first, 'PageDown', 100), { active: last });
    assert.deepEqual(moveInTree(lines, first, 'End', 10), { active: last });
    assert.deepEqual(moveInTree(lines, last, 'Home', 10), { active: first });
  });

  it('Right opens, then goes in; Left closes, then goes out', () => {
    const open = { toggle: { keys: [keyOf(group)], open: true } };
    assert.deepEqual(moveInTree(lines, keyOf(group), 'ArrowRight', 10), open);
    assert.deepEqual(moveInTree(lines, keyOf(blocks), 'ArrowRight', 10), { active: keyOf(group) });
    assert.deepEqual(moveInTree(lines, keyOf(group), 'ArrowLeft', 10), { active: keyOf(blocks) });
    const closed = { toggle: { keys: [keyOf(blocks)], open: false } };
    assert.deepEqual(moveInTree(lines, keyOf(blocks), 'ArrowLeft', 10), closed);
  });

  it('* opens all siblings', () => {
    assert.deepEqual(moveInTree(lines, keyOf(group), '*', 10), {
      toggle: { keys: [keyOf(group)], open: true },
    });
  });

  it('letters go to the next name that begins with them, wrapping around', () => {
    assert.deepEqual(typeAhead(lines, first, 'p'), { active: keyOf(at('pos_embed')) });
    assert.deepEqual(typeAhead(lines, keyOf(at('pos_embed')), 'p'), { active: first });
    assert.deepEqual(typeAhead(lines, keyOf(at('pos_embed')), 'po'), { active: keyOf(at('pos_embed')) });
    assert.equal(typeAhead(lines, first, 'zz'), undefined);
  });

  it('other keys do nothing', () => assert.equal(moveInTree(lines, first, 'F5', 10), undefined));
});
