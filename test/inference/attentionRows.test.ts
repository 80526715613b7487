import { openAt } from '../support/open';
import type { AttentionRows, Method, Query } from '../../src/domain/query';
import type { AttentionBudget } from '../../src/graph/rewrite/taps';
import { fileStates } from '../../src/models/files';
import { modelRequest } from '../../src/inference/modelRequest';
import assert from 'node:assert/strict';
import * as runtime from 'onnxruntime-node';
import { keyGrid, placeRows, readingWeights, readMap } from '../../src/attention/reading';
import { isChannelMatrix, type Probe } from '../../src/domain/probes';
import type { Graph } from '../../src/graph/graph';
import { factorsOf, operatorOf } from '../../src/graph/operators';
import { producers, readBy } from '../../src/graph/order';
import { tapNames } from '../../src/graph/rewrite/tapNames';
import type { ModelRequest, TensorData } from '../../src/inference/remoteApi';
import { createSession, floats, fromRuntime, toRuntime } from '../../src/inference/sessions';
import { Tails } from '../../src/inference/tails';
import { placeWeights } from '../../src/inference/weights';
import { elementCount } from '../../src/checkpoint/tensors';
import { InferenceClient } from '../../src/inference/client';
import { LoadedModel } from '../../src/inference/loadedModel';
import { OpenedModels } from '../../src/models/openedModels';
import { resolvePreprocessing } from '../../src/preprocessing/resolve';
import { Runs } from '../../src/inference/runs';
import { checkpointPath, readCases, sizeOfCase, type Case } from '../support/cases';
import { seeded } from '../support/random';
import { processPath, sampleModel, sampleImage, silent, stepOf } from './support';

/**
 * Long sequences: maps that would not fit are answered by rows computed in the graph. Both ways
 * must say the same.
 */
describe('attention of maps that are not kept whole', () => {
  const client = new InferenceClient({ processPath: processPath(), log: silent });
  after(() => client.dispose());

  const queries: readonly Query[] = [
    { kind: 'special', name: 'cls' },
    { kind: 'patch', row: 3, column: 12 },
    { kind: 'mean' },
  ];

  async function ask(attention: AttentionBudget, method: Method): Promise<readonly AttentionRows[]> {
    const opened = await new OpenedModels().open(sampleModel, {});
    const { checkpoint, recognition } = opened.model;
    const model = modelRequest(opened, opened.model.graph(), { threads: 0, attention });
    const preprocessing = resolvePreprocessing({
      ...checkpoint,
      fileName: checkpoint.file,
      dialect: recognition.dialect,
    });
    const image = { path: sampleImage, asStored: false, preprocessing, displaySide: 0 };
    const settings = { provider: 'cpu', attention: true, step: stepOf(opened.model) };
    return client.request(async (remote) => {
      await remote.load(model, settings);
      const { run } = await remote.runImage(model.key, image, settings);
      const answers: AttentionRows[] = [];
      for (const query of queries) answers.push(await remote.attention(run, query, method));
      return answers;
    });
  }

  const close = (a: Float32Array, b: Float32Array): boolean =>
    a.length === b.length && a.every((value, index) => Math.abs(value - b[index]!) < 1e-5);

  const whole = { whole: 64e6, kept: 0 };
  /** Of rows that queries and keys make, of rows that the model makes when it runs again. */
  const others = { cut: { whole: 1000, kept: 64e6 }, rerun: { whole: 1000, kept: 0 } };

  for (const [name, budget] of Object.entries(others))
    it(`equals the rows of whole maps: ${name}`, async () => {
      const [expected, found] = [await ask(whole, 'raw'), await ask(budget, 'raw')];
      for (const [index, { rows }] of expected.entries())
        assert(
          rows.every((row, layer) => close(row, found[index]!.rows[layer]!)),
          JSON.stringify(queries[index]),
        );
    });

  it('rolls out the means of maps that are not kept', async () => {
    const [expected, found] = [await ask(whole, 'rollout'), await ask(others.cut, 'rollout')];
    for (const [index, { rows }] of expected.entries())
      assert(rows.every((row, layer) => row.length > 0 && close(row, found[index]!.rows[layer]!)));
  });

  it('goes without rollout where even the means over heads would not fit', async () => {
    const [{ rows } = assert.fail()] = await ask(others.rerun, 'rollout');
    assert(rows.every(({ length }) => length === 0));
  });
});

