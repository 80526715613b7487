import type { Size } from '../../domain/size';
import { activations } from '../blocks/layers';
import { configuredImageSize } from '../config';
import { ConfigError } from '../configKeys';
import type { ConfigValue, Evidence, Found } from '../family';
import { assumed, stored } from '../evidence';
import { decide, imageSizeOf, publishedSizes, shapeOf, type Sources } from '../decide';
import { pools, type MaxVitSettings, type StrideMode } from './blocks';

type Tensors = Found['tensors'];

/** What a line of models sets that weights do not hold. */
interface Flavour {
  readonly eps: number;
  readonly conv_eps: number;
  readonly activation: string;
  readonly mlp_activation: string;
  readonly padding: 'same' | 'half';
  readonly pre_activation: boolean;
  readonly qkv: 'by head' | 'apart';
  readonly scale: 'head' | 'width';
  readonly pool_type: keyof typeof pools;
}

/**
 * CoAtNet and MaxViT as timm took them from the papers (timm, models/maxxvit.py: MaxxVitConvCfg,
 * MaxxVitTransformerCfg).
 */
const paper: Flavour = {
  eps: 1e-6,
  conv_eps: 1e-5,
  activation: 'gelu',
  mlp_activation: 'gelu',
  padding: 'half',
  pre_activation: false,
  qkv: 'by head',
  scale: 'head',
  pool_type: 'avg2',
};

/** Lines of models by the word that `flavour` has for them. */
const flavours = {
  paper,
  /** Weights of the authors' TensorFlow models (_tf_cfg). */
  tf: {
    ...paper,
    eps: 1e-5,
    conv_eps: 1e-3,
    activation: 'gelu_tanh',
    mlp_activation: 'gelu_tanh',
    padding: 'same',
    qkv: 'apart',
  },
  /** timm's own MaxViTs, and the CoAtNets that followed them (_rw_max_cfg). */
  rw: { ...paper, activation: 'silu' },
  /** timm's first CoAtNets (_rw_coat_cfg). */
  'rw-coatnet': { ...paper, activation: 'silu', pre_activation: true },
  /** With ConvNeXt's blocks (_next_cfg). */
  convnext: { ...paper, conv_eps: 1e-6 },
  /** torchvision divides scores by the root of the whole width. */
  torchvision: { ...paper, eps: 1e-5, conv_eps: 1e-3, qkv: 'apart', scale: 'width', pool_type: 'avg3' },
} as const satisfies Readonly<Record<string, Flavour>>;

type FlavourName = keyof typeof flavours;

/** The line a model belongs to, and the parameter that shows it. */
function flavourOf({ tensors, dialect }: Found): readonly [FlavourName, source: string] {
  if (dialect.name === 'torchvision') return ['torchvision', 'torchvision names of the tensors'];
  const found = (pattern: RegExp): string | undefined =>
    [...tensors.keys()].find((name) => pattern.test(name));
  const convNext = found(/\.conv_dw\.weight$/);
  if (convNext !== undefined) return ['convnext', convNext];
  if (tensors.has('stem.conv1.bias')) return ['tf', 'stem.conv1.bias'];
  // The first convolution of a stage widens its output (papers) or its input (timm's own) by four.
  const first =
    found(/^stages\.1\.blocks\.0\.(?:.+\.)?conv1_1x1\.weight$/) ?? 'stages.1.blocks.0.conv1_1x1.weight';
  const [wide, width = 0] = shapeOf(tensors, first);
  if (wide !== 4 * width) return ['paper', first];
  const attends = found(/\.attn_grid\./);
  const biased = found(/\.conv3_1x1\.bias$/);
  return attends === undefined && biased === undefined
    ? ['rw-coatnet', first]
    : ['rw', attends ?? biased ?? first];
}

/** Models whose map is halved by pooling. */
const strides: readonly (readonly [RegExp, StrideMode])[] = [
  [/^(?:coatnet_0_rw_|coatnet_nano_|coatnet_rmlp_1_rw_|test_coatnet)/, 'pooling'],
  [/./, 'depthwise'],
];

