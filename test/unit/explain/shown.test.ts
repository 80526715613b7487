import assert from 'node:assert/strict';
import { Explained, type Values } from '../../../src/explain/explained';
import type { Explanation } from '../../../src/explain/method';
import { methods } from '../../../src/explain/methods';
import { shownOf } from '../../../src/explain/shown';
import { at } from '../../../src/domain/lists';
import { checkpointPath, readCases } from '../../support/cases';
import { openAt } from '../../support/open';

const values = (shape: readonly number[]): Values => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, at) => at),
});

describe('what of an explanation is drawn', () => {
  /** A ViT of 2 layers and so many heads. */
  async function explained(): Promise<Explained> {
    const golden = readCases().find(({ id }) => id === 'vit-timm-hub-safetensors') ?? assert.fail();
    const [height, width] = golden.image_size;
    const model = await openAt(checkpointPath(golden), { imageSize: golden.image_size });
    const graph = model.graph({ imageSize: golden.image_size });
    const run = (): never => assert.fail('nothing is run');
    return new Explained({ graph, pixels: values([1, 3, height, width]), target: 0, run });
  }

  it('curves are rows with an area, tables numbers of layers and heads; maps and others are neither', async () => {
    const one = await explained();
    const { heads } = at(one.probes, 0);
    const method = { ...at(methods, 0), name: 'effect' };
    const explanation: Explanation = {
      tensors: {
        fall: values([9]),
        plain: values([9]),
        whole: values([2, heads]),
        map: values([6, 4]),
        'effect.1': values([heads]),
        'effect.other': values([heads]),
      },
      figures: { 'fall.auc': 0.25, delta: 3 },
      picture: { grid: [6, 4], values: values([6, 4]).data, signed: false, legend: 'effect' },
    };
    const shown = shownOf(one, method, explanation);
    assert.deepEqual(
      shown.curves.map(({ name, area }) => [name, area]),
      [['fall', 0.25]],
    );
    assert.deepEqual(shown.figures, [{ name: 'delta', value: 3 }]);
    assert.deepEqual(
      shown.tables.map(({ title, rows }) => [title, rows.map(({ label }) => label)]),
      [
        ['whole', ['0', '1']],
        [method.title, ['1']],
      ],
    );
    assert.equal(shown.tensors.length, 6);
    assert.deepEqual(shown.map?.grid, [6, 4]);
  });
});
