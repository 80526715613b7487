import { last } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate, maybeNorm } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps, type Place } from '../blocks/stages';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { stored } from '../evidence';
import { answer } from '../heads/classifier';
import { sizeTitle, type Sizes } from '../sizes';
import { classesOf, decide, imageSizeOf, recognisedFrom, sourcesOf, stageDepths } from '../decide';
import { maxVitBlocks, normOfMap, type MaxVitSettings } from './blocks';
import { flavourEvidence, flavourSettings, maxVitAssumable, trainedSize } from './hyperparameters';
import { maxVitNames } from './names';

type Tensors = Found['tensors'];

/**
 * Tokens of a window or grid: as many as the image has parts, so that they grow with it, or always
 * the same.
 */
type Partition = { readonly ratio: number } | { readonly window: Grid };

interface MaxVitConfig {
  readonly depth: readonly number[];
  readonly channels: number;
  readonly settings: Omit<MaxVitSettings, 'window' | 'nativeWindow'>;
  readonly partition: Partition;
  /** Size of the image that the tables of relative positions were made for. */
  readonly trainedSize: Size;
  /** Pixels that the sides of an image are multiples of. */
  readonly step: number;
}

const divided = ([rows, columns]: Grid, by: number): Grid => [
  Math.floor(rows / by),
  Math.floor(columns / by),
];

/** Refuses sizes whose maps windows and grids do not cover, and names the nearest that they do. */
function requireSides(imageSize: Grid, step: number): void {
  if (imageSize.every((side) => side % step === 0)) return;
  const nearest = imageSize.map((side) => Math.max(1, Math.round(side / step)) * step);
  throw new Error(
    `image size ${imageSize.join(' × ')} found; each side must be a multiple of ${step} pixels. The nearest size is ${nearest.join(' × ')}.`,
  );
}

/** Tokens of a window of an image. */
const windowAt = (partition: Partition, size: Size): Grid =>
  'window' in partition ? partition.window : divided(size, partition.ratio);

/** Two convolutions, the first of which halves the image. */
function stem(b: GraphBuilder, pixels: ValueInfo, { convolution: own }: MaxVitSettings): ValueInfo {
  return b.scope(
    'stem',
    () => {
      const half = convolution(b, pixels, 'conv1', {
        stride: 2,
        ...(own.padding === 'same' && { padding: 'same' }),
      });
      return convolution(b, activate(b, normOfMap(b, half, 'norm1', own.eps), own.activation), 'conv2');
    },
    { title: 'Stem' },
  );
}

/**
 * The kind of block whose parameters begin so, `stages.0.blocks.1.`; in its own scope with nothing.
 */
function kindOf(b: GraphBuilder, start: string): (typeof maxVitBlocks)[number] {
  const kind = maxVitBlocks.find(({ has }) => b.has(`${start}${has}`));
  if (kind) return kind;
  throw new ParameterError(start.slice(0, -1), 'no kind of block that a MaxViT or CoAtNet has');
}

const pathOf = ({ stage, index }: Place): string => `stages.${stage}.blocks.${index}`;

/**
 * Writes stages of blocks, the first of each of which halves the map, and a norm, if one is stored.
 */
function build(b: GraphBuilder, config: MaxVitConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { partition, trainedSize: trained } = config;
  requireSides(imageSize, config.step);
  const settings: MaxVitSettings = {
    ...config.settings,
    window: windowAt(partition, imageSize),
    nativeWindow: windowAt(partition, trained),
  };
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const ends = stages(b, stem(b, pixels, settings), {
    depths: config.depth,
    path: pathOf,
    note: (place) => ({ title: kindOf(b, `${pathOf(place)}.`).title }),
    block: (map, { stage, index }) => {
      const nativeMap = divided(trained, 2 ** (stage + 2));
      return kindOf(b, '').build(b, map, settings, { stride: index === 0 ? 2 : 1, nativeMap });
    },
  });
  const map = last(ends);
  return {
    stages: ends.map((end) => mapStage(end, imageSize)),
    map: b.has('norm.weight') ? normOfMap(b, map, 'norm', settings.transformer.eps) : map,
  };
}

/** Norms the mean of the map, which a layer may prepare for the classifier. */
function head(b: GraphBuilder, { map }: ImageMaps, { settings }: MaxVitConfig): void {
  const pooled = maybeNorm(b, meanOfMap(b, map), 'head.norm', settings.transformer.eps);
  const features = b.has('head.pre_logits.fc.weight')
    ? b.add('Tanh', [b.linear(pooled, 'head.pre_logits.fc')])
    : pooled;
  answer(b, features, map, 'head.fc');
}

/** Sizes of Tu et al. 2022 (MaxViT, table 1), Dai et al. 2021 (CoAtNet, table 3) and timm. */
const sizes = {
  MaxViT: {
    '2,2,5,2 32': 'Pico',
    '1,2,3,1 64': 'Nano',
    '2,2,5,2 64': 'T',
    '2,2,5,2 96': 'S',
    '2,6,14,2 96': 'B',
    '2,6,14,2 128': 'L',
    '2,6,14,2 192': 'XL',
  },
  MaxxViT: { '1,2,3,1 64': 'Nano', '2,2,5,2 64': 'T', '2,2,5,2 96': 'S' },
  'MaxxViT-V2': { '1,2,3,1 96': 'Nano', '2,6,12,2 128': 'B', '2,6,16,2 160': 'L' },
  CoAtNet: {
    '2,3,5,2 64': 'Pico',
    '3,4,6,3 64': 'Nano',
    '2,3,5,2 96': '0',
    '2,3,7,2 96': '0',
    '2,6,14,2 96': '1',
    '2,6,14,2 128': '2',
    '2,6,14,2 192': '3',
    '2,12,28,2 192': '4',
    '2,12,28,2 256': '5',
  },
  CoAtNeXt: { '3,4,6,3 64': 'Nano' },
} as const satisfies Readonly<Record<string, Sizes>>;

