import { openAt } from '../../support/open';
import assert from 'node:assert/strict';
import type { ConfigValue } from '../../../src/architectures/family';
import type { Model } from '../../../src/models/model';
import type { Known } from '../../../src/architectures/recognise/recognise';
import { checkpointPath, readCases } from '../../support/cases';

interface Said {
  readonly assume?: Readonly<Record<string, ConfigValue>>;
  readonly imageSize?: readonly [number, number];
}

/** The model of a golden case's checkpoint, opened with other words than the case's. */
function open(id: string, said: Said = {}): Promise<Model> {
  const golden = readCases().find((each) => each.id === id);
  assert(golden, id);
  return openAt(checkpointPath(golden), said);
}

async function evidenceOf(id: string, said?: Said): Promise<Known['evidence']> {
  const { recognition } = await open(id, said);
  assert(recognition.family !== null);
  return recognition.evidence;
}

describe('rotary positions', () => {
  it('need heads of a multiple of 4 channels, and say so', async () => {
    await assert.rejects(open('eva02-tiny-timm-safetensors', { assume: { heads: 12 } }), {
      message: 'heads: 2 channels per head found; rotary positions need a multiple of 4',
    });
  });

  it('are assumed, and shown so, where no published model has these names and shapes', async () => {
    const { heads, rope, rope_indexing, rope_offset } = await evidenceOf('pe-original-pth');
    for (const each of [heads, rope, rope_indexing, rope_offset]) assert.equal(each?.assumed, true);
    assert.deepEqual([rope?.value, rope_indexing?.value, rope_offset?.value], ['axial', 'xy', 1]);
  });

  it('follow the user where he knows better than the published models', async () => {
    const assume = { rope: 'none' };
    const graph = (await open('rope-timm-hub-safetensors', { assume })).graph();
    assert(!graph.nodes.some(({ name }) => name.includes('rotation')));
    assert(![...graph.initializers.keys()].some((name) => name.includes('rotation')));
    await assert.rejects(open('rope-timm-hub-safetensors', { assume: { rope: 'spiral' } }), {
      message: 'rope: spiral found; none or axial or centred is needed',
    });
  });
});

describe('BEiT’s table of relative positions', () => {
  const id = 'beit-timm-safetensors';

  it('tells the heads, and contradicts who says others', async () => {
    assert.deepEqual((await evidenceOf(id))['heads']?.value, 3);
    await assert.rejects(open(id, { assume: { heads: 5 } }), /5 found; relative_position_bias_table has 3/);
  });

  it('tells the grid where the image size or the user does, and assumes the nearest to a square elsewhere', async () => {
    const nearest = (await evidenceOf(id))['grid'];
    assert.deepEqual([nearest?.value, nearest?.assumed], [[6, 4], true]);
    const { recognition } = await open(id);
    assert(recognition.family !== null);
    assert.match(recognition.warnings.join(), /fits several grids \(4 × 6, 6 × 4\); 6 × 4 was taken/);
    const sized = (await evidenceOf(id, { imageSize: [32, 48] }))['grid'];
    assert.deepEqual([sized?.value, sized?.assumed], [[4, 6], false]);
    const told = (await evidenceOf(id, { assume: { grid: [4, 6] } }))['image_size'];
    assert.deepEqual(told?.value, [32, 48]);
    await assert.rejects(open(id, { assume: { grid: [5, 5] } }), /5,5 found; .* fits 1 × 39, 4 × 6, 6 × 4/);
  });
});