/** One of each kind of layers that have windows, keys of another grid, channels or gates. */
const kinds = new Set([
  'swin-small-map-timm-safetensors',
  'swin-torchvision-pth',
  'maxvit-timm-safetensors',
  'pvtv2-timm-hub-safetensors',
  'xcit-timm-hub-safetensors',
  'cbam-resnet-timm-safetensors',
  'mobilevit-timm-pth',
]);

/** Values as far back as the product of the scores, or a dozen operators. */
function operandsOf(graph: Graph, { value }: Probe): readonly string[] {
  const makers = producers(graph);
  const fixed = new Set(graph.initializers.keys());
  for (const node of graph.nodes)
    if (readBy(node).every((name) => fixed.has(name))) node.outputs.forEach((name) => fixed.add(name));
  const walk = (name: string, depth: number): readonly string[] => {
    const node = makers.get(name);
    if (fixed.has(name)) return [];
    if (!node || depth > 12) return [name];
    const factors = factorsOf(node).filter((factor) => !fixed.has(factor));
    if (operatorOf(node)?.kind === 'product' && factors.length === 2) return factors;
    return readBy(node).flatMap((input) => walk(input, depth + 1));
  };
  return [...new Set(walk(value, 0))];
}

/** Cases of which no row is made without the others, with what stands in the way. */
const withoutRows: Readonly<Record<string, string>> = {
  'mobilevitv2-cvnets-pth': 'the context scores are the last product, behind a group norm',
  'mobilevitv2-odd-transformers-safetensors': 'as above',
  'mobilevitv2-timm-pth': 'as above',
  'mobilevitv2-transformers-safetensors': 'as above',
  'deformable-detr-detect': 'places are no product of queries and keys; the maps are small',
  'deformable-detr-two-stage-detect': 'as above',
  'rt-detr-detect': 'as above',
  'mask2former-swin-segment': 'as above',
  'grounding-dino-detect': 'as above, and its masks are made of token ids',
  'eomt-gated-transformers-safetensors': 'masks of queries are padded over all tokens on the way',
  'eomt-masked-transformers-safetensors': 'as above',
  'eomt-dinov3-masked-transformers-safetensors': 'as above',
  'oneformer-plain-task-transformers-safetensors': 'masks are joined from what earlier layers found',
  'oneformer-transformers-safetensors': 'as above',
  'mvitv2-cls-timm-safetensors': 'relative positions are padded by the class token on the way',
};
/** Half-precision operators round to 11 bits, a row alone otherwise than a whole map. */
const isHalf = ({ id }: Case): boolean => id.includes('fp16');

