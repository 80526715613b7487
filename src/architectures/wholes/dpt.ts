import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate, withValue } from '../blocks/layers';
import { knownActivation, shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import {
  depthOf,
  doubled,
  fused,
  reassembled,
  type FusionConfig,
  type Readout,
  type ReassemblyConfig,
} from '../heads/densePrediction';
import { backboneTitle, settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { mapOf } from './detectors';
import { dptNames } from './scratch';
import { lastTokens, layersRead, numberOfBackbone, quarters, tokensOf, depthOfBackbone } from './innerLayers';

/** What DPT's neck is written by. */
export interface DptConfig extends ReassemblyConfig, FusionConfig {
  /** Blocks that are read, from 0; of a hybrid the last two, behind two stages in front. */
  readonly layers: readonly number[];
  readonly hybrid: boolean;
  /** Epsilon of the backbone's last norm if it is applied to every layer that is read. */
  readonly normEps?: number;
  /** Which fused map the head reads, counted from the last as in Python. */
  readonly headIndex: number;
}

/** `neck.reassemble_stage.layers.3.resize` and so on: the four maps of every DPT. */
const levels = [0, 1, 2, 3] as const;
const place = 'neck.reassemble_stage';

/**
 * How much finer each map is made: as config.json says, or by the kernels: four and two are strides
 * of a transposed convolution, three is the kernel of one that halves.
 */
function factorsOf(found: FoundWhole): readonly number[] {
  const byKernel = levels.map((level) => {
    const kernel = found.tensors.get(`${place}.layers.${level}.resize.weight`)?.shape[2] ?? 1;
    return kernel === 3 ? 0.5 : kernel;
  });
  const { value } = settle<readonly number[]>(found, 'reassemble_factors', {
    config: ['reassemble_factors'],
    otherwise: stored<readonly number[]>(byKernel, place),
    is: (value) =>
      Array.isArray(value) && value.length === levels.length && value.every((each) => Number(each) > 0),
    needed: 'a factor for each of four maps',
  });
  return value;
}

/** How the class token is read: by stored layers, or as somebody says. */
function readoutOf(found: FoundWhole) {
  const own = levels.map((level) => `${place}.readout_projects.${level}.0.weight`);
  const name = own.find((each) => found.tensors.has(each));
  if (name !== undefined) return stored<Readout>('project', name);
  return settle<Readout>(found, 'readout', {
    config: ['readout_type'],
    otherwise: assumed<Readout>('ignore', 'no layers that read the class token; it may be added'),
    is: (value) => value === 'add' || value === 'ignore',
    needed: 'add or ignore',
  });
}

/** Backbones that are models of their own, whose layers may be normed. */
const ofItsOwn = /^(?:backbone|pretrained(?!\.model|\.act_postprocess))\./;

/**
 * Hyper-parameters of DPT's neck, whichever head stands behind it; `layersNormed` tells whether the
 * published models of this kind norm what they read of a backbone of its own.
 */
export function recogniseNeck(found: FoundWhole, layersNormed = false) {
  const depth = depthOfBackbone(found);
  const [fusion = 0] = shapeOf(found.tensors, 'neck.convs.0.weight');
  const inside = found.tensors.has('neck.reassemble_stage.layers.0.projection.weight');
  const separate = [...found.tensors.keys()].some((name) => ofItsOwn.test(name));
  const layers = layersRead(found, {
    ...(separate
      ? { config: 'backbone_config.out_indices', from: 1 }
      : { config: 'backbone_out_indices', from: 0 }),
    // DINOv2-L is read one layer earlier first, in DPT's and Depth Anything's models alike.
    otherwise: separate && depth === 24 ? [4, 11, 17, 23] : quarters(depth),
  });
  const readout = readoutOf(found);
  const activation = settle<string>(found, 'readout_activation', {
    config: ['hidden_act'],
    otherwise: stored('gelu', 'as published (Ranftl et al. 2021)'),
    ...knownActivation,
  });
  const normed = settle<boolean>(found, 'layers_normed', {
    config: ['backbone_config.apply_layernorm'],
    otherwise: stored(layersNormed, 'as published'),
    is: (value) => typeof value === 'boolean',
    needed: 'true or false',
  });
  return {
    evidence: {
      out_layers: layers,
      readout,
      neck: stored(
        levels.map((level) => shapeOf(found.tensors, `neck.convs.${level}.weight`)[1] ?? 0),
        'neck.convs.*',
      ),
      fusion: stored(fusion, 'neck.convs.0.weight'),
      ...(readout.value === 'project' && { readout_activation: activation }),
      ...(separate && { layers_normed: normed }),
    },
    config: {
      layers: layers.value,
      hybrid: !inside,
      readout: readout.value,
      activation: activation.value,
      factors: factorsOf(found),
      eps: 1e-5,
      toNext: false,
      headIndex: headIndexOf(found),
      ...(separate && normed.value && { normEps: numberOfBackbone(found, 'eps', 1e-6) }),
    } satisfies DptConfig,
  };
}

/** Which of the fused maps the head reads; the last in every published model. */
export const headIndexOf = (found: FoundWhole): number =>
  settle<number>(found, 'head_in_index', {
    config: ['head_in_index'],
    otherwise: stored(-1, 'as published'),
    is: (value) =>
      Number.isInteger(value) && Number(value) >= -levels.length && Number(value) < levels.length,
    needed: 'an index of four maps',
  }).value;

/** The backbone's maps, reassembled and fused; what each step gives, the finest last. */
export function fusedMaps(
  b: GraphBuilder,
  { layers, hybrid, normEps, ...config }: DptConfig,
  { backbone }: PartContext,
): { readonly steps: readonly ValueInfo[]; readonly narrowed: readonly ValueInfo[] } {
  const maps = backbone();
  lastTokens(b, maps);
  const tokens = layers.map((layer) => {
    const read = tokensOf(maps, layer);
    return normEps === undefined ? read : withValue(read, b.layerNorm(read.value, 'norm', normEps));
  });
  // Of a hybrid the two finest maps are those of the network in front (Ranftl et al. 2021, §3.2).
  const inFront = hybrid ? 2 : 0;
  const assembled = b.scope(
    place,
    () =>
      levels.map((level) =>
        level < inFront
          ? mapOf(b, at(maps.front ?? [], level))
          : reassembled(b, at(tokens, level), level, config),
      ),
    { title: 'Reassemble' },
  );
  return b.scope('neck', () => fused(b, assembled, config), { title: 'Fusion' });
}

/** The fused map that a head reads. Throws if there is none. */
export function headMap(steps: readonly ValueInfo[], index: number): ValueInfo {
  return at(steps, index < 0 ? steps.length + index : index);
}

function recognise(found: FoundWhole) {
  const { evidence, config } = recogniseNeck(found);
  return {
    label: 'dpt',
    title: `DPT, ${backboneTitle(found)} backbone`,
    evidence,
    config,
    reading: { task: 'depth', unit: 'relative' } as const,
  };
}

/** Convolutions to one number a pixel, none below 0 (Ranftl et al. 2021, appendix A). */
function depthHead(b: GraphBuilder, map: ValueInfo): ValueInfo {
  const projected = b.has('projection.weight') ? activate(b, convolution(b, map, 'projection'), 'relu') : map;
  const finer = doubled(b, convolution(b, projected, 'head.0'));
  const mixed = activate(b, convolution(b, finer, 'head.2'), 'relu');
  return depthOf(b, activate(b, convolution(b, mixed, 'head.4'), 'relu'));
}

function build(b: GraphBuilder, config: DptConfig, context: PartContext): void {
  const { steps } = fusedMaps(b, config, context);
  const map = headMap(steps, config.headIndex);
  const depth = b.scope('head', () => depthHead(b, map), { title: 'Depth head' });
  b.output('predicted_depth', depth, 'depth');
}

/** Convolutions in front of a batch norm have no bias, and those that narrow the maps. */
export function hasNoBias(path: string, has: (name: string) => boolean): boolean {
  const norm = path.replace(/\.convolution([12])$/, '.batch_norm$1').replace(/\.head\.0$/, '.head.1');
  return /^neck\.convs\.\d+$/.test(path) || (norm !== path && has(`${norm}.running_mean`));
}

/** Parts of every DPT that transformers stores and never computes, and tokens of pretraining. */
export const neverComputed =
  /^neck\.fusion_stage\.layers\.0\.residual_layer1\.|^(?:dpt|backbone)\.(?:embeddings\.mask_token$|pooler\.)|^pretrained\.(?:mask_token$|model\.head\.)/;

/** DPT (Ranftl et al. 2021) that estimates depth. */
export const dpt: Whole<DptConfig> = {
  name: 'dpt',
  row: 'depth',
  title: 'DPT',
  task: 'depth',
  signature: [
    'neck.fusion_stage.layers.0.projection.weight',
    'neck.convs.0.weight',
    'head.head.4.weight',
    'head.head.2.weight',
  ],
  renames: dptNames,
  hasNoBias,
  isTower: true,
  assumable: ['out_layers', 'readout', 'readout_activation', 'layers_normed'],
  idle: neverComputed,
  recognise,
  parts: [{ name: 'whole', build }],
};
