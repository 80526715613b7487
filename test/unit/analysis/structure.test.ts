import assert from 'node:assert/strict';
import { inspectionJson, inspectionText, inspectorModel } from '../../../src/analysis/inspection';
import { roleOf } from '../../../src/analysis/structure';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { understand, type Settings } from '../../../src/models/model';
import { scrambled } from '../../support/scrambled';

const path = 'test/fixtures/cases/vit-timm-safetensors/model.safetensors';
const opened = async (settings: Settings) => understand(scrambled(await openCheckpoint(path)), settings);

describe('what inspection says of a file whose names say nothing', () => {
  it('that it can be read by structure, and nothing more', async () => {
    const model = await opened({});
    const json = inspectionJson(model) as Record<string, unknown>;
    assert.equal(json['family'], null);
    assert.match(String(json['hint']), /--by-structure/);
    assert.match(inspectionText(model), /hint: .*--by-structure/);
    const { structure } = inspectorModel(model, { set: new Set() });
    assert.equal(structure?.confirmed, false);
    assert.equal(structure?.rows.length, model.checkpoint.selected.tensors.length);
  });

  it('each tensor with what it is read as', async () => {
    const model = await opened({ byStructure: true });
    const json = inspectionJson(model) as { mapping: { name: string; as: string }[]; warnings: string[] };
    assert.equal(json.mapping.length, model.checkpoint.selected.tensors.length);
    assert(json.mapping.some(({ as }) => as === 'blocks.2.attn.qkv.weight'));
    assert.match(json.warnings.join('\n'), /Read by structure, check/);
    assert.match(inspectionText(model), /⚠ [a-z]{9} {2}read as blocks\.0\.attn\.qkv\.weight {2}\[90, 30\]/);
    assert.equal(inspectorModel(model, { set: new Set() }).structure?.confirmed, true);
  });
});

describe('parts in words', () => {
  for (const [as, role] of [
    ['cls_token', 'class token'],
    ['pos_embed', 'positions'],
    ['patch_embed.proj.bias', 'patch embedding, bias'],
    ['blocks.3.attn.qkv.weight', 'queries, keys and values · block 3'],
    ['vit.encoder.layer.0.attention.attention.key.bias', 'keys, bias · block 0'],
    ['layers.1.blocks.0.attn.proj.weight', 'attention output · block 1.0'],
    ['blocks.0.ls1.gamma', 'layer scale · block 0'],
    ['blocks.0.norm2.weight', 'norm · block 0'],
    ['head.weight', 'head'],
    ['something', ''],
  ] as const)
    it(`${as}: ${role || 'none'}`, () => assert.equal(roleOf(as), role));
});
