import type { Size } from '../../domain/size';
import type { ResamplingName } from '../blocks/positions';
import { configured, type ConfigName } from '../config';
import { headsNear, nearestDivisor } from '../divisors';
import type { ConfigValue, Evidence, Found, Described, Recognised } from '../family';
import { assumed, configOf, sideOrPair, stored, type ConfigOf } from '../evidence';
import type { Pool } from '../heads/tokens';
import {
  publishedModels,
  publishedNamed,
  timmFact,
  type Published,
  type TimmFact,
} from '../published/published';
import { activationOf, decide, knownActivation, sideOf, type Sources } from '../decide';
import { measure, type Measures } from './measure';
import { positionedSize, positionLayout, unseen } from './patchGrid';
import type { TableLayout } from './tableLayout';

/** A plain transformer as its names and shapes show it, and what else may be known of it. */
interface Opened {
  readonly sources: Sources<Published>;
  readonly measures: Measures;
}

/** Heads by shapes: a norm or a kernel per head. */
function storedHeads({ sources: { found }, measures }: Opened): Evidence<number> | undefined {
  const { tensors, dialect } = found;
  const perHead = ['attn.q_norm', 'q_norm', 'attn.sub_norm', 'sub_norm']
    .map((name) => `blocks.0.${name}.weight`)
    .find((name) => tensors.has(name));
  if (perHead) return stored(measures.dim / sideOf(tensors, perHead, 0), `${perHead} is one head wide`);
  const heads = dialect.heads?.(tensors);
  return heads === undefined ? undefined : stored(heads, 'blocks.0: query kernel [dim, heads, d]');
}

/**
 * Heads of the published architecture of this name, if it is one of those with the file's width.
 */
function impliedHeads({ published }: Sources<Published>, architecture: string): number | undefined {
  const model = publishedNamed(architecture);
  return model && published.some(({ models }) => models === model.models) ? model.heads : undefined;
}

const dividesWidth = ({ dim }: Measures, heads: ConfigValue): boolean =>
  typeof heads === 'number' && heads > 0 && dim % heads === 0;

/**
 * Heads of the blocks: 64 channels each, as in Vaswani et al. 2017 and ViT, if nothing decides.
 * Throws if the user's number cannot be, whatever shapes determine.
 */
function headsOf(opened: Opened): Evidence<number> {
  const { sources, measures } = opened;
  const { dim } = measures;
  const decided = decide(sources, 'heads', {
    config: 'heads',
    implied: (architecture) => impliedHeads(sources, architecture),
    published: ({ heads }) => heads,
    otherwise: assumed(nearestDivisor(dim, dim / 64), '64 per head; not stored in the weights'),
    is: (value) => dividesWidth(measures, value),
    needed: `a number that divides the width ${dim}`,
  });
  return storedHeads(opened) ?? decided;
}

/** What timm's entry functions set beside sizes, as one hyper-parameter may have it. */
interface Fact<T extends ConfigValue> {
  readonly config?: ConfigName;
  readonly is: (value: ConfigValue) => value is T;
  readonly needed: string;
  /** Values that models have. */
  readonly usual: readonly T[];
}

const activation: Fact<string> = {
  ...knownActivation,
  config: 'activation',
  // The others are further names of these.
  usual: ['gelu', 'gelu_tanh', 'quick_gelu', 'silu', 'relu'],
};

const eps: Fact<number> = {
  config: 'eps',
  is: (value): value is number => typeof value === 'number' && value >= 0 && value < 1,
  needed: 'a number from 0 to 1',
  usual: [1e-5, 1e-6, 1e-12],
};

const poolPrefix: Fact<boolean> = {
  is: (value): value is boolean => typeof value === 'boolean',
  needed: 'true or false',
  usual: [false, true],
};

const normOrder: Fact<'pre' | 'post'> = {
  is: (value): value is 'pre' | 'post' => value === 'pre' || value === 'post',
  needed: 'pre or post',
  usual: ['pre', 'post'],
};