/** What people call the mix of blocks. */
function variantOf(tensors: Tensors, kinds: readonly string[]): keyof typeof sizes {
  const has = (name: string): boolean => [...tensors.keys()].some((each) => each.includes(name));
  const convNext = has('.conv_dw.');
  if (!kinds.some((kind) => kind.includes('M'))) return convNext ? 'CoAtNeXt' : 'CoAtNet';
  if (!convNext) return 'MaxViT';
  return has('.attn_block.') ? 'MaxxViT' : 'MaxxViT-V2';
}

/** Kinds of the blocks of a stage: `M`, or `C T` if they differ. */
function kindsOf(tensors: Tensors, stage: number, depth: number): string {
  const letters = Array.from({ length: depth }, (_, index) => {
    const path = `stages.${stage}.blocks.${index}`;
    return maxVitBlocks.find(({ has }) => tensors.has(`${path}.${has}`))?.letter ?? '?';
  });
  return [...new Set(letters)].join(' ');
}

/**
 * Heads of a stage's first block with attention: as many as its relative positions have; undefined
 * if the stage has none.
 */
function headsOf(tensors: Tensors, stage: number): number | undefined {
  for (const [name, { shape }] of tensors) {
    if (!name.startsWith(`stages.${stage}.`)) continue;
    if (name.endsWith('.rel_pos.relative_position_bias_table'))
      return shape.length === 3 ? shape[0] : shape[1];
    if (name.endsWith('.rel_pos.mlp.fc2.weight')) return shape[0];
  }
  return undefined;
}

/** Channels of a stage: what its last convolution or attention hands on. */
function widthOf(tensors: Tensors, stage: number): number {
  const lastLayer = new RegExp(
    `^stages\\.${stage}\\.blocks\\.0\\.(?:conv\\.(?:0\\.)?)?(?:conv3_1x1|conv_dw|attn\\.proj)\\.weight$`,
  );
  return [...tensors].find(([name]) => lastLayer.test(name))?.[1].shape[0] ?? 0;
}

/** What shows the partition of the map, and the partition. */
interface PartitionFound {
  readonly evidence: { readonly window: Evidence } | { readonly partition_ratio: Evidence };
  readonly partition: Partition;
}

/** Window that torchvision fixes for all image sizes; timm's grows with the image by this ratio. */
function partitionOf({ tensors, dialect }: Found, ratio: Evidence<number>): PartitionFound {
  if (dialect.name !== 'torchvision')
    return { evidence: { partition_ratio: ratio }, partition: { ratio: Number(ratio.value) } };
  const name = 'stages.0.blocks.0.attn_grid.attn.rel_pos.relative_position_bias_table';
  const side = (Math.sqrt(tensors.get(name)?.shape[0] ?? 169) + 1) / 2;
  const window = [side, side] as const;
  return { evidence: { window: stored(window, name) }, partition: { window } };
}

function recognise(found: Found): Recognised<MaxVitConfig> | undefined {
  const { tensors, dialect } = found;
  const channels = tensors.get('stem.conv1.weight')?.shape[1];
  const depths = stageDepths(tensors);
  const kinds = depths.map((depth, stage) => kindsOf(tensors, stage, depth));
  if (channels === undefined || depths.length === 0 || kinds.some((kind) => kind.includes('?')))
    return undefined;
  const sources = sourcesOf(found);
  const ratio = decide(sources, 'partition_ratio', {
    config: ['transformer_partition_ratio'],
    otherwise: stored(32, 'default of timm'),
  });
  const trained = trainedSize(sources, Number(ratio.value));
  const { imageSize, evidence: sized } =
    trained.byTable && !found.imageSize
      ? { imageSize: trained.size, evidence: trained.evidence }
      : imageSizeOf(sources, trained.evidence);
  const variant = variantOf(tensors, kinds);
  const dims = depths.map((_, stage) => widthOf(tensors, stage));
  const { evidence, partition } = partitionOf(found, ratio);
  const flavour = flavourEvidence(sources);
  const reduction = 2 ** (depths.length + 1);
  const step = 'window' in partition ? reduction * partition.window[0] : Math.max(reduction, partition.ratio);
  return recognisedFrom(sources, {
    label: variant.toLowerCase(),
    title: sizeTitle(variant, sizes[variant], depths, dims),
    evidence: {
      depth: stored(depths, 'stages.*.blocks'),
      dim: stored(dims, 'stages.*.blocks.0'),
      block: stored(kinds, 'stages.*.blocks'),
      heads: stored(
        depths.flatMap((_, stage) => headsOf(tensors, stage) ?? []),
        'rel_pos of the first block of each stage',
      ),
      ...evidence,
      trained_size: trained.evidence,
      ...flavour,
      channels: stored(channels, 'stem.conv1.weight'),
      classes: classesOf(tensors, 'head.fc'),
      image_size: sized,
    },
    config: {
      depth: depths,
      channels,
      settings: flavourSettings(flavour),
      partition,
      trainedSize: trained.size,
      step,
    },
    imageSize,
    sizeStep: [step, step],
    pixels: dialect.name === 'torchvision' ? 'imagenet' : 'half',
  });
}

/**
 * MaxViT (Tu et al. 2022), CoAtNet (Dai et al. 2021) and timm's mixes of their blocks with each
 * other and with ConvNeXt's.
 */
export const maxVit: Family<MaxVitConfig, ImageMaps> = {
  name: 'maxvit',
  title: 'MaxViT and CoAtNet',
  names: maxVitNames,
  assumable: maxVitAssumable,
  recognise,
  build,
  head,
};
