import assert from 'node:assert/strict';
import { checkedOf, comparisons } from '../../../src/explain/checked';
import { Explained } from '../../../src/explain/explained';
import { methods } from '../../../src/explain/methods';
import { sumsOf } from '../../../src/explain/sums';
import type { Explanation } from '../../../src/explain/method';
import { elementCount } from '../../../src/checkpoint/tensors';
import type { Graph } from '../../../src/graph/graph';
import { gradientNames } from '../../../src/graph/rewrite/backward';
import { checkpointPath, readCases } from '../../support/cases';
import { openAt } from '../../support/open';

/** A ViT whose graphs are handed over instead of being run. */
async function watched(run: (graph: Graph) => Float32Array | undefined): Promise<Explained> {
  const golden = readCases().find(({ id }) => id === 'vit-timm-safetensors') ?? assert.fail();
  const model = await openAt(checkpointPath(golden), { imageSize: golden.image_size });
  const graph = model.graph({ imageSize: golden.image_size });
  const shape = [1, 3, ...golden.image_size];
  const pixels = { shape, data: new Float32Array(elementCount(shape)) };
  return new Explained({
    graph,
    pixels,
    target: 0,
    run: async (_, asked) => {
      const data = run(asked);
      if (!data) throw new Error('not run');
      return Object.fromEntries(asked.outputs.map(({ name }) => [name, { shape: [1, data.length], data }]));
    },
  });
}

describe('what is told of checks', () => {
  it('methods that are said to be made of derivatives ask for them, the others do not', async () => {
    for (const [name, { gradient = false }] of Object.entries(comparisons)) {
      const asked: Graph[] = [];
      const explained = await watched((graph) => void asked.push(graph));
      const method = methods.find((each) => each.name === name) ?? assert.fail(name);
      await method.compute(explained, {}).catch(() => undefined);
      const first = asked[0] ?? (name === 'filter_components' || assert.fail(`${name} runs nothing`));
      const seeded =
        typeof first === 'object' && first.inputs.some((input) => input.name === gradientNames.seed(0));
      // Eigen-CAM takes its activation from the graph that gives both, a gradient says which rows
      // of a rollout are read, and curves order cells by a map that is made of some.
      const isApart = /^(cam\.eigencam|rollout|deletion|insertion|road|randomisation)$/.test(name);
      if (!isApart) assert.equal(seeded, gradient, name);
    }
  });

  it('a model of another architecture, or a graph of a file’s own, is said to be none of those compared', () => {
    assert.equal(checkedOf('gradient', 'vit')?.isOfThis, true);
    assert.equal(checkedOf('gradient', 'swin')?.isOfThis, false);
    assert.equal(checkedOf('gradient', undefined)?.isOfThis, false);
    assert.equal(checkedOf('attention_gradcam', 'resnet')?.isOfThis, false);
    assert.equal(checkedOf('fusion', 'vit'), undefined);
  });

  it('rows that do not sum to one, a sum that misses and a lens beside the answer are seen', async () => {
    const explained = await watched(() => Float32Array.of(3, 4));
    const check = async (method: string, explanation: Explanation) =>
      (await sumsOf(explained, method, explanation))[0] ?? assert.fail(method);
    const matrix = (...data: number[]) => ({ shape: [2, 2], data: Float32Array.from(data) });
    const rows = await check('rollout', { tensors: { rollout: matrix(0.5, 0.5, 0.25, 0.5) } });
    assert.deepEqual([rows.found, rows.error], [0.75, 0.25]);
    assert.ok(rows.error > rows.allowed);
    const whole = await check('rollout', { tensors: { rollout: matrix(0.5, 0.5, 0.25, 0.75) } });
    assert.equal(whole.error, 0);
    const integrated = await check('integrated_gradients', {
      tensors: { integrated_gradients: matrix(1, 2, 3, -1) },
      figures: { 'integrated_gradients.delta': 1 },
    });
    assert.deepEqual([integrated.found, integrated.wanted, integrated.error], [5, 4, 1]);
    assert.ok(integrated.error > integrated.allowed);
    const lens = await check('logit_lens', { tensors: { logit_lens: matrix(9, 9, 3.5, 4) } });
    assert.deepEqual([lens.found, lens.wanted, lens.error > lens.allowed], [3.5, 3, true]);
    assert.deepEqual(await sumsOf(explained, 'relevance', { tensors: {} }), []);
  });
});
