import type { Sides } from '../../domain/probes';
import type { Size } from '../../domain/size';
import type { ResamplingName } from '../blocks/positions';
import { configuredArchitecture, type ConfigName } from '../config';
import { headsNear, nearestDivisor } from '../divisors';
import type { ConfigValue, Evidence, Found, Described, Recognised } from '../family';
import { assumed, configOf, given, pairIn, sideOrPair, stored, type ConfigOf } from '../evidence';
import type { Pool } from '../heads/tokens';
import {
  publishedModels,
  publishedNamed,
  timmFact,
  type Published,
  type TimmFact,
} from '../published/published';
import { publishedArchitecture } from '../published/headers';
import { activationOf, decide, knownActivation, namesIn, sideOf, type Sources } from '../decide';
import type { Dialect, Habit } from '../dialect';
import { cutsOf, measure, type Measures } from './measure';
import { inPatches, positionedSize, positionLayout, unseen } from './patchGrid';
import type { NormOrder } from './plainBlocks';
import type { TableLayout } from './tableLayout';

/** A plain transformer as its names and shapes show it, and what else may be known of it. */
interface Opened {
  readonly sources: Sources<Published>;
  readonly measures: Measures;
}

/** What a code base does, as evidence; undefined if it leaves the fact to others. */
const habitual = <T extends ConfigValue>(habit: Habit<T> | undefined): Evidence<T> | undefined =>
  habit && (habit[2] ? assumed(habit[0], habit[1]) : stored(habit[0], habit[1]));

/** Whether attention has no projection behind its heads, in a code base that leaves it out. */
const isBare = ({ dialect, tensors }: Found): boolean =>
  dialect.habits?.bareAttention === true && !tensors.has('blocks.0.attn.proj.weight');

/** A warning of other models that names and shapes do not tell from this one. */
function namesakes({ dialect, tensors }: Found): readonly string[] {
  const others = dialect.habits?.namesakes?.(new Set(tensors.keys()));
  return others === undefined
    ? []
    : [`Names and shapes are also those of ${others}, which ${dialect.title} computes otherwise: check.`];
}

/** Heads by shapes: a norm or a kernel per head, or attention that needs no projection. */
function storedHeads({ sources: { found }, measures }: Opened): Evidence<number> | undefined {
  const { tensors, dialect } = found;
  const perHead = ['attn.q_norm', 'q_norm', 'attn.sub_norm', 'sub_norm']
    .map((name) => `blocks.0.${name}.weight`)
    .find((name) => tensors.has(name));
  if (perHead) return stored(measures.dim / sideOf(tensors, perHead, 0), `${perHead} is one head wide`);
  if (isBare(found))
    return stored(1, `no projection behind blocks.0.attn, which ${dialect.title} leaves out for one head`);
  const heads = dialect.heads?.(tensors);
  return heads === undefined ? undefined : stored(heads, 'blocks.0: query kernel [dim, heads, d]');
}

/**
 * Heads of the architecture of this name; of one that shares its name with weights of other sizes,
 * if it is one of those with the file's width.
 */
function impliedHeads({ published }: Sources<Published>, architecture: string): number | undefined {
  const named = publishedArchitecture(architecture)?.heads?.[0];
  if (named !== undefined) return named;
  const model = publishedNamed(architecture);
  return model && published.some(({ models }) => models === model.models) ? model.heads : undefined;
}

const dividesWidth = ({ inner }: Measures, heads: ConfigValue): boolean =>
  typeof heads === 'number' && heads > 0 && inner % heads === 0;

/**
 * Heads of the blocks: 64 channels each, as in Vaswani et al. 2017 and ViT, if nothing decides.
 * Throws if the user's number cannot be, whatever shapes determine.
 */
