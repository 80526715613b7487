import { openAt } from '../../support/open';
import assert from 'node:assert/strict';
import { layerText } from '../../../src/attention/naming';
import { withClassActivation } from '../../../src/graph/rewrite/classActivation';
import { checkpointPath, readCases } from '../../support/cases';

/** What is said of the layers of a golden case, each text once. */
async function textsOf(id: string): Promise<readonly string[]> {
  const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
  const { assume, image_size: imageSize } = golden;
  const model = await openAt(checkpointPath(golden), { assume, imageSize });
  return [...new Set(withClassActivation(model.graph()).probes.map(layerText))];
}

const expected: Readonly<Record<string, readonly string[]>> = {
  'vit-timm-safetensors': ['Multi-head self-attention, on 4 × 6'],
  'swin-timm-safetensors': [
    'Window attention, windows of 3 × 5, on 12 × 20',
    'Window attention, windows of 3 × 5 shifted by 1 × 2, on 12 × 20',
    'Window attention, windows of 3 × 5, on 6 × 10',
    'Window attention, windows of 3 × 5 shifted by 1 × 2, on 6 × 10',
  ],
  'maxvit-pm-timm-hub-safetensors': [
    'Window attention, windows of 2 × 3, on 16 × 24',
    'Window attention, 2 × 3 positions spread over the map, on 16 × 24',
    'Window attention, windows of 2 × 3, on 8 × 12',
    'Window attention, 2 × 3 positions spread over the map, on 8 × 12',
  ],
  'pvt1-original-pth': [
    'Attention over reduced keys, 2 × 3 keys for 16 × 24 queries',
    'Attention over reduced keys, 2 × 3 keys for 8 × 12 queries',
    'Attention over reduced keys, 2 × 3 keys for 4 × 6 queries',
    'Multi-head self-attention, on 2 × 3',
  ],
  'hiera-abswin-timm-safetensors': [
    'Window attention, within each of 2 × 1 mask units, on 16 × 8',
    'Window attention, within each of 2 × 1 mask units, 16 × 8 keys for 8 × 4 queries',
    'Window attention, within each of 2 × 1 mask units, 8 × 4 keys for 4 × 2 queries',
    'Multi-head self-attention, on 4 × 2',
    'Multi-head self-attention, 4 × 2 keys for 2 × 1 queries',
  ],
  'mobilevit-timm-pth': [
    'Multi-head self-attention, among positions 2 × 2 apart, on 8 × 12',
    'Multi-head self-attention, among positions 2 × 2 apart, on 4 × 6',
    'Multi-head self-attention, among positions 2 × 2 apart, on 2 × 4',
  ],
  'davit-timm-safetensors': [
    'Window attention, windows of 4 × 4, on 13 × 19',
    'Channel attention, 6 channels of each head',
    'Window attention, windows of 4 × 4, on 7 × 10',
    'Channel attention, 5 channels of each head',
  ],
  'cait-timm-safetensors': ['Multi-head self-attention, on 5 × 7', 'Class attention, on 5 × 7'],
  'nonlocal-resnet-timm-safetensors': [
    'Self-attention, on 12 × 10',
    'Self-attention, on 6 × 5',
    'Self-attention, on 3 × 3',
    'Self-attention, on 2 × 2',
  ],
  'cbam-resnet-timm-safetensors': [
    'Channel gate, 16 channels',
    'Spatial gate, 16 × 12 positions',
    'Spatial gate, 8 × 6 positions',
    'Channel gate, 24 channels',
    'Spatial gate, 4 × 3 positions',
    'Channel gate, 32 channels',
    'Spatial gate, 2 × 2 positions',
    'Class activation map: no attention, but what each of 2 × 2 positions adds to a class',
  ],
};

describe('words for a layer', () => {
  for (const [id, wanted] of Object.entries(expected))
    it(id, async () => assert.deepEqual(await textsOf(id), wanted));
});
