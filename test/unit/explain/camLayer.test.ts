import assert from 'node:assert/strict';
import type { Size } from '../../../src/domain/size';
import { usualCamLayer } from '../../../src/explain/camLayer';
import { checkpointPath, readCases } from '../../support/cases';
import { openAt } from '../../support/open';

describe('the layer that activation maps are taken at', () => {
  const wanted: readonly (readonly [id: string, path: string, grid: string, special: number])[] = [
    ['vit-timm-hub-safetensors', 'blocks.1.norm1', '6,4', 1],
    ['dinov2-registers-transformers-safetensors', 'blocks.1.norm1', '6,6', 5],
    ['deit-distilled-transformers-safetensors', 'blocks.1.norm1', '5,5', 2],
    ['vit-pytorch-one-head-pth', 'blocks.1.norm1', '4,4', 0],
    ['swin-onnx-legacy', 'norm', '8,7', 0],
    ['maxvit-rw-timm-safetensors', 'norm', '8,8', 0],
    ['resnet-d-timm-safetensors', 'layer4.0', '3,2', 0],
    ['mobilenetv2-torchvision-pth', 'the last map', '8,10', 0],
  ];
  for (const [id, path, grid, special] of wanted)
    it(`${id}: ${path}, ${grid}, never heads × tokens`, async () => {
      const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
      const imageSize: Size = golden.image_size;
      const model = await openAt(checkpointPath(golden), { assume: golden.assume, imageSize });
      const layer = usualCamLayer(model.graph({ imageSize }), imageSize);
      assert.deepEqual([layer.path, layer.grid.join(), layer.special], [path, grid, special]);
    });
});
