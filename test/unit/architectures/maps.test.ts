import assert from 'node:assert/strict';
import type { Maps } from '../../../src/architectures/blocks/stages';
import { familyNamed } from '../../../src/architectures/registry';
import { GraphBuilder } from '../../../src/graph/builder';
import { openModel } from '../../../src/models/openedModels';
import { checkpointPath, readCases } from '../../support/cases';

const haveStages = (maps: unknown): maps is Maps =>
  typeof maps === 'object' && maps !== null && 'stages' in maps;

/** What the backbone of a golden case's model hands to a head. */
async function mapsOf(id: string): Promise<Maps> {
  const golden = readCases().find((each) => each.id === id);
  assert(golden, id);
  const { recognition } = await openModel(checkpointPath(golden));
  assert(recognition.family !== null && recognition.translation);
  const { imageSize = assert.fail(id), config, translation, architecture } = recognition;
  const builder = new GraphBuilder(id, translation.source);
  const maps = familyNamed(architecture).build(builder, config, { imageSize, batch: 1 });
  assert(haveStages(maps), id);
  return maps;
}

type Layout = readonly [width: number, rows: number, columns: number];

/** The stages of networks that keep one grid: as many as blocks, all alike. */
const blocks = (depth: number, layout: Layout): readonly Layout[] => Array<Layout>(depth).fill(layout);

const expected: Readonly<Record<string, readonly Layout[]>> = {
  'dinov2-timm-safetensors': blocks(2, [30, 5, 4]),
  'clip-vision-transformers-safetensors': blocks(3, [48, 6, 6]),
  'siglip-timm-safetensors': blocks(2, [32, 6, 4]),
  'naflexvit-gap-timm-hub-safetensors': blocks(2, [32, 48, 48]),
  'hybrid-stem-timm-safetensors': blocks(1, [36, 4, 3]),
  'beit-timm-safetensors': blocks(2, [30, 6, 4]),
  'eva02-tiny-timm-safetensors': blocks(2, [24, 5, 5]),
  'pit-timm-safetensors': [
    [20, 7, 9],
    [40, 4, 5],
  ],
  // The branch of small patches, then that of large ones.
  'crossvit-timm-hub-safetensors': [
    [18, 5, 5],
    [24, 7, 7],
  ],
};

describe('maps of a backbone', () => {
  for (const [id, layouts] of Object.entries(expected))
    it(`of ${id} have the widths and grids of its stages`, async () => {
      const { stages } = await mapsOf(id);
      assert.deepEqual(
        stages.map(({ width, grid }) => [width, ...grid]),
        layouts,
      );
      for (const { value, width } of stages) {
        const { shape } = 'layout' in value ? value.value : value;
        assert.equal(shape[1], width);
      }
    });
});
