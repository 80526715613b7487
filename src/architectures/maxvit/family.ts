import { answer } from '../heads/classifier';
import type { Grid } from '../../domain/size';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate, maybeNorm } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import type { BuildOptions, Evidence, EvidenceRecord, Family, Found, Recognised } from '../family';
import { numberOf, numbersOf, pairOf, stored, wordOf } from '../figures';
import { maxVitBlocks, normOfMap, type MaxVitSettings } from './blocks';
import { flavourFigures, maxVitAssumable, trainedSize } from './hyperparameters';
import { sizeTitle, type Sizes } from '../sizes';
import { classesOf, decide, imageSizeOf, recognisedFrom, sourcesOf, stageDepths } from '../sources';
import { maxVitNames } from './names';

type Tensors = Found['tensors'];

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

/** Tokens of a window: as many as the picture has partitions, so that they grow with it, or always the same. */
function windowAt(figures: EvidenceRecord, size: Grid): Grid {
  return figures['window'] ? pairOf(figures, 'window') : divided(size, numberOf(figures, 'partition_ratio'));
}

function settingsOf(figures: EvidenceRecord, imageSize: Grid): MaxVitSettings {
  const word = (key: string): never => wordOf(figures, key) as never;
  return {
    convolution: {
      eps: numberOf(figures, 'conv_eps'),
      activation: word('activation'),
      padding: word('padding'),
      preActivation: String(figures['pre_activation']!.value) === 'true',
      gateActivation: word('gate_activation'),
      stride: word('stride_mode'),
    },
    transformer: {
      eps: numberOf(figures, 'eps'),
      activation: word('mlp_activation'),
      qkv: word('qkv'),
      scale: word('scale'),
    },
    pool: word('pool_type'),
    window: windowAt(figures, imageSize),
    nativeWindow: windowAt(figures, pairOf(figures, 'trained_size')),
  };
}

/** Two convolutions, the first of which halves the picture. */
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

function block(
  b: GraphBuilder,
  x: ValueInfo,
  path: string,
  settings: MaxVitSettings,
  nativeMap: Grid,
): ValueInfo {
  const kind = maxVitBlocks.find(({ has }) => b.has(`${path}.${has}`));
  if (!kind) throw new ParameterError(path, 'no kind of block that a MaxViT or CoAtNet has');
  const stride = path.endsWith('.0') ? 2 : 1;
  return b.scope(path, () => kind.build(b, x, settings, { stride, nativeMap }), { title: kind.title });
}

function build(
  b: GraphBuilder,
  { evidence: figures, sizeStep }: Recognised,
  { imageSize, batch }: BuildOptions,
): void {
  requireSides(imageSize, sizeStep[0]);
  const settings = settingsOf(figures, imageSize);
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  let map = stem(b, pixels, settings);
  for (const [stage, depth] of numbersOf(figures, 'depth').entries()) {
    const nativeMap = divided(pairOf(figures, 'trained_size'), 2 ** (stage + 2));
    for (let index = 0; index < depth; index++)
      map = block(b, map, `stages.${stage}.blocks.${index}`, settings, nativeMap);
  }
  const { eps } = settings.transformer;
  const last = b.has('norm.weight') ? normOfMap(b, map, 'norm', eps) : map;
  const pooled = maybeNorm(b, meanOfMap(b, last), 'head.norm', eps);
  const features = b.has('head.pre_logits.fc.weight')
    ? b.add('Tanh', [b.linear(pooled, 'head.pre_logits.fc')])
    : pooled;
  answer(b, features, last, 'head.fc');
}

/** Sizes of Tu et al. 2022 (MaxViT, table 1), Dai et al. 2021 (CoAtNet, table 3) and timm. */
const sizes: Readonly<Record<string, Sizes>> = {
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
};

/** What people call the mix of blocks. */
function variantOf(tensors: Tensors, kinds: readonly string[]): string {
  const has = (name: string): boolean => [...tensors.keys()].some((each) => each.includes(name));
  const convNext = has('.conv_dw.');
  if (!kinds.some((kind) => kind.includes('M'))) return convNext ? 'CoAtNeXt' : 'CoAtNet';
  if (!convNext) return 'MaxViT';
  return has('.attn_block.') ? 'MaxxViT' : 'MaxxViT-V2';
}

