import { openAt } from '../../support/open';
import assert from 'node:assert/strict';
import { withClassActivation } from '../../../src/graph/rewrite/classActivation';
import type { Graph } from '../../../src/graph/graph';
import { checkpointPath, readCases, sizeOfCase } from '../../support/cases';

async function graphOf(id: string): Promise<Graph> {
  const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
  const model = await openAt(checkpointPath(golden), {
    assume: golden.assume,
    imageSize: sizeOfCase(golden),
  });
  return model.graph();
}

describe('graphs with class activation maps', () => {
  it('a linear head over the mean of the last map gives a map of each of the five likeliest classes', async () => {
    const { probes, values } = withClassActivation(await graphOf('resnet-basic-timm-hub-safetensors'));
    const [{ value, ...probe }, ...others] = probes as [(typeof probes)[number]];
    assert.deepEqual(values.get(value)!.shape, [1, 1, 5, 4]);
    assert.deepEqual(others, []);
    assert.deepEqual(probe, {
      layer: 'fc',
      kind: 'activation',
      heads: 1,
      queries: { special: ['top1', 'top2', 'top3', 'top4', 'top5'] },
      keys: { special: [], grid: [2, 2] },
    });
  });

  it('gates of channels stay before them', async () => {
    const { probes } = withClassActivation(await graphOf('seresnet-timm-safetensors'));
    assert.deepEqual(
      probes.map(({ kind }) => kind),
      ['channel', 'channel', 'channel', 'channel', 'activation'],
    );
  });

  for (const [id, why] of [
    ['vit-timm-safetensors', 'a model that attends to positions'],
    ['vgg-torchvision-pth', 'hidden layers after the map'],
    ['mobilenetv3-large-timm-safetensors', 'an activation between mean and classifier'],
  ] as const)
    it(`${why} has none`, async () => {
      const graph = await graphOf(id);
      assert.equal(withClassActivation(graph), graph);
    });
});