const facts = { activation, eps, pool_prefix: poolPrefix, norm_order: normOrder } as const;

/** A hyper-parameter that no weight holds, by a name of timm's or a published model. */
function published<T extends ConfigValue>(key: TimmFact, is: (value: ConfigValue) => value is T) {
  const known = (value: ConfigValue | undefined): T | undefined =>
    value !== undefined && is(value) ? value : undefined;
  return {
    implied: (architecture: string) => known(timmFact(architecture, key)),
    published: (model: Published) => known(model[key]),
  };
}

function fact<T extends ConfigValue>(
  sources: Sources<Published>,
  key: TimmFact,
  { config, is, needed }: Fact<T>,
  otherwise: Evidence<T>,
): Evidence<T> {
  return decide(sources, key, { config: config ?? [], ...published(key, is), otherwise, is, needed });
}

/** How the tokens become one vector, by the parts of the head. */
function storedPool({ sources: { found }, measures }: Opened): Evidence<Pool> {
  const { tensors } = found;
  const head = tensors.get('head.weight')?.shape[1];
  if (tensors.has('attn_pool.latent')) return stored<Pool>('map', 'attn_pool.latent');
  if (head === 2 * measures.dim)
    return stored<Pool>('token+avg', `head.weight reads ${head} = 2 × ${measures.dim} features`);
  if (tensors.has('fc_norm.weight'))
    return stored<Pool>('avg', 'fc_norm: the last norm comes after the mean');
  return measures.classToken ? stored<Pool>('token', 'cls_token') : stored<Pool>('avg', 'no class token');
}

/** Ways of pooling without parts of their own. */
export const poolsOver = ({ classToken }: Pick<Measures, 'classToken'>): readonly Pool[] => [
  ...(classToken ? (['token'] as const) : []),
  'avg',
  'avgmax',
  'max',
];

/**
 * Ways of pooling that the weights allow; attention pooling and DINOv2's classifier leave no
 * choice.
 */
function possiblePools({ measures }: Opened, own: Pool): readonly Pool[] {
  return own === 'map' || own === 'token+avg' ? [own] : poolsOver(measures);
}

/** Throws if the user chose a way of pooling that the weights do not allow. */
function poolOf(opened: Opened): Evidence<Pool> {
  const otherwise = storedPool(opened);
  const possible = possiblePools(opened, otherwise.value);
  return decide(opened.sources, 'pool', {
    config: 'pool',
    otherwise,
    is: (value) => possible.some((pool) => pool === value),
    refusal: `these weights allow ${possible.join(', ')}`,
  });
}

/**
 * Norms come first; only timm also has blocks with norms last, whose names are the same: without
 * LayerScale and with `fc_norm`.
 */
function usualOrder({ sources: { found }, measures }: Opened): Evidence<'pre' | 'post'> {
  const { dialect, tensors } = found;
  const scaled = measures.traits.split(' ').includes('ls');
  return dialect.name === 'timm' && tensors.has('fc_norm.weight') && !scaled
    ? assumed<'pre' | 'post'>('pre', 'norms come first in nearly every model')
    : stored<'pre' | 'post'>('pre', `norm1 and norm2, as ${dialect.title} builds blocks of these parts`);
}

/** Warnings of what stands in config.json and these weights or this program cannot follow. */
function passedOver({ sources: { found }, measures }: Opened): readonly string[] {
  const { checkpoint } = found;
  const unknown = [activation, eps].flatMap(({ config, is, needed }) => {
    const said = config && configured(checkpoint, config);
    return said && !is(said.value)
      ? [
          `${said.source} is ${String(said.value)}, which is not known; it was passed over, ${needed} is needed.`,
        ]
      : [];
  });
  const heads = configured(checkpoint, 'heads');
  if (!heads || dividesWidth(measures, heads.value)) return unknown;
  const why = `does not divide the width ${measures.dim}; it was passed over.`;
  return [...unknown, `${heads.source} is ${String(heads.value)}, which ${why}`];
}

