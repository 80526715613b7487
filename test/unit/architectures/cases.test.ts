import { openAt } from '../../support/open';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { countAllMacs } from '../../../src/analysis/complexity';
import { openCheckpoint } from '../../../src/checkpoint/open';
import type { Probe, TokenLayout } from '../../../src/domain/probes';
import type { Graph } from '../../../src/graph/graph';
import { settledBy } from '../../../src/inference/allParts';
import { graphsOfParts, type Model } from '../../../src/models/model';
import { elementCount } from '../../../src/checkpoint/tensors';
import { rowOf } from '../../oracles/lines';
import { checkpointPath, readCases, sizeOfCase, type Case, type CaseAttention } from '../../support/cases';

/** Elements of the tensors that the graph reads. */
function readElements({ checkpoint, counts }: Model): number {
  return checkpoint.selected.tensors
    .filter(({ name }) => counts.roles.get(name) === 'parameter')
    .reduce((total, { shape }) => total + elementCount(shape), 0);
}

/**
 * Cases that count a twin of the model in timm, which leaves out what lies beside it in the file (a
 * decoder, a text tower, a mask token). The number: parameters of the twin that the file has not (a
 * bias of zeros), less those only the file has (the class token's row of the position table, which
 * timm folds into the class token where there are registers).
 */
const twins: Readonly<Record<string, number>> = {
  'mae-original-pth': 0,
  'openclip-timm-trunk-safetensors': 12,
  'dinov2-original-pth': 0,
  'dinov2-reg4-original-pth': -24,
};

/**
 * What a case says otherwise: timm's names of CLIP's and SigLIP's towers are those of any ViT,
 * SegFormer's encoder has PVT v2's without its head, SimMIM's file has no classifier; channels of a
 * bottleneck before they are widened; transformers' default for classes that its PVT does not have.
 */
const otherwise: Readonly<Record<string, readonly string[]>> = {
  'clip-vit-timm-safetensors': ['family'],
  'clip-vit-timm-hub-safetensors': ['family'],
  'siglip-gap-timm-hub-safetensors': ['family'],
  'siglip-timm-safetensors': ['family'],
  'segformer-original-pth': ['family'],
  'swin-simmim-transformers-safetensors': ['classes'],
  'crossvit-timm-hub-safetensors': ['depth'],
  'pvt-transformers-safetensors': ['classes'],
  'resnet-bottleneck-timm-pth': ['dim'],
};

/** Other stored elements that a case does not count: the optimizer's step beside the weights. */
const beside: Readonly<Record<string, number>> = { 'vit-jax-compressed-npz': 1 };

function params(golden: Case, model: Model): number {
  const more = twins[golden.id];
  return more === undefined ? model.counts.params : readElements(model) + more;
}

/**
 * Layers that a case names otherwise. Some exports name the module they wrapped, and the case its
 * twin in transformers; parameters of Conditional DETR's maps stand beside their modules.
 */
const layerNames: readonly (readonly [id: RegExp, kind: RegExp, named: RegExp, ours: string])[] = [
  [/^vit-transformers-onnx/, /./, /^vit\.layer\./, 'm.vit.layers.'],
  [/^conditional-detr-detect/, /cross/, /(\.decoder\.layers\.\d+)$/, '$1.encoder_attn'],
];

function layerOf({ id }: Case, { layer, kind }: CaseAttention): string {
  const row = layerNames.find(([of, kinds]) => of.test(id) && kinds.test(kind));
  return row ? layer.replace(row[2], row[3]) : layer;
}

/**
 * Cases name a layer by what its parameters begin with, some with the module inside that computes
 * the map (`attention.self`) and some without: one is the other's beginning.
 */
function sameLayer(found: string, expected: string): string {
  const [short, long] = found.length < expected.length ? [found, expected] : [expected, found];
  return long.startsWith(`${short}.attention`) || long.startsWith(`${short}.self`) ? expected : found;
}

/**
 * Segmenters over Swin whose records clip the last window to its map; their own reference maps have
 * the whole window, as transformers' backbones never clip it.
 */
const neverClipped = [
  'upernet-swin-segment',
  'maskformer-swin-segment',
  'mask2former-swin-segment',
  'grounding-dino-detect',
];