function headsOf(opened: Opened): Evidence<number> {
  const { sources, measures } = opened;
  const { inner } = measures;
  const each = sources.found.dialect.habits?.perHead?.(inner) ?? 64;
  const decided = decide(sources, 'heads', {
    config: 'heads',
    implied: (architecture) => impliedHeads(sources, architecture),
    published: ({ heads }) => heads,
    otherwise: assumed(nearestDivisor(inner, inner / each), `${each} per head; not stored in the weights`),
    is: (value) => dividesWidth(measures, value),
    needed: `a number that divides the width ${inner}`,
  });
  return storedHeads(opened) ?? decided;
}

/** What timm's entry functions set beside sizes, as one hyper-parameter may have it. */
interface Fact<T extends ConfigValue> {
  readonly config?: ConfigName | readonly string[];
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
  config: ['pool_include_prefix'],
  is: (value): value is boolean => typeof value === 'boolean',
  needed: 'true or false',
  usual: [false, true],
};

/** Orders of norms: behind the sums only where a code base may have them there. */
function normOrderIn({ habits }: Dialect): Fact<NormOrder> {
  const usual: readonly NormOrder[] = habits?.norm_order ? ['pre', 'post', 'after'] : ['pre', 'post'];
  return {
    is: (value): value is NormOrder => usual.some((order) => order === value),
    needed: usual.join(' or '),
    usual,
  };
}

const facts = { activation, eps, pool_prefix: poolPrefix } as const;

/**
 * A hyper-parameter that no weight holds, by a name of timm's or a published model; of neither if
 * the code base has habits of its own.
 */
function published<T extends ConfigValue>(
  { found }: Sources<Published>,
  key: TimmFact,
  is: (value: ConfigValue) => value is T,
) {
  if (found.dialect.habits) return {};
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
  const more = published(sources, key, is);
  return decide(sources, key, { config: config ?? [], ...more, otherwise, is, needed });
}

/** The classifier over the image tower of a dual encoder, as transformers has it. */
const towerClassifier = 'classifier.weight';

/** How the tokens become one vector, by the parts of the head. */
function storedPool({ sources: { found }, measures }: Opened): Evidence<Pool> {
  const { tensors, dialect } = found;
  const head = tensors.get('head.weight')?.shape[1];
  const mayPool = hasPooler(found);
  const habit = measures.classToken ? habitual<Pool>(dialect.habits?.pool) : undefined;
  if (tensors.has(towerClassifier))
    return stored<Pool>('avg', `${towerClassifier} reads the mean of the patches`);
  if (tensors.has('attn_pool.latent')) return stored<Pool>('map', 'attn_pool.latent');
  if (head === 2 * measures.dim)
    return stored<Pool>('token+avg', `head.weight reads ${head} = 2 × ${measures.dim} features`);
  if (habit) return habit;
  if (tensors.has('fc_norm.weight'))
    return stored<Pool>('avg', 'fc_norm: the last norm comes after the mean');
  if (!measures.classToken) return stored<Pool>('avg', 'no class token');
  return mayPool
    ? assumed<Pool>('token', 'a pooler is stored too, and the classifier may read what it makes')
    : stored<Pool>('token', classTokenSource(found));
}

/** Why the class token is read: timm gives the norm behind a mean another name. */
const classTokenSource = ({ dialect, tensors }: Found): string =>
  dialect.name === 'timm' && tensors.has('norm.weight')
    ? 'cls_token; the last norm is norm, which is fc_norm where timm takes the mean'
    : 'cls_token';

/**
 * Whether a classifier lies beside a pooler: the library's own classifiers have none, so that this
 * one may read the pooler's outputs or pass it by.
 */
const hasPooler = ({ tensors }: Found): boolean => tensors.has('pooler.weight') && tensors.has('head.weight');

