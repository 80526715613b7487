import { openAt } from '../../support/open';
import assert from 'node:assert/strict';
import { reportOf } from '../../../src/analysis/report';
import { checkpointPath, readCases } from '../../support/cases';

describe('the layer that other forms are about', () => {
  const layerOf = async (id: string) => {
    const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
    const { assume, image_size: imageSize } = golden;
    return reportOf(await openAt(checkpointPath(golden), { assume, imageSize }));
  };

  it('is the costliest one, and the forms begin with its own window', async () => {
    const { layer, whatIf } = await layerOf('swinv2-timm-hub-safetensors');
    assert.equal(layer?.path, 'layers.0.blocks.0');
    const { window = 0 } = layer.own;
    assert.match(layer.form, new RegExp(`windows of ${window} × ${window}`));
    const { tokens: n, width: d } = layer;
    const own = whatIf.find(({ name }) => name === `Windows of ${window} × ${window}`);
    assert.equal(own?.macs, 4 * n * d ** 2 + 2 * n * window ** 2 * d);
  });

  it('begins with its own reduction of the keys', async () => {
    const { layer, whatIf } = await layerOf('pvtv2-timm-hub-safetensors');
    const { reduction } = layer!.own;
    assert.ok(reduction! > 1);
    assert.ok(whatIf.some(({ name }) => name === `Keys reduced by R = ${reduction}`));
  });

  it('is none where no token asks', async () => {
    const { layer, whatIf } = await layerOf('seresnet-timm-safetensors');
    assert.deepEqual([layer, whatIf], [undefined, []]);
  });
});