/** Values offered for what may be set; heads by shapes leave no choice. */
function choicesOf(opened: Opened, heads: number): NonNullable<Described['choices']> {
  const usual = Object.entries(facts).map(([key, { usual }]) => [key, usual] as const);
  return {
    ...Object.fromEntries(usual),
    heads: storedHeads(opened) ? [heads] : headsNear(opened.measures.dim, heads),
    pool: possiblePools(opened, storedPool(opened).value),
  };
}

/**
 * The layer whose outputs are counted as classes: a classifier, or a dual encoder's projection to
 * the joint space.
 */
function headSource({ sources: { found }, measures }: Opened): string {
  if (measures.classes === 0) return 'no classifier';
  return found.tensors.has('head.weight') ? 'head.weight' : 'projection.weight: width of the joint space';
}

/** The hyper-parameters, in the order in which people see them. */
function evidenceOf(opened: Opened, layout: TableLayout, imageSize: Evidence<Size>) {
  const { sources, measures } = opened;
  const { dialect } = sources.found;
  const { depth, registers } = measures;
  return {
    dim: stored(measures.dim, 'patch_embed.proj.weight'),
    depth: stored(depth, depth === 1 ? 'blocks.0' : `blocks.0 … blocks.${depth - 1}`),
    heads: headsOf(opened),
    mlp_ratio: stored(measures.mlp / measures.dim, 'hidden width of blocks.0'),
    patch: stored(sideOrPair(measures.patch), 'patch_embed.proj.weight'),
    channels: stored(measures.channels, 'patch_embed.proj.weight'),
    image_size: imageSize,
    grid: layout.grid,
    position_slots: layout.slots,
    registers: stored(registers, registers > 0 ? 'reg_token' : 'no register tokens'),
    classes: stored(measures.classes, headSource(opened)),
    activation: activationOf(sources, assumed('gelu', 'not stored in the weights'), {
      config: 'activation',
      ...published('activation', activation.is),
    }),
    eps: fact(sources, 'eps', eps, assumed(dialect.eps, `default of ${dialect.title}`)),
    pool: poolOf(opened),
    pool_prefix: fact(
      sources,
      'pool_prefix',
      poolPrefix,
      stored(false, 'special tokens are left out of the mean'),
    ),
    norm_order: fact(sources, 'norm_order', normOrder, usualOrder(opened)),
    resampling: stored<ResamplingName>(dialect.resampling[registers > 0 ? 1 : 0], `as ${dialect.title} does`),
  };
}

/** What a plain transformer is built by. */
export type PlainConfig = Omit<ConfigOf<ReturnType<typeof evidenceOf>>, 'patch'> & { readonly patch: Size };

/** What a plain transformer's names and shapes, config and published models settle. */
type Plain = Opened &
  Pick<Recognised<PlainConfig>, 'config' | 'evidence' | 'choices' | 'imageSize' | 'warnings'>;

/**
 * Settles the hyper-parameters of a plain transformer; undefined if one of its parts is missing.
 */
export function settlePlain(found: Found): Plain | undefined {
  const measures = measure(found.tensors);
  const layout = measures && measures.depth > 0 ? positionLayout({ found, measures }) : undefined;
  if (!measures || !layout) return undefined;
  const opened = {
    sources: { found, published: publishedModels(measures, found.dialect.name) },
    measures,
  };
  const { size, source } = positionedSize({ found, measures }, layout);
  const byTable = source === 'the position table' && layout.grid.assumed;
  const settled = evidenceOf(opened, layout, { value: size, source, assumed: byTable });
  return {
    ...opened,
    config: { ...configOf(settled), patch: measures.patch },
    evidence: settled,
    choices: choicesOf(opened, settled.heads.value),
    imageSize: size,
    warnings: [...layout.warnings, ...passedOver(opened), ...unseen(found, measures.patch)],
  };
}