/** Says what a classifier reads that may read something else. */
const doubtOfPooler = (found: Found, pool: Evidence<Pool>): readonly string[] =>
  pool.assumed && hasPooler(found)
    ? [
        `${found.tensors.get('pooler.weight')?.tensor.name ?? 'The pooler'} is not read: the classifier is taken to read the class token; set pool=pooler if it reads what the pooler makes.`,
      ]
    : [];

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
function possiblePools({ sources: { found }, measures }: Opened, own: Pool): readonly Pool[] {
  const fixed = own === 'map' || own === 'token+avg' || found.tensors.has(towerClassifier);
  if (fixed) return [own];
  // A classifier beside the network may read the class token and the mean of the patches.
  const wide = measures.classToken && !found.tensors.has('head.weight');
  return [
    ...poolsOver(measures),
    ...(hasPooler(found) ? (['pooler'] as const) : []),
    ...(wide ? (['token+avg'] as const) : []),
  ];
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
function usualOrder({ sources: { found }, measures }: Opened): Evidence<NormOrder> {
  const { dialect, tensors } = found;
  const habit = habitual(dialect.habits?.norm_order?.(new Set(tensors.keys())));
  if (habit) return habit;
  const scaled = measures.traits.split(' ').includes('ls');
  return dialect.name === 'timm' && tensors.has('fc_norm.weight') && !scaled
    ? assumed<NormOrder>('pre', 'norms come first in nearly every model')
    : stored<NormOrder>('pre', `norm1 and norm2, as ${dialect.title} builds blocks of these parts`);
}

/** Values offered for what may be set; heads by shapes leave no choice. */
function choicesOf(opened: Opened, heads: number): NonNullable<Described['choices']> {
  const normOrder = normOrderIn(opened.sources.found.dialect);
  const usual = Object.entries({ ...facts, norm_order: normOrder }).map(
    ([key, { usual }]) => [key, usual] as const,
  );
  const { inner, flattened } = opened.measures;
  return {
    ...Object.fromEntries(usual),
    ...(flattened !== undefined && { patch: cutsOf(flattened).map(({ patch }) => sideOrPair(patch)) }),
    heads: storedHeads(opened) ? [heads] : headsNear(inner, heads),
    pool: possiblePools(opened, storedPool(opened).value),
  };
}

/**
 * The layer whose outputs are counted as classes: a classifier, or a dual encoder's projection to
 * the joint space.
 */
function headSource({ sources: { found }, measures }: Opened): string {
  if (measures.classes === 0) return 'no classifier';
  const head = [towerClassifier, 'head.weight'].find((name) => found.tensors.has(name));
  return head ?? 'projection.weight: width of the joint space';
}

/** What models of a kind have where nothing says more, if their library usually has another. */
export interface UsualFacts {
  readonly activation?: Evidence<string>;
  readonly eps?: Evidence<number>;
  readonly resampling?: Evidence<ResamplingName>;
}

/** The patch as the user says, which a convolution's kernel must be; undefined if nobody does. */
function toldPatch({ found }: { readonly found: Found }): Size | undefined {
  const told = given(found, 'patch');
  const [, width = 0, ...kernel] = found.tensors.get('patch_embed.proj.weight')?.shape ?? [];
  if (!told) return undefined;
  const [height, across] = pairIn(told.value, 'patch');
  const fits =
    kernel.length === 0 ? width % (height * across) === 0 : kernel[0] === height && kernel[1] === across;
  if (fits) return [height, across];
  const needed =
    kernel.length === 0 ? `a patch holds ${width} values` : `the kernel is one of ${kernel.join(' × ')}`;
  throw new Error(`patch: ${String(told.value)} found; patch_embed.proj.weight: ${needed}`);
}

/**
 * Sides of a patch: a kernel's, or, of a code base that flattens whatever the user cuts, those that
 * are usual.
 */
function patchOf({ sources: { found }, measures }: Opened): Evidence<Sides> {
  const sides = sideOrPair(measures.patch);
  const { flattened, channels } = measures;
  const embedding = found.tensors.get('patch_embed.proj.weight');
  const { length: rank } = embedding?.tensor.shape ?? [];
  if (rank === 2 && embedding?.shape.length === 4)
    return assumed<Sides>(
      sides,
      `${embedding.tensor.name} reads flattened patches: channel by channel, as timm's first models did, is assumed`,
    );
  if (flattened === undefined || !found.dialect.habits) return stored(sides, 'patch_embed.proj.weight');
  const [height, width] = measures.patch;
  const why = `${flattened} values per patch, as ${height} × ${width} pixels of ${channels} channels have; a model of signals or volumes may have as many`;
  return toldPatch({ found }) ? stored(sides, 'given by the user') : assumed<Sides>(sides, why);
}

/** Zeros around the image, if the code base pads it or the user says so. */
function paddingOf({ sources }: Opened): Evidence<number> | undefined {
  const habit = habitual(sources.found.dialect.habits?.padding);
  if (!habit && !given(sources.found, 'padding')) return undefined;
  return decide(sources, 'padding', {
    otherwise: habit ?? stored(0, 'not padded'),
    is: (value) => typeof value === 'number' && Number.isInteger(value) && value >= 0,
    needed: 'a number of pixels',
  });
}

/** What the classifier's outputs go through, if the code base puts something behind it. */
function afterHead({ found }: Sources<Published>): Evidence<string> | undefined {
  const head = found.tensors.get('head.weight')?.tensor.name;
  return head === undefined ? undefined : habitual(found.dialect.habits?.afterHead?.(head));
}

/** What most blocks of these parts have: gated units are SwiGLU (Shazeer 2020). */
const likelyActivation = ({ traits }: Measures): Evidence<string> =>
  traits.split(' ').includes('gate')
    ? assumed('silu', 'as gated units (SwiGLU) mostly have; not stored in the weights')
    : assumed('gelu', 'not stored in the weights');

/**
 * The activation of the MLPs. A gate in the first half of fc1 is SiLU's (SwiGLU, Shazeer 2020)
 * unless timm was told another; transformers reads none for it.
 */
function mlpActivation({ sources, measures }: Opened, usual: Evidence<string> | undefined): Evidence<string> {
  const { dialect, tensors } = sources.found;
  if (tensors.get('blocks.0.mlp.fc1.weight')?.shape[0] === 2 * measures.mlp)
    return activationOf(sources, stored('silu', 'blocks.0.mlp.fc1 holds a gate: SwiGLU'), {
      config: dialect.name === 'timm' ? 'activation' : [],
    });
  const gate = tensors.has('blocks.0.mlp.fc1_g.weight') ? habitual(dialect.habits?.gate) : undefined;
  if (gate) return activationOf(sources, gate, { config: [] });
  const otherwise = habitual(dialect.habits?.activation) ?? usual ?? likelyActivation(measures);
  return activationOf(sources, otherwise, {
    config: 'activation',
    ...published(sources, 'activation', activation.is),
  });
}

/** The hyper-parameters, in the order in which people see them. */
function evidenceOf(
  opened: Opened,
  layout: TableLayout,
  imageSize: Evidence<Size>,
  { activation: usual, eps: usualEps, resampling: way }: UsualFacts,
) {
  const { sources, measures } = opened;
  const { dialect } = sources.found;
  const { depth, registers } = measures;
  const { habits } = dialect;
  const prefix = measures.classToken ? habitual(habits?.pool_prefix) : undefined;
  const [padding, after] = [paddingOf(opened), afterHead(sources)];
  return {
    dim: stored(measures.dim, 'patch_embed.proj.weight'),
    depth: stored(depth, depth === 1 ? 'blocks.0' : `blocks.0 … blocks.${depth - 1}`),
    heads: headsOf(opened),
    mlp_ratio: stored(measures.mlp / measures.dim, 'hidden width of blocks.0'),
    patch: patchOf(opened),
    ...(padding && { padding }),
    channels: stored(measures.channels, 'patch_embed.proj.weight'),
    image_size: imageSize,
    grid: layout.grid,
    position_slots: layout.slots,
    registers: stored(registers, registers > 0 ? 'reg_token' : 'no register tokens'),
    classes: stored(measures.classes, headSource(opened)),
    activation: mlpActivation(opened, usual),
    eps: fact(sources, 'eps', eps, usualEps ?? assumed(dialect.eps, `default of ${dialect.title}`)),
    pool: poolOf(opened),
    pool_prefix: fact(
      sources,
      'pool_prefix',
      poolPrefix,
      prefix ?? stored(false, 'special tokens are left out of the mean'),
    ),
    norm_order: fact(sources, 'norm_order', normOrderIn(dialect), usualOrder(opened)),
    ...(after && { after_head: after }),
    resampling:
      way ?? stored<ResamplingName>(dialect.resampling[registers > 0 ? 1 : 0], `as ${dialect.title} does`),
  };
}

/** What a plain transformer is built by. */
export type PlainConfig = Omit<ConfigOf<ReturnType<typeof evidenceOf>>, 'patch'> & {
  readonly patch: Size;
  readonly bare_attention: boolean;
  /** Positions that no table holds. */
  readonly sincos: boolean;
};

/** What a plain transformer's names and shapes, config and published models settle. */
type Plain = Opened &
  Pick<Recognised<PlainConfig>, 'config' | 'evidence' | 'choices' | 'imageSize' | 'warnings'>;

/** Image size of a model that computes its positions, which take any. */
const usualSize: Size = [224, 224];

/** Whether the positions are computed: no table is stored, and the code base computes them. */
const computesPositions = ({ dialect, tensors }: Found): boolean =>
  dialect.habits?.positions === 'sincos' && !tensors.has('pos_embed');

/** The positions' grid and the image that fills it; undefined if there are no positions. */
function placesOf(
  found: Found,
  measures: Measures,
  names: readonly string[],
): { readonly layout: TableLayout; readonly size: Size; readonly source: string } | undefined {
  if (computesPositions(found)) {
    const told = positionedSize(
      { found, measures },
      { slots: stored(0, ''), grid: stored(inPatches(usualSize, measures.patch), ''), warnings: [] },
    );
    const known = told.source !== 'the position table';
    const grid = inPatches(told.size, measures.patch);
    const slots = stored(0, 'positions are sines and cosines of the place, of patches alone');
    const source = known ? told.source : 'the usual size; the positions are computed for any';
    const layout = { slots, grid: known ? stored(grid, source) : assumed(grid, source), warnings: [] };
    return { layout, size: told.size, source: known ? source : `assumed: ${source}` };
  }
  const patchesAlone = found.dialect.habits?.positions === 'patches';
  const specials = patchesAlone && { classToken: false, distillationToken: false, registers: 0 };
  const placed = { found, measures: { ...measures, ...specials } };
  const layout = measures.positions > 0 ? positionLayout(placed, names) : undefined;
  return layout && { layout, ...positionedSize(placed, layout) };
}

/**
 * Settles the hyper-parameters of a plain transformer; undefined if one of its parts is missing.
 */
export function settlePlain(found: Found, usual: UsualFacts = {}): Plain | undefined {
  const measures = measure(found.tensors, toldPatch({ found }));
  if (!measures || measures.depth === 0) return undefined;
  const sources = { found, published: publishedModels(measures, found.dialect.name) };
  const named = configuredArchitecture(found.checkpoint);
  const places = placesOf(found, measures, named ? [named] : namesIn(sources));
  if (!places) return undefined;
  const opened = { sources, measures };
  const { layout, size, source } = places;
  const guessed = layout.grid.assumed && /^(?:assumed: |the position table)/.test(source);
  const settled = evidenceOf(opened, layout, { value: size, source, assumed: guessed }, usual);
  return {
    ...opened,
    config: {
      ...configOf(settled),
      patch: measures.patch,
      bare_attention: isBare(found),
      sincos: computesPositions(found),
    },
    evidence: settled,
    choices: choicesOf(opened, settled.heads.value),
    imageSize: size,
    warnings: [
      ...layout.warnings,
      ...unseen(found, measures.patch),
      ...namesakes(found),
      ...doubtOfPooler(found, settled.pool),
    ],
  };
}
