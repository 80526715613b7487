import { openAt } from '../../support/open';
import assert from 'node:assert/strict';
import { stations } from '../../../src/analysis/stations';
import { checkpointPath, readCases } from '../../support/cases';

/**
 * The drawing of a golden case, from the image on: `Blocks ×2 96 × 12 × 8, 2 heads
 * (stages.0.blocks)`.
 */
async function drawing(id: string): Promise<readonly string[]> {
  const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
  const { assume, image_size: imageSize } = golden;
  const model = await openAt(checkpointPath(golden), { assume, imageSize });
  return stations(model.graph())
    .slice(1)
    .map(({ label, detail, path, count = 1 }) => {
      const title = count > 1 ? `${label} ×${count}` : label;
      return `${title} ${detail}${path === '' ? '' : ` (${path})`}`;
    });
}

/**
 * What is drawn of networks whose stages, blocks and parts of blocks are numbered in other ways.
 */
const expected: Readonly<Record<string, readonly string[]>> = {
  'swin-timm-safetensors': [
    'Patches 12 × 20 patches of 4 (patch_embed)',
    'Blocks ×2 240 × 18, 2 heads (layers.0.blocks)',
    'Downsampling 60 × 36 (layers.1.downsample)',
    'Blocks ×2 60 × 36, 3 heads (layers.1.blocks)',
    'Norm 60 × 36 (norm)',
    'Mean 36',
    'Head 11 outputs (head.fc)',
  ],
  'seresnet-timm-safetensors': [
    'Stem 16 × 12 at steps of 4 (conv1)',
    'Block 8 × 16 × 12, channel gates (layer1.0)',
    'Block 12 × 8 × 6, channel gates (layer2.0)',
    'Block 16 × 4 × 3, channel gates (layer3.0)',
    'Block 24 × 2 × 2, channel gates (layer4.0)',
    'Mean 24',
    'Head 10 outputs (fc)',
  ],
  'levit-timm-hub-safetensors': [
    'Stem 6 × 6 at steps of 16 (stem)',
    'Tokens 36 × 32',
    'Block 36 × 16, 2 heads (stages.0.blocks.0)',
    'Downsampling 9 × 24, 2 heads (stages.1.downsample)',
    'Block 9 × 24, 3 heads (stages.1.blocks.0)',
    'Downsampling 4 × 32, 3 heads (stages.2.downsample)',
    'Block 4 × 32, 4 heads (stages.2.blocks.0)',
    'Mean 32',
    'Norm 32 (head.bn)',
    'Heads ×2 8 outputs (head.linear)',
  ],
  'xcit-timm-hub-safetensors': [
    'Stem 6 × 8 at steps of 8 (patch_embed.proj)',
    'Blocks ×2 48 × 32, 4 heads (blocks)',
    'Class blocks ×2 49 × 32, 4 heads (cls_attn_blocks)',
    'Norm 49 × 32 (norm)',
    'Token 32',
    'Head 10 outputs (head)',
  ],
  'mobilevit-timm-pth': [
    'Stem 32 × 48 at steps of 2 (stem.conv)',
    'Block 8 × 32 × 48 (stages.0.0)',
    'Blocks ×2 8 × 16 × 24 (stages.1)',
    'Blocks ×2 8 × 8 × 12, 4 heads (stages.2)',
    'Blocks ×2 16 × 4 × 6, 4 heads (stages.3)',
    'Blocks ×2 16 × 2 × 3, 4 heads (stages.4)',
    'Convolution 48 × 2 × 3 (final_conv.conv)',
    'Mean 48',
    'Head 8 outputs (head.fc)',
  ],
  'coat-timm-safetensors': [
    'Stem 8 × 24 at steps of 4 (patch_embed1.proj)',
    'Block 193 × 8 (serial_blocks1.0)',
    'Downsampling 49 × 16 (patch_embed2)',
    'Blocks ×2 49 × 16 (serial_blocks2)',
    'Downsampling 13 × 16 (patch_embed3)',
    'Block 13 × 16 (serial_blocks3.0)',
    'Downsampling 4 × 16 (patch_embed4)',
    'Block 4 × 16 (serial_blocks4.0)',
    'Blocks ×2 4 × 16 (parallel_blocks)',
    'Norm 49 × 16 (norm2)',
    'Token 16',
    'Head 8 outputs (head)',
  ],
  'tnt-timm-safetensors': [
    'Stem 12 × 8 at steps of 4 (pixel_embed.proj)',
    'Blocks ×2 7 × 24, 2/3 heads (blocks)',
    'Norm 7 × 24 (norm)',
    'Token 24',
    'Head 9 outputs (head)',
  ],
  'densenet-timm-safetensors': [
    'Stem 16 × 20 (features.conv0)',
    'Blocks ×2 16 × 16 × 20 (features.denseblock1)',
    'Downsampling 8 × 8 × 10 (features.transition1)',
    'Block 12 × 8 × 10 (features.denseblock2.denselayer1)',
    'Downsampling 6 × 4 × 5 (features.transition2)',
    'Blocks ×2 14 × 4 × 5 (features.denseblock3)',
    'Downsampling 7 × 2 × 2 (features.transition3)',
    'Block 11 × 2 × 2 (features.denseblock4.denselayer1)',
    'Norm 11 × 2 × 2 (features.norm5)',
    'Mean 11',
    'Head 9 outputs (classifier)',
  ],
  'vgg-torchvision-pth': [
    'Convolution 8 × 96 × 75 (features.0)',
    'Convolution 8 × 48 × 37 (features.4)',
    'Convolutions ×2 12 × 24 × 18 (features.8)',
    'Convolution 12 × 12 × 9 (features.15)',
    'Convolution 16 × 6 × 4 (features.19)',
    'Head 9 outputs (head.fc)',
  ],
  'pe-core-timm-hub-safetensors': [
    'Patches 4 × 6 patches of 8 (patch_embed)',
    'Tokens 25 × 32',
    'Blocks ×2 25 × 32, 4 heads (blocks)',
    'Norm 25 × 32 (norm)',
    'Attention pooling 8 heads (attn_pool)',
    'Head 8 outputs (head)',
  ],
};

describe('the drawing of the whole', () => {
  for (const [id, wanted] of Object.entries(expected))
    it(id, async () => assert.deepEqual(await drawing(id), wanted));
});
