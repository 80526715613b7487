import type { Size } from '../../domain/size';
import { activations } from '../blocks/layers';
import { configured, configuredArchitecture, configuredImageSize } from '../config';
import type { ConfigValue, Evidence, Found, EvidenceRecord, Recognised } from '../family';
import { assumed, firstOf, given, headsNear, sideOrPair, stored } from '../figures';
import {
  agreed,
  publishedModels,
  publishedNamed,
  timmFact,
  type Published,
  type TimmFact,
} from '../published/published';
import { measure, type Measures } from './measure';
import { tableLayout, type TableLayout, type TableMeasures } from './tableLayout';

/** Everything that can be said of a plain transformer, and by what. */
interface PlainFigures {
  readonly measures: Measures;
  readonly figures: EvidenceRecord;
  readonly choices: NonNullable<Recognised['choices']>;
  readonly imageSize: Size;
  readonly warnings: readonly string[];
  /** Published models with these names and shapes. */
  readonly published: readonly Published[];
}

interface Sources {
  readonly evidences: Found;
  readonly measures: Measures;
  readonly published: readonly Published[];
}

/** A fact that timm's hub config implies by the name of the architecture. */
function implied({ evidences }: Sources, key: TimmFact): Evidence | undefined {
  const architecture = configuredArchitecture(evidences.checkpoint);
  return architecture === undefined
    ? undefined
    : {
        value: timmFact(architecture, key),
        source: `config.json: architecture ${architecture}`,
        assumed: false,
      };
}

/** Heads of the published architecture that config.json names, where the width is its own. */
function impliedHeads({ evidences, published }: Sources): Evidence | undefined {
  const architecture = configuredArchitecture(evidences.checkpoint);
  const model = architecture === undefined ? undefined : publishedNamed(architecture);
  const fits = model && published.some(({ models }) => models === model.models);
  return fits
    ? { value: model.heads, source: `config.json: architecture ${architecture}`, assumed: false }
    : undefined;
}

/** Heads that shapes tell: a norm or a kernel per head. */
function storedHeads({ evidences: { tensors, dialect }, measures: { dim } }: Sources): Evidence | undefined {
  const perHead = ['attn.q_norm', 'q_norm', 'attn.sub_norm', 'sub_norm']
    .map((name) => `blocks.0.${name}.weight`)
    .find((name) => tensors.has(name));
  if (perHead) return stored(dim / tensors.get(perHead)!.shape[0]!, `${perHead} is one head wide`);
  const heads = dialect.heads?.(tensors);
  return heads === undefined ? undefined : stored(heads, 'blocks.0: query kernel [dim, heads, d]');
}

/** 64 channels per head, as Vaswani et al. 2017 and ViT have; the nearest number of heads that divides the width. */
function usualHeads({ measures: { dim } }: Sources): Evidence {
  const numbers = Array.from({ length: dim }, (_, index) => index + 1).filter((heads) => dim % heads === 0);
  const wanted = dim / 64;
  const nearest = numbers.reduce((best, heads) =>
    Math.abs(heads - wanted) < Math.abs(best - wanted) ? heads : best,
  );
  return assumed(nearest, '64 per head; not stored in the weights');
}

const dividesWidth = ({ dim }: Sources['measures'], heads: ConfigValue): boolean =>
  typeof heads === 'number' && heads > 0 && dim % heads === 0;

/** Throws where the user's number cannot be; a config's that cannot be is passed over with a warning. */
function headsOf(sources: Sources): Evidence {
  const { evidences, measures, published } = sources;
  const user = given(evidences, 'heads');
  if (user && !dividesWidth(measures, user.value))
    throw new Error(
      `heads: ${String(user.value)} found; a number that divides the width ${measures.dim} is needed`,
    );
  const config = configured(evidences.checkpoint, 'heads');
  return (
    storedHeads(sources) ??
    firstOf(
      usualHeads(sources),
      user,
      config && dividesWidth(measures, config.value) ? config : undefined,
      impliedHeads(sources),
      agreed(published, ({ heads }) => heads),
    )
  );
}

/** What a fact may be, in words, as a check, and the values that models have. */
const factValues = {
  activation: {
    needed: `one of ${Object.keys(activations).join(', ')}`,
    is: (value) => typeof value === 'string' && Object.hasOwn(activations, value),
    // The others are further names of these.
    usual: ['gelu', 'gelu_tanh', 'quick_gelu', 'silu', 'relu'],
  },
  eps: {
    needed: 'a number from 0 to 1',
    is: (value) => typeof value === 'number' && value >= 0 && value < 1,
    usual: [1e-5, 1e-6, 1e-12],
  },
  pool_prefix: {
    needed: 'true or false',
    is: (value) => typeof value === 'boolean',
    usual: [false, true],
  },
  norm_order: {
    needed: 'pre or post',
    is: (value) => value === 'pre' || value === 'post',
    usual: ['pre', 'post'],
  },
} as const satisfies Readonly<
  Record<
    TimmFact,
    {
      readonly needed: string;
      readonly is: (value: ConfigValue) => boolean;
      readonly usual: readonly ConfigValue[];
    }
  >
