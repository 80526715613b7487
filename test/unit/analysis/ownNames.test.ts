import assert from 'node:assert/strict';
import { inspectorModel } from '../../../src/analysis/inspection';
import { withOwnNames } from '../../../src/analysis/ownNames';
import { formatCount } from '../../../src/domain/units';
import type { ModuleRow } from '../../../src/domain/report';
import type { InspectorModel } from '../../../src/protocol/inspector';
import { checkpointPath, readCases } from '../../support/cases';
import { openAt } from '../../support/open';

async function viewOf(id: string): Promise<InspectorModel> {
  const found = readCases().find((each) => each.id === id);
  assert.ok(found, id);
  const { assume, image_size: imageSize } = found;
  return inspectorModel(await openAt(checkpointPath(found), { assume, imageSize }), { set: new Set() });
}

const rowOf = ({ modules }: InspectorModel, path: string): ModuleRow => {
  const found = modules.find((row) => row.path === path && row.kind === 'module');
  assert.ok(found, path);
  return found;
};

describe('names of modules in the file', () => {
  it('are told of what transformers calls otherwise, and below the row around it', async () => {
    const view = await viewOf('vit-transformers-safetensors');
    const names = (path: string): unknown => {
      const { ownPath, ownName } = rowOf(view, path);
      return [ownPath, ownName];
    };
    assert.deepEqual(names('blocks'), ['vit.encoder.layer', 'vit.encoder.layer']);
    assert.deepEqual(names('blocks.0.attn'), ['vit.encoder.layer.0.attention', 'attention']);
    assert.deepEqual(names('blocks.1.attn.q_proj'), [
      'vit.encoder.layer.1.attention.attention.query',
      'attention.query',
    ]);
    assert.deepEqual(names('patch_embed.proj'), ['vit.embeddings.patch_embeddings.projection', 'projection']);
  });

  it('say which modules of the file one gathers, which has no path there', async () => {
    const { ownPath, ownName } = rowOf(await viewOf('vit-transformers-safetensors'), 'blocks.0.mlp');
    assert.deepEqual([ownPath, ownName], [undefined, 'intermediate + output']);
  });

  it('are every tensor’s own: each begins with the path of the module that holds it', async () => {
    const { modules, tensors } = await viewOf('swin-transformers-safetensors');
    const held = modules.filter(({ ownPath, kind }) => ownPath !== undefined && kind === 'module');
    assert.ok(held.length > 50, String(held.length));
    for (const { ownPath, tensors: own } of held)
      for (const index of own)
        assert.ok(tensors[index]?.name.startsWith(ownPath ?? ''), `${tensors[index]?.name} in ${ownPath}`);
  });

  it('leave rows alone where they are the canonical ones', async () => {
    const { modules } = await viewOf('vit-transformers-safetensors');
    assert.equal(withOwnNames(modules, [['norm.weight', 'norm.weight']]), modules);
  });
});

describe('the drawing of a file that holds more than the network', () => {
  it('names what is not run, the largest parts first, with their parameters', async () => {
    const { stations, unused, tensors } = await viewOf('mae-original-pth');
    const beside = stations.filter(({ kind }) => kind === 'beside');
    assert.deepEqual(
      beside.slice(0, 1).map(({ label }) => label),
      ['decoder_blocks'],
    );
    const names = new Set(unused);
    const decoder = tensors
      .filter(({ name, role }) => name.startsWith('decoder_blocks.') && names.has(name) && role === 'unused')
      .reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0);
    assert.equal(beside[0]?.detail, `${formatCount(decoder)} parameters, not run`);
  });

  it('draws none of a whole network', async () => {
    const { stations } = await viewOf('vit-transformers-safetensors');
    assert.ok(stations.every(({ kind }) => kind !== 'beside'));
  });
});
