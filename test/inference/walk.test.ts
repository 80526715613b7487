// One patch through a block: every formula is computed again here, from the case's own tensors.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import type { Walk, WalkQuestion } from '../../src/domain/explanation';
import { Explained, type Values } from '../../src/explain/explained';
import { walk, whyNoWalk } from '../../src/explain/walk';
import { at } from '../../src/domain/lists';
import { OpenedModels } from '../../src/models/openedModels';
import { graphRunner } from '../../src/useCases/explain';
import { whyInference } from '../pages/recordWhy';
import { checkpointPath, readCases } from '../support/cases';
import { processPath } from './support';

/** Float32 of sums over some dozens of numbers. */
const tolerance = 1e-5;

const near = (found: number, wanted: number, what: string): void =>
  assert.ok(
    Math.abs(found - wanted) <= tolerance * Math.max(1, Math.abs(wanted)),
    `${what}: ${found} for ${wanted}`,
  );

describe('one patch through a block', function () {
  this.timeout(120_000);
  const inference = whyInference(processPath());
  after(() => inference.dispose());

  async function tensorsOf(file: string): Promise<ReadonlyMap<string, Values>> {
    const { selected } = await openCheckpoint(file);
    const entries = selected.tensors.map(async (tensor) => {
      const data = Float32Array.from(toFloat32(await readTensor(tensor), tensor.dtype), Number);
      return [tensor.name, { shape: tensor.shape, data }] as const;
    });
    return new Map(await Promise.all(entries));
  }

  async function explainedCase(id: string) {
    const golden = readCases().find((each) => each.id === id) ?? assert.fail(id);
    const reference = await tensorsOf(join(golden.folder, 'reference.safetensors'));
    const opened = await new OpenedModels().open(checkpointPath(golden), { assume: golden.assume });
    const imageSize = golden.image_size;
    const graph = opened.model.at(imageSize).graph({ imageSize });
    const pixels = reference.get('pixel_values') ?? assert.fail('no pixels');
    const explained = new Explained({ graph, pixels, target: 0, run: graphRunner(inference, opened, {}) });
    return { golden, reference, explained };
  }

  const vectorOf = ({ steps }: Walk, name: string): Float32Array =>
    steps.flatMap(({ vectors }) => vectors).find((vector) => vector.name === name)?.values ??
    assert.fail(name);

  it('the golden ViT: weights, biases, sums and logits are the file’s and the reference’s own', async () => {
    const { golden, reference, explained } = await explainedCase('vit-timm-safetensors');
    const weights = await tensorsOf(checkpointPath(golden));
    const weight = (name: string): Values => weights.get(name) ?? assert.fail(name);
    /** W · x + b of a row, in float64. */
    const linear = (name: string, x: ArrayLike<number>): readonly number[] => {
      const { shape, data } = weight(`${name}.weight`);
      const wide = data.length / at(shape, 0);
      return Array.from({ length: at(shape, 0) }, (_, out) => {
        let sum = at(weight(`${name}.bias`).data, out);
        for (let place = 0; place < wide; place++) sum += at(data, out * wide + place) * at(x, place);
        return sum;
      });
    };
    const norm = (name: string, x: Float32Array): readonly number[] => {
      const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
      const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
      return Array.from(
        x,
        (value, place) =>
          ((value - mean) / Math.sqrt(variance + 1e-6)) * at(weight(`${name}.weight`).data, place) +
          at(weight(`${name}.bias`).data, place),
      );
    };
    const same = (found: ArrayLike<number>, wanted: ArrayLike<number>, what: string): void => {
      assert.equal(found.length, wanted.length, what);
      Array.from(wanted).forEach((value, place) => near(at(found, place), value, `${what} ${place}`));
    };
    const { heads } = at(explained.probes, 1);
    for (const head of [0, heads - 1]) {
      const question: WalkQuestion = { block: 1, head, patch: [2, 3] };
      const found = await walk(explained, question);
      const token = 1 + 2 * 6 + 3;
      const get = (name: string): Float32Array => vectorOf(found, name);
      same(get('e'), linear('patch_embed.proj', get('x')), 'embedding');
      const width = get('e').length;
      same(get('p'), weight('pos_embed').data.slice(token * width, (token + 1) * width), 'position');
      same(
        get('n'),
        norm(
          'blocks.1.norm1',
          found.steps.find(({ title }) => title === 'Norm, block 1')?.vectors[0]?.values ?? assert.fail(),
        ),
        'norm',
      );
      const d = width / heads;
      same(get('q'), linear('blocks.1.attn.qkv', get('n')).slice(head * d, (head + 1) * d), 'query');
      const map = reference.get('attention.1') ?? assert.fail('no map');
      const [queries = 0, keys = 0] = map.shape.slice(-2);
      const from = (head * queries + token) * keys;
      same(get('α'), map.data.slice(from, from + keys), 'softmax');
      near(
        get('α').reduce((sum, value) => sum + value, 0),
        1,
        'softmax sums to one',
      );
      same(get('a'), linear('blocks.1.attn.proj', get('z of all heads')), 'projection');
      same(get('z'), get('z of all heads').slice(head * d, (head + 1) * d), 'the head’s part');
      const before =
        found.steps.find(({ title }) => title === 'Norm, block 1')?.vectors[0]?.values ?? assert.fail();
      same(
        get('r'),
        before.map((value, place) => value + at(get('a'), place)),
        'residual',
      );
      same(get('m'), norm('blocks.1.norm2', get('r')), 'second norm');
      same(
        get('t′'),
        get('r').map((value, place) => value + at(get('f'), place)),
        'second residual',
      );
      const logits = reference.get('logits') ?? assert.fail('no logits');
      same(get('logits'), logits.data, 'logits');
      const sums = found.steps.flatMap(({ sum }) => (sum ? [sum] : []));
      assert.deepEqual(
        sums.map(({ what }) => what),
        ['e + p', 'q · k', 'exp(s) / Σ exp(s)', 'Σ α · v', 't + a', 'r + f'],
      );
      for (const { what, error, allowed } of sums) assert.ok(error <= allowed, `${what}: ${error}`);
    }
  });

  it('blocks without these parts say which, and places that are not there are named', async () => {
    const { explained } = await explainedCase('vit-timm-safetensors');
    await assert.rejects(walk(explained, { block: 7, head: 0, patch: [0, 0] }), /it has 3 blocks/);
    await assert.rejects(walk(explained, { block: 0, head: 99, patch: [0, 0] }), /head 99: block 0 has/);
    await assert.rejects(walk(explained, { block: 0, head: 0, patch: [4, 0] }), /the grid has 4 × 6/);
    const resnet = await explainedCase('resnet-bottleneck-timm-pth');
    assert.equal(whyNoWalk(resnet.explained, 0), 'it has no attention');
    const swin = await explainedCase('swin-timm-safetensors');
    assert.match(whyNoWalk(swin.explained, 0) ?? '', /no one residual stream/);
  });
});