>;

/** What the user says of a fact. Throws where it cannot be. */
function givenFact({ evidences }: Sources, key: TimmFact): Evidence | undefined {
  const user = given(evidences, key);
  const { needed, is } = factValues[key];
  if (user && !is(user.value)) throw new Error(`${key}: ${String(user.value)} found; ${needed} is needed`);
  return user;
}

/** Configured facts that the graph can follow: one that cannot be is as if it were not written. */
function configuredFact({ evidences }: Sources, key: TimmFact): Evidence | undefined {
  if (key !== 'activation' && key !== 'eps') return undefined;
  const evidence = configured(evidences.checkpoint, key);
  return evidence && factValues[key].is(evidence.value) ? evidence : undefined;
}

/** A fact that no weight holds: user, config, the architecture it names, published models, else `otherwise`. */
function fact(sources: Sources, key: TimmFact, otherwise: Evidence): Evidence {
  const { published } = sources;
  return firstOf(
    otherwise,
    givenFact(sources, key),
    configuredFact(sources, key),
    implied(sources, key),
    agreed(published, (model) => model[key]),
  );
}

/** How the tokens become one vector, as the parts of the head tell. */
function storedPool({ evidences: { tensors }, measures }: Sources): Evidence {
  const head = tensors.get('head.weight')?.shape[1];
  if (tensors.has('attn_pool.latent')) return stored('map', 'attn_pool.latent');
  if (head === 2 * measures.dim)
    return stored('token+avg', `head.weight reads ${head} = 2 × ${measures.dim} features`);
  if (tensors.has('fc_norm.weight')) return stored('avg', 'fc_norm: the last norm comes after the mean');
  return measures.classToken ? stored('token', 'cls_token') : stored('avg', 'no class token');
}

/** Ways of pooling whose parts the weights have; attention pooling and DINOv2's classifier leave no choice. */
function possiblePools({ measures }: Sources, own: Evidence): readonly ConfigValue[] {
  if (own.value === 'map' || own.value === 'token+avg') return [own.value];
  return [...(measures.classToken ? ['token'] : []), 'avg', 'avgmax', 'max'];
}

/** Throws where the user chose a way of pooling that the weights do not allow; a config that does is passed over. */
function poolOf(sources: Sources): Evidence {
  const own = storedPool(sources);
  const possible = possiblePools(sources, own);
  const user = given(sources.evidences, 'pool');
  if (user && !possible.includes(user.value))
    throw new Error(`pool: ${String(user.value)} found; these weights allow ${possible.join(', ')}`);
  const config = configured(sources.evidences.checkpoint, 'pool');
  return user ?? (config && possible.includes(config.value) ? config : own);
}

const isPair = (value: ConfigValue | undefined): value is readonly [number, number] =>
  Array.isArray(value) && value.length === 2 && value.every((side) => typeof side === 'number');

/** What tells of a position table's layout and of the image that fills it; `patch`: pixels per position. */
interface Placed {
  readonly evidences: Found;
  readonly measures: TableMeasures & Pick<Measures, 'patch'>;
}

/** The position table's layout. Throws where the grid that the user gave does not fit it. */
export function positionLayout({ evidences, measures }: Placed): TableLayout | undefined {
  const grid = given(evidences, 'grid');
  const config = configuredImageSize(evidences.checkpoint);
  const inPatches = (size: Size): readonly [number, number] => [
    Math.floor(size[0] / measures.patch[0]),
    Math.floor(size[1] / measures.patch[1]),
  ];
  if (grid && !isPair(grid.value))
    throw new Error(`grid: ${String(grid.value)} found; two numbers [rows, columns] are needed`);
  const known = [
    ...(grid && isPair(grid?.value) ? [{ grid: grid.value, source: 'the grid given by the user' }] : []),
    ...(config ? [{ grid: inPatches(config.size), source: config.source }] : []),
    ...(evidences.imageSize
      ? [{ grid: inPatches(evidences.imageSize), source: 'the image size given by the user' }]
      : []),
  ];
  const layout = tableLayout(measures, known);
  if (grid && layout?.grid.value !== grid.value)
    throw new Error(
      `grid: ${String(grid.value)} found; pos_embed holds ${measures.positions} rows, special tokens included`,
    );
  return layout;
}

/** Image size as the user, the config or the position table says. */
export function positionedSize(
  { evidences, measures }: Placed,
  { grid }: TableLayout,
): { readonly size: Size; readonly source: string } {
  if (evidences.imageSize) return { size: evidences.imageSize, source: 'given by the user' };
  const config = configuredImageSize(evidences.checkpoint);
  if (config) return config;
  const [rows, columns] = grid.value as readonly [number, number];
  const [height, width] = measures.patch;
  return { size: [rows * height, columns * width], source: 'the position table' };
}