/**
 * Activations inside squeeze and excitation: timm's first CoAtNets have ReLU, the large ones of
 * them not.
 */
const gates: readonly (readonly [RegExp, string])[] = [
  [/^coatnet_(?:rmlp_)?[23]_rw_/, 'silu'],
  [/^coatnet_(?:(?:bn_|rmlp_)?[01]_rw2?_|nano_cc_)/, 'relu'],
  [/./, 'silu'],
];

/** How a hyper-parameter may be set. */
interface Setting {
  readonly is: (value: ConfigValue) => boolean;
  readonly needed: string;
}

const oneOf = (words: readonly string[]): Setting => ({
  is: (value) => words.includes(String(value)),
  needed: `one of ${words.join(', ')}`,
});

const positive: Setting = {
  is: (value) => typeof value === 'number' && value > 0,
  needed: 'a number above 0',
};

/** How each hyper-parameter of a flavour may be set. */
const settings: Readonly<Record<keyof Flavour, Setting>> = {
  eps: positive,
  conv_eps: positive,
  activation: oneOf(Object.keys(activations)),
  mlp_activation: oneOf(Object.keys(activations)),
  padding: oneOf(['same', 'half']),
  pre_activation: oneOf(['true', 'false']),
  qkv: oneOf(['by head', 'apart']),
  scale: oneOf(['head', 'width']),
  pool_type: oneOf(Object.keys(pools)),
};

/** Hyper-parameters that the user may set. */
export const maxVitAssumable = [
  ...Object.keys(settings),
  'stride_mode',
  'gate_activation',
  'partition_ratio',
];

/**
 * What weights do not hold of the blocks: the flavour's settings, and what differs within timm's
 * CoAtNets.
 */
type FlavourEvidence = { readonly flavour: Evidence<FlavourName> } & {
  readonly [K in keyof Flavour]: Evidence<Flavour[K]>;
} & {
  readonly stride_mode: Evidence<StrideMode>;
  readonly gate_activation: Evidence<string>;
};

export function flavourEvidence(sources: Sources): FlavourEvidence {
  const [name, source] = flavourOf(sources.found);
  const own: Flavour = flavours[name];
  const as = <K extends keyof Flavour>(
    key: K,
    named: readonly (readonly [RegExp, Flavour[K]])[] = [],
  ): Evidence<Flavour[K]> =>
    decide<Flavour[K]>(sources, key, {
      named,
      otherwise: stored<Flavour[K]>(own[key], `flavour ${name}`),
      ...settings[key],
    });
  const free = name === 'rw-coatnet' || (name === 'rw' && !source.includes('.attn_grid.'));
  const undecided = <W extends string>(value: W): Evidence<W> =>
    free ? assumed<W>(value, 'not stored in the weights') : stored<W>(value, `flavour ${name}`);
  return {
    flavour: stored<FlavourName>(name, source),
    eps: as('eps'),
    conv_eps: as('conv_eps'),
    activation: as('activation'),
    mlp_activation: as('mlp_activation'),
    padding: as('padding'),
    pre_activation: as('pre_activation'),
    qkv: as('qkv'),
    scale: as('scale'),
    pool_type: as('pool_type', [[/^coatnet_rmlp_1_rw_/, 'max']]),
    stride_mode: decide<StrideMode>(sources, 'stride_mode', {
      named: strides,
      otherwise: undecided<StrideMode>('depthwise'),
      ...oneOf(['depthwise', 'pooling']),
    }),
    gate_activation: decide(sources, 'gate_activation', {
      named: gates,
      otherwise: undecided<string>(name === 'rw-coatnet' ? 'relu' : 'silu'),
      ...oneOf(Object.keys(activations)),
    }),
  };
}