/** Kinds of the blocks of a stage: `M`, or `C T` where they differ. */
function kindsOf(tensors: Tensors, stage: number, depth: number): string {
  const letters = Array.from({ length: depth }, (_, index) => {
    const path = `stages.${stage}.blocks.${index}`;
    return maxVitBlocks.find(({ has }) => tensors.has(`${path}.${has}`))?.letter ?? '?';
  });
  return [...new Set(letters)].join(' ');
}

/** Heads of a stage's first block with attention: as many as its relative positions have; undefined where the stage has none. */
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
  const last = new RegExp(
    `^stages\\.${stage}\\.blocks\\.0\\.(?:conv\\.(?:0\\.)?)?(?:conv3_1x1|conv_dw|attn\\.proj)\\.weight$`,
  );
  return [...tensors].find(([name]) => last.test(name))?.[1].shape[0] ?? 0;
}

/** Window that torchvision fixes for all image sizes; timm's grows with the picture by this ratio. */
function partitionFigures(evidences: Found, ratio: Evidence): EvidenceRecord {
  if (evidences.dialect.name !== 'torchvision') return { partition_ratio: ratio };
  const name = 'stages.0.blocks.0.attn_grid.attn.rel_pos.relative_position_bias_table';
  const side = (Math.sqrt(evidences.tensors.get(name)?.shape[0] ?? 169) + 1) / 2;
  return { window: stored([side, side], name) };
}

function recognise(evidences: Found): Recognised | undefined {
  const { tensors, dialect } = evidences;
  const channels = tensors.get('stem.conv1.weight')?.shape[1];
  const depths = stageDepths(tensors);
  const kinds = depths.map((depth, stage) => kindsOf(tensors, stage, depth));
  if (channels === undefined || depths.length === 0 || kinds.some((kind) => kind.includes('?')))
    return undefined;
  const sources = sourcesOf(evidences);
  const ratio = decide(sources, 'partition_ratio', {
    config: ['transformer_partition_ratio'],
    otherwise: stored(32, 'default of timm'),
  });
  const trained = trainedSize(sources, Number(ratio.value));
  const { imageSize, figure } =
    trained.byTable && !evidences.imageSize
      ? { imageSize: pairOf({ size: trained.figure }, 'size'), figure: trained.figure }
      : imageSizeOf(sources, trained.figure);
  const variant = variantOf(tensors, kinds);
  const dims = depths.map((_, stage) => widthOf(tensors, stage));
  const partition = partitionFigures(evidences, ratio);
  const reduction = 2 ** (depths.length + 1);
  const step = partition['window']
    ? reduction * pairOf(partition, 'window')[0]
    : Math.max(reduction, Number(ratio.value));
  return recognisedFrom(sources, {
    label: variant.toLowerCase(),
    title: sizeTitle(variant, sizes[variant]!, depths, dims),
    evidence: {
      depth: stored(depths, 'stages.*.blocks'),
      dim: stored(dims, 'stages.*.blocks.0'),
      block: stored(kinds, 'stages.*.blocks'),
      heads: stored(
        depths.flatMap((_, stage) => headsOf(tensors, stage) ?? []),
        'rel_pos of the first block of each stage',
      ),
      ...partition,
      trained_size: trained.figure,
      ...flavourFigures(sources),
      channels: stored(channels, 'stem.conv1.weight'),
      classes: classesOf(tensors, 'head.fc'),
      image_size: figure,
    },
    imageSize,
    sizeStep: [step, step],
    pixels: dialect.name === 'torchvision' ? 'imagenet' : 'half',
  });
}

/** MaxViT (Tu et al. 2022), CoAtNet (Dai et al. 2021) and timm's mixes of their blocks with each other and with ConvNeXt's. */
export const maxVit: Family<Recognised, void> = {
  name: 'maxvit',
  title: 'MaxViT and CoAtNet',
  names: maxVitNames,
  assumable: maxVitAssumable,
  recognise,
  build,
};