/**
 * Tokens of one window: cases of transformers' Swin and ViTDet write no map in `window`, and the
 * map in place of the window's own grid.
 */
function layoutOf(golden: Case, { window }: CaseAttention, layout: unknown): unknown {
  const inMap = window && /^size,shift(?:,padded)?$/.test(Object.keys(window).join());
  const clipped = window && neverClipped.includes(golden.id);
  if (!window || !(inMap || clipped)) return layout;
  const { size } = clipped ? (golden.attention.find((each) => each.window)?.window ?? window) : window;
  return { ...(layout as object), grid: typeof size === 'number' ? [size, size] : size };
}

/** A case says by the order of its keys that words stand in front of patches. */
const recorded = ({ sequenceFirst: _, ...layout }: TokenLayout): TokenLayout => layout;

/** A map of several texts is recorded once for each. */
const eachOf = ({ inputs }: Graph, probe: Probe): readonly Probe[] =>
  Array.from({ length: inputs.find(({ name }) => name === 'input_ids')?.shape[0] ?? 1 }, () => probe);

const open = (golden: Case): Promise<Model> =>
  openAt(checkpointPath(golden), { assume: golden.assume, imageSize: sizeOfCase(golden) });

/** Graphs of all parts for the case's own texts and tokens. */
async function graphsOf({ folder }: Case, model: Model): Promise<readonly Graph[]> {
  if (model.parts.length === 1 && model.graph().inputs.length === 1) return [model.graph()];
  const { selected } = await openCheckpoint(join(folder, 'reference.safetensors'));
  const inputs = selected.tensors.map(({ name, dtype, shape }) => [name, { dtype, shape, data: nothing }]);
  return graphsOfParts(model, { lengths: settledBy(Object.fromEntries(inputs)) });
}

const nothing = new Float32Array();

describe('golden cases: counts and attention records', () => {
  for (const golden of readCases()) {
    it(`${golden.id}: parameters, buffers and MACs`, async () => {
      const model = await open(golden);
      const { conv, linear, attention } = countAllMacs(await graphsOf(golden, model));
      const counted = { params: params(golden, model), macs: { conv, linear, attention } };
      assert.deepEqual(counted, { params: golden.params, macs: golden.macs });
      if (!(golden.id in twins))
        assert.equal(model.counts.buffers, golden.buffers + (beside[golden.id] ?? 0));
    });

    it(`${golden.id}: what is shown of it`, async () => {
      const { recognition } = await open(golden);
      assert(recognition.family !== null);
      const { evidence, family } = recognition;
      const numbers = (value: unknown): readonly unknown[] => [value].flat();
      // A case names one width or depth where its library does, and all of them elsewhere.
      const keys = ['classes', 'dim', 'depth'].filter(
        (key) =>
          key in evidence &&
          key in golden.config &&
          !otherwise[golden.id]?.includes(key) &&
          numbers(golden.config[key]).length === numbers(evidence[key]?.value).length,
      );
      const found = keys.map((key) => [key, numbers(evidence[key]?.value)]);
      const expected = keys.map((key) => [key, numbers(golden.config[key])]);
      const row = otherwise[golden.id]?.includes('family') ? family : rowOf(golden.family);
      assert.deepEqual([family, ...found], [row, ...expected]);
    });

    it(`${golden.id}: a graph that another process can be sent`, async () => {
      const graph = (await open(golden)).graph();
      assert.deepEqual(structuredClone(graph), graph);
    });

    it(`${golden.id}: where its attention is`, async () => {
      const graphs = await graphsOf(golden, await open(golden));
      const probes = graphs.flatMap((graph) => graph.probes.flatMap((probe) => eachOf(graph, probe)));
      assert.deepEqual(
        probes.map(({ layer, kind, heads, queries, keys }, index) => {
          const expected = golden.attention[index];
          return {
            layer: expected ? sameLayer(layer, layerOf(golden, expected)) : layer,
            ...{ kind, heads, queries: recorded(queries), keys: recorded(keys) },
          };
        }),
        golden.attention.map((record) => ({
          layer: layerOf(golden, record),
          kind: record.kind,
          heads: record.heads,
          queries: layoutOf(golden, record, record.queries),
          keys: layoutOf(golden, record, record.keys),
        })),
      );
    });
  }
});
