import { openAt, type SizedSettings } from '../../support/open';
import assert from 'node:assert/strict';
import type {} from '../../../src/models/model';
import { recognise } from '../../../src/architectures/recognise/recognise';
import { checkpointOf, linesFolder, readLines } from '../../oracles/lines';
import { checkpointPath, readCases } from '../../support/cases';

const open = (id: string, options: SizedSettings = {}) => {
  const golden = readCases().find((each) => each.id === id) ?? assert.fail(`no case ${id}`);
  return openAt(checkpointPath(golden), options);
};

describe('families whose weights were learned for one map', () => {
  /** Case, a size of the same map, one of another, and the size that is offered instead. */
  const rows = [
    ['levit-timm-hub-safetensors', [90, 81], [112, 96], '6 × 6 positions. The nearest size is 96 × 96'],
    ['levit-conv-timm-hub-safetensors', [39, 50], [56, 40], '5 × 7 positions. The nearest size is 40 × 56'],
    ['efficientformer-timm-safetensors', [40, 70], [64, 64], '2 × 3 positions. The nearest size is 64 × 96'],
    ['visformer-timm-hub-safetensors', undefined, [80, 96], '8 × 12 positions. The nearest size is 64 × 96'],
  ] as const;
  for (const [id, same, other, offer] of rows) {
    it(`${id} refuses ${other.join(' × ')} and names the size that fits`, async () => {
      const model = await open(id);
      assert.throws(
        () => model.graph({ imageSize: other }),
        (error: Error) =>
          error.message.includes(`image size ${other.join(' × ')}`) && error.message.includes(offer),
      );
    });
    if (same)
      it(`${id} takes ${same.join(' × ')}, which makes the same map`, async () => {
        const model = await open(id);
        assert.equal(model.graph({ imageSize: same }).probes.length, model.graph().probes.length);
      });
  }

  it('refuses a map that cannot be halved for attention and doubled again', async () => {
    const model = await open('efficientformerv2-timm-safetensors');
    assert.throws(() => model.graph({ imageSize: [64, 80] }), /4 × 6 positions. The nearest size is 64 × 96/);
  });

  it('assumes the sides of a map that is no square, and lets the user say others', async () => {
    const id = 'efficientformer-timm-safetensors';
    const resolution = (await open(id)).recognition;
    assert(resolution.family !== null);
    assert.deepEqual(
      [resolution.evidence['resolution']?.value, resolution.evidence['resolution']?.assumed],
      [[2, 3], true],
    );
    const turned = await open(id, { assume: { resolution: [3, 2] } });
    assert.deepEqual(turned.imageSize, [96, 64]);
    await assert.rejects(open(id, { assume: { resolution: [4, 2] } }), /resolution: 4 × 2 found.*make 6/);
  });

  it('believes the biases, not a config.json of another size, and needs neither', () => {
    const line = readLines(linesFolder).find(({ id }) => id === 'timm/levit_256@384')!;
    const config = { architecture: 'levit_256', pretrained_cfg: { input_size: [3, 224, 224] } };
    for (const beside of [config, undefined]) {
      const recognition = recognise(checkpointOf(line, beside));
      assert(recognition.family !== null);
      assert.deepEqual(recognition.imageSize, [384, 384]);
      assert.equal(recognition.evidence['image_size']?.assumed, false);
    }
  });
});