/** Norms come first; only timm also has blocks with norms last, whose names are the same: without LayerScale and with `fc_norm`. */
function usualOrder({ evidences: { dialect, tensors }, measures }: Sources): Evidence {
  return dialect.name === 'timm' &&
    tensors.has('fc_norm.weight') &&
    !measures.traits.split(' ').includes('ls')
    ? assumed('pre', 'norms come first in nearly every model')
    : stored('pre', `norm1 and norm2, as ${dialect.title} builds blocks of these parts`);
}

/** What config.json says and these weights or this program cannot follow. */
function passedOver({ evidences: { checkpoint }, measures }: Sources): readonly string[] {
  const heads = configured(checkpoint, 'heads');
  const facts = (['activation', 'eps'] as const).flatMap((key) => {
    const fact = configured(checkpoint, key);
    const { needed, is } = factValues[key];
    return fact && !is(fact.value)
      ? [
          `${fact.source} is ${String(fact.value)}, which is not known; it was passed over, ${needed} is needed.`,
        ]
      : [];
  });
  return [
    ...facts,
    ...(heads && !dividesWidth(measures, heads.value)
      ? [
          `${heads.source} is ${String(heads.value)}, which does not divide the width ${measures.dim}; it was passed over.`,
        ]
      : []),
  ];
}

/** Says which pixels of an asked-for size no patch reaches: the libraries round down as well, or refuse. */
export function unseen({
  evidences: { imageSize },
  measures: { patch },
}: {
  readonly evidences: Found;
  readonly measures: Pick<Measures, 'patch'>;
}): readonly string[] {
  const left = imageSize?.map((side, axis) => side % patch[axis]!) ?? [];
  if (!imageSize || left.every((pixels) => pixels === 0)) return [];
  return [
    `${imageSize.join(' × ')} pixels are no whole number of patches of ${patch.join(' × ')}: the last ${left[0]} rows and ${left[1]} columns are not seen.`,
  ];
}

/** Values offered for what may be set; heads that shapes tell leave no choice. */
function choicesOf(sources: Sources, heads: number): NonNullable<Recognised['choices']> {
  const facts = Object.entries(factValues).map(([key, { usual }]) => [key, usual] as const);
  return {
    ...Object.fromEntries(facts),
    heads: storedHeads(sources) ? [heads] : headsNear(sources.measures.dim, heads),
    pool: possiblePools(sources, storedPool(sources)),
  };
}

/** The layer whose outputs are counted as classes: a classifier, or a dual encoder's projection to the joint space. */
function headSource({ evidences: { tensors }, measures }: Sources): string {
  if (measures.classes === 0) return 'no classifier';
  return tensors.has('head.weight') ? 'head.weight' : 'projection.weight: width of the joint space';
}

/** Figures of a plain transformer; undefined where one of its parts is missing. */
export function plainFigures(evidences: Found): PlainFigures | undefined {
  const measures = measure(evidences.tensors);
  if (!measures || measures.depth === 0) return undefined;
  const { dialect } = evidences;
  const published = publishedModels(measures, dialect.name);
  const sources = { evidences, measures, published };
  const layout = positionLayout(sources);
  if (!layout) return undefined;
  const { size, source } = positionedSize(sources, layout);
  const last = measures.depth - 1;
  const figures: EvidenceRecord = {
    dim: stored(measures.dim, 'patch_embed.proj.weight'),
    depth: stored(measures.depth, last === 0 ? 'blocks.0' : `blocks.0 … blocks.${last}`),
    heads: headsOf(sources),
    mlp_ratio: stored(measures.mlp / measures.dim, 'hidden width of blocks.0'),
    patch: stored(sideOrPair(measures.patch), 'patch_embed.proj.weight'),
    channels: stored(measures.channels, 'patch_embed.proj.weight'),
    image_size: { value: size, source, assumed: source === 'the position table' && layout.grid.assumed },
    grid: layout.grid,
    position_slots: layout.slots,
    registers: stored(measures.registers, measures.registers > 0 ? 'reg_token' : 'no register tokens'),
    classes: stored(measures.classes, headSource(sources)),
    activation: fact(sources, 'activation', assumed('gelu', 'not stored in the weights')),
    eps: fact(sources, 'eps', assumed(dialect.eps, `default of ${dialect.title}`)),
    pool: poolOf(sources),
    pool_prefix: fact(sources, 'pool_prefix', stored(false, 'special tokens are left out of the mean')),
    norm_order: fact(sources, 'norm_order', usualOrder(sources)),
    resampling: stored(dialect.resampling[measures.registers > 0 ? 1 : 0], `as ${dialect.title} does`),
  };
  return {
    measures,
    figures,
    choices: choicesOf(sources, Number(figures['heads']?.value)),
    imageSize: size,
    warnings: [...layout.warnings, ...passedOver(sources), ...unseen(sources)],
    published,
  };
}