/** The settings of the blocks that the flavour settles. */
export const flavourSettings = (
  settled: FlavourEvidence,
): Omit<MaxVitSettings, 'window' | 'nativeWindow'> => ({
  convolution: {
    eps: settled.conv_eps.value,
    activation: settled.activation.value,
    padding: settled.padding.value,
    // The user may have written the word.
    preActivation: String(settled.pre_activation.value) === 'true',
    gateActivation: settled.gate_activation.value,
    stride: settled.stride_mode.value,
  },
  transformer: {
    eps: settled.eps.value,
    activation: settled.mlp_activation.value,
    qkv: settled.qkv.value,
    scale: settled.scale.value,
  },
  pool: settled.pool_type.value,
});

/** A table of relative positions and by how much the image is reduced on the map of its window. */
interface Table {
  readonly name: string;
  readonly shape: readonly number[];
  readonly reduction: number;
}

/**
 * Tables of relative positions: of windows and grids, which are as many tokens as the image has
 * partitions, or of a stage's whole map.
 */
function tablesOf(tensors: Tensors, ratio: number): readonly Table[] {
  return [...tensors].flatMap(([name, { shape }]) => {
    const match = /^stages\.(\d+)\..*\.relative_position_bias_table$/.exec(name);
    if (!match) return [];
    const partitioned = /\.attn_(?:block|grid)\./.test(name);
    return [{ name, shape, reduction: partitioned ? ratio : 2 ** (Number(match[1]) + 2) }];
  });
}

/** Whether the table has a row for each distance of the tokens that an image of this size has. */
function fits({ shape, reduction }: Table, [height, width]: Size): boolean {
  const distances = (side: number): number => 2 * Math.floor(side / reduction) - 1;
  return shape.length === 3
    ? shape[1] === distances(height) && shape[2] === distances(width)
    : shape[0] === distances(height) * distances(width);
}

/** The size of the image that a table was made for; a square, if it does not show the sides. */
function sizeOf({ shape, reduction }: Table): Size | undefined {
  const [first = 0, down = 0, across = 0] = shape;
  const pixels = (side: number): number => ((side + 1) / 2) * reduction;
  const size: Size =
    shape.length === 3
      ? [pixels(down), pixels(across)]
      : [pixels(Math.sqrt(first)), pixels(Math.sqrt(first))];
  return size.every(Number.isInteger) ? size : undefined;
}

/** Where the image size that a model was made for comes from. */
interface Trained {
  readonly size: Size;
  readonly evidence: Evidence<Size>;
  /** Its tables of relative positions decide it: they fit no other, whatever else is stated. */
  readonly byTable: boolean;
}

/**
 * Image size that the tables of relative positions were made for: the one of config.json, of the
 * published models or of the user that fits them, else the square that does; what is told elsewhere
 * if positions are computed. Throws if a table fits none of these.
 */
export function trainedSize(sources: Sources, ratio: number): Trained {
  const { tensors, checkpoint, imageSize } = sources.found;
  const [table] = tablesOf(tensors, ratio);
  if (!table) return { ...toldSize(sources), byTable: false };
  const config = configuredImageSize(checkpoint);
  const published = publishedSizes(sources).map(({ size }) => size);
  const told = [config?.size, ...published, imageSize].filter((size) => size !== undefined);
  const size = told.find((each) => fits(table, each)) ?? sizeOf(table);
  if (!size)
    throw new ConfigError(
      `${table.name}: a table of [${table.shape.join(', ')}] fits no square picture; state the image size that it was made for`,
    );
  return { size, evidence: stored<Size>(size, table.name), byTable: true };
}

/**
 * What config.json or the published models say before what the user wants now, which is no size
 * that the weights were trained at.
 */
function toldSize(sources: Sources): Pick<Trained, 'size' | 'evidence'> {
  const unasked = imageSizeOf({ ...sources, found: { ...sources.found, imageSize: undefined } });
  const { imageSize: size, evidence: evidence } = unasked.evidence.assumed ? imageSizeOf(sources) : unasked;
  return { size, evidence };
}