describe('attention of all golden cases', () => {
  const queries: readonly Query[] = [
    { kind: 'patch', row: 1, column: 2, grid: [3, 4] },
    { kind: 'mean' },
    { kind: 'special', name: 'cls' },
  ];

  async function requestOf(golden: Case, attention: AttentionBudget): Promise<ModelRequest> {
    const model = await openAt(checkpointPath(golden), {
      assume: golden.assume,
      imageSize: sizeOfCase(golden),
    });
    return {
      key: golden.id,
      graph: model.graph(),
      tensors: model.checkpoint.selected.tensors,
      files: await fileStates(model.checkpoint.files),
      threads: 1,
      attention,
    };
  }

  function inputOf({ inputs }: Graph): Readonly<Record<string, TensorData>> {
    const random = seeded(3);
    const entries = inputs.map(({ name, shape, dtype }): readonly [string, TensorData] => [
      name,
      dtype === 'I64'
        ? { dtype, shape, data: new BigInt64Array(elementCount(shape)).fill(1n) }
        : { dtype: 'F32', shape, data: Float32Array.from({ length: elementCount(shape) }, random) },
    ]);
    return Object.fromEntries(entries);
  }

  /** Answers to all queries, with some of a run's attention kept. */
  async function ask(golden: Case, attention: AttentionBudget): Promise<readonly AttentionRows[]> {
    const request = await requestOf(golden, attention);
    const loaded = await LoadedModel.load(runtime, request, () => undefined);
    try {
      const runs = new Runs();
      const settings = { provider: 'cpu', attention: true };
      const outputs = request.graph.outputs.slice(0, 1).map(({ name }) => name);
      const { run } = await runs.run(loaded, settings, inputOf(request.graph), outputs);
      const answers: AttentionRows[] = [];
      for (const query of queries) answers.push(await runs.attention(run, query, 'raw'));
      return answers;
    } finally {
      await loaded.release();
    }
  }

  function assertSame(found: Float32Array, expected: Float32Array, tolerance: number, name: string): void {
    assert.equal(found.length, expected.length, name);
    const bad = expected.findIndex((weight, at) =>
      Number.isNaN(weight) ? !Number.isNaN(found[at]) : !(Math.abs(weight - found[at]!) < tolerance),
    );
    assert(bad < 0, `${name}: ${found[bad]} for ${expected[bad]}`);
  }

  for (const golden of readCases().filter(({ id, attention }) => attention.length > 0 && !withoutRows[id])) {
    it(`${golden.id}: rows made of what was kept equal those of whole maps`, async () => {
      const request = await requestOf(golden, { whole: 0, kept: 0 });
      const { graph } = request;
      const probes = graph.probes.map((probe, index) => ({ probe, index }));
      const taps = probes
        .filter(({ probe }) => !isChannelMatrix(probe))
        .map((each) => ({ ...each, kind: 'cut' as const, mean: false, keep: operandsOf(graph, each.probe) }));
      const placement = await placeWeights(graph, request.tensors);
      const kept = [...new Set(taps.flatMap(({ keep }) => keep))];
      const settings = { provider: 'cpu', threads: 1, prepack: false };
      const session = await createSession(runtime, graph, placement, {
        ...settings,
        probes: taps.map(({ index }) => index),
        kept,
      });
      const tails = new Tails(runtime, request, placement, taps);
      try {
        const feeds = Object.entries(inputOf(graph)).map(([name, tensor]) => [
          name,
          toRuntime(runtime, name, tensor),
        ]);
        const outputs = await session.run(Object.fromEntries(feeds));
        const values = Object.fromEntries(kept.map((name) => [name, fromRuntime(outputs[name]!)]));
        for (const query of queries) {
          const found = await tails.rows(values, (probe) => readingWeights(probe, query));
          for (const { probe, index } of taps) {
            const weights = readingWeights(probe, query);
            if (!weights) continue;
            const map = floats(probe.layer, outputs[tapNames.map(index)]);
            // The same operators on the same values; a row alone is added up in another order.
            assertSame(
              placeRows(found.get(index)!, probe, weights),
              readMap(map, probe, weights),
              isHalf(golden) ? 2 ** -11 : 1e-6,
              `${JSON.stringify(query)}, ${probe.layer}`,
            );
          }
        }
      } finally {
        await tails.release();
        await session.release();
        placement.close();
      }
    });

    if (kinds.has(golden.id))
      it(`${golden.id}: all ways to keep attention answer alike`, async () => {
        const { graph } = await requestOf(golden, { whole: 0, kept: 0 });
        const whole = await ask(golden, { whole: 1e9, kept: 0 });
        for (const budget of [
          { whole: 0, kept: 1e9 },
          { whole: 1, kept: 0 },
        ])
          for (const [index, { rows }] of (await ask(golden, budget)).entries())
            rows.forEach((row, layer) =>
              assertSame(row, whole[index]!.rows[layer]!, 1e-5, graph.probes[layer]!.layer),
            );
        for (const [layer, row] of whole[0]!.rows.entries()) {
          const probe = graph.probes[layer]!;
          const [height, width] = keyGrid(probe) ?? [0, 0];
          const special = probe.keys.special?.length ?? 0;
          if (row.length > 0 && height > 0)
            assert.equal(row.length, probe.heads * (special + height * width), probe.layer);
        }
        assert(whole[1]!.rows.every(({ length }) => length > 0));
      });
  }
});
