import assert from 'node:assert/strict';
import { at } from '../../../src/domain/lists';
import { check } from '../../../src/graph/check';
import { residualStream } from '../../../src/graph/find/residualStream';
import { besides, cutAt, withReplaced } from '../../../src/graph/rewrite/splice';
import { checkpointPath, readCases, sizeOfCase } from '../../support/cases';
import { openAt } from '../../support/open';
import { buildVit, vitB16 } from './vit';

const graph = buildVit({ ...vitB16, dim: 24, heads: 2, depth: 2, image: 32, classes: 5 });
const logits = at(graph.outputs, 0).value;
const norm = graph.nodes.find(({ scope }) => scope === 'norm')?.outputs[0] ?? assert.fail('no norm');

describe('values in the place of others', () => {
  const halved = withReplaced(graph, 'more', (b, value) => {
    const factor = b.input('factor', [1]);
    return new Map([[norm, b.add('Mul', [value(norm), factor])]]);
  });

  it('are read by all that read the old one, which they alone still read', () => {
    check(halved);
    const reading = halved.nodes.filter(({ inputs }) => inputs.includes(norm));
    assert.deepEqual(
      reading.map(({ op, name }) => [op, name]),
      [['Mul', 'more/Mul']],
    );
    assert.equal(halved.nodes.length, graph.nodes.length + 1);
  });

  it('become the output, if the old one was', () => {
    const other = withReplaced(
      graph,
      'more',
      (b, value) => new Map([[logits, b.add('Neg', [value(logits)])]]),
    );
    check(other);
    assert.notEqual(at(other.outputs, 0).value, logits);
  });
});

describe('the part of a graph behind a value', () => {
  it('reads the value, and what else of the image its outputs are made of', () => {
    assert.deepEqual(besides(graph, norm, [logits]), []);
    const behind = cutAt(graph, [norm]);
    assert.ok(behind.inputs.some(({ name }) => name === norm));
    assert.ok(!behind.nodes.some(({ outputs }) => outputs.includes(norm)));
    const first = residualStream(graph)?.blocks[0] ?? assert.fail('no stream');
    const others = besides(graph, first.added, [logits]);
    assert.deepEqual(others, [first.input]);
    assert.ok(cutAt(graph, [first.added, ...others]).nodes.length < graph.nodes.length);
  });
});

/** Blocks of models as exporters and families write them; whether what heads do adds up. */
const streams: Readonly<Record<string, { readonly blocks: number; readonly isLinear: boolean }>> = {
  'beit-timm-safetensors': { blocks: 2, isLinear: true },
  'clip-vision-transformers-safetensors': { blocks: 3, isLinear: true },
  'deit-distilled-onnx-dynamo': { blocks: 2, isLinear: true },
  'vit-onnx-legacy': { blocks: 2, isLinear: true },
  'vit-transformers-onnx-legacy': { blocks: 2, isLinear: true },
  // The bias of the projection is added to the stream first.
  'vit-transformers-onnx-fused': { blocks: 2, isLinear: false },
};

describe('the residual stream', () => {
  for (const [id, wanted] of Object.entries(streams))
    it(`${id}: is found by what is added to what`, async () => {
      const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
      const imageSize = sizeOfCase(golden) ?? assert.fail(id);
      const model = await openAt(checkpointPath(golden), { imageSize, assume: golden.assume });
      const stream = residualStream(model.graph({ imageSize })) ?? assert.fail('no stream');
      assert.equal(stream.blocks.length, wanted.blocks);
      for (const { heads, isLinear } of stream.blocks) {
        assert.equal(isLinear, wanted.isLinear);
        assert.equal(heads?.isDirect, true);
      }
    });

  it('is not there if tokens change on the way', async () => {
    for (const id of ['cait-timm-safetensors', 'swin-onnx-legacy', 'convnext-timm-hub-safetensors']) {
      const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
      const imageSize = sizeOfCase(golden) ?? assert.fail(id);
      const model = await openAt(checkpointPath(golden), { imageSize, assume: golden.assume });
      assert.equal(residualStream(model.graph({ imageSize })), undefined, id);
    }
  });
});
