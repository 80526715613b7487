import { at } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import type { ResamplingName } from '../blocks/positions';
import type { Coordinates, Pairing } from '../blocks/rotary';
import { configured, configuredArchitecture } from '../config';
import { headsNear, nearestDivisor } from '../divisors';
import type { ConfigValue, Evidence, Found, Described, Recognised } from '../family';
import { assumed, configOf, pairIn, sideOrPair, stored } from '../evidence';
import { measure, type Measures } from '../groups/measure';
import { positionedSize, positionLayout, unseen } from '../groups/patchGrid';
import { poolsOver } from '../groups/plainConfig';
import type { TableLayout } from '../groups/tableLayout';
import type { Pool } from '../heads/tokens';
import { titleOf } from '../names';
import {
  classesOf,
  decide,
  imageSizeOf,
  namesOf,
  recognisedFrom,
  sourcesOf,
  type Question,
  type SettledSize,
  type Sources,
  namesIn,
} from '../decide';
import { evaKindOf, type EvaKind, type Rope } from './kinds';

interface Opened {
  readonly sources: Sources;
  readonly tensors: Found['tensors'];
  readonly measures: Measures;
  readonly kind: EvaKind;
  readonly layout: TableLayout | undefined;
}

const isPositive = (value: ConfigValue): value is number => typeof value === 'number' && value > 0;
const isGrid = (value: ConfigValue): boolean =>
  isPositive(value) || (Array.isArray(value) && value.length === 2 && value.every(isPositive));

/**
 * What a hyper-parameter may be, under which keys a config gives it, and the values that models
 * have.
 */
interface Fact<T extends ConfigValue> extends Pick<Question<T>, 'config' | 'words' | 'is' | 'needed'> {
  readonly choices?: readonly T[];
}

/** A hyper-parameter with few values, and those. */
const oneOf = <T extends string>(...words: readonly T[]) => ({
  is: (value: ConfigValue) => words.some((word) => word === String(value)),
  needed: words.join(' or '),
  choices: words,
});

const rope: Fact<Rope> = {
  config: ['rope_type'],
  words: { cat: 'axial', dinov3: 'centred' },
  ...oneOf<Rope>('none', 'axial', 'centred'),
};

const temperature: Fact<number> = {
  config: ['rope_temperature', 'rope_theta'],
  is: isPositive,
  needed: 'a positive number',
  choices: [100, 10000],
};

const indexing: Fact<Coordinates['indexing']> = {
  config: ['rope_grid_indexing'],
  ...oneOf<Coordinates['indexing']>('ij', 'xy'),
};

const offset: Fact<number> = {
  config: ['rope_grid_offset'],
  is: (value) => typeof value === 'number',
  needed: 'a number',
  choices: [0, 1],
};

const pairing: Fact<Pairing> = {
  config: ['rope_rotate_half'],
  words: { true: 'half', false: 'interleaved' },
  ...oneOf<Pairing>('interleaved', 'half'),
};

const referenceGrid: Fact<number | Grid> = {
  config: ['ref_feat_shape'],
  is: isGrid,
  needed: 'two numbers [rows, columns]',
};

const order: Fact<'pre' | 'post'> = {
  config: ['use_post_norm'],
  words: { true: 'post', false: 'pre' },
  ...oneOf<'pre' | 'post'>('pre', 'post'),
};

const eps: Fact<number> = {
  config: ['layer_norm_eps'],
  is: (value) => typeof value === 'number' && value >= 0 && value < 1,
  needed: 'a number from 0 to 1',
  choices: [1e-5, 1e-6],
};

/** Values offered for what may be set, by the keys of the evidence. */
const offered: Readonly<Record<string, Fact<ConfigValue>['choices']>> = {
  rope: rope.choices,
  rope_temperature: temperature.choices,
  rope_indexing: indexing.choices,
  rope_offset: offset.choices,
  rope_pairing: pairing.choices,
  norm_order: order.choices,
  eps: eps.choices,
};

/** A hyper-parameter that no weight holds: sure if config.json or a published name does. */
function factOf<T extends ConfigValue>(
  { sources, kind }: Opened,
  key: string,
  fact: Fact<T>,
  value: T,
): Evidence<T> {
  return decide<T>(sources, key, {
    ...fact,
    named: [[kind.published, value]],
    otherwise: assumed<T>(value, 'as published models with these parts have it; not stored in the weights'),
  });
}

/** How queries and keys are turned; without it they are not. */
export type RotationConfig =
  | { readonly rope: 'none' }
  | (Coordinates & {
      readonly rope: Exclude<Rope, 'none'>;
      readonly temperature: number;
      readonly pairing: Pairing;
    });

/**
 * Grid to which positions are rescaled: the user's, else that of a published name, else the usual
 * one.
 */
function referenceOf(opened: Opened): Evidence<number | Grid> | undefined {
  const { kind, layout, sources } = opened;
  const named = kind.referenceGrids?.find(([name]) => namesOf(sources).some((each) => name.test(each)));
  const usual = kind.rope_ref_grid === 'table' ? layout?.grid.value : kind.rope_ref_grid;
  const given = sources.found.assume['rope_ref_grid'];
  const told = configured(sources.found.checkpoint, referenceGrid.config ?? []);
  const otherwise = named?.[1] ?? usual;
  if (given === undefined && told === undefined && otherwise === undefined) return undefined;
  return factOf(opened, 'rope_ref_grid', referenceGrid, otherwise ?? 1);
}

/** How queries and keys are turned, as people see it, and as it is built. */
function rotationOf(opened: Opened) {
  const { kind } = opened;
  const turning =
    kind.rope === 'mixed' ? stored<Rope>('mixed', 'rope.freqs') : factOf(opened, 'rope', rope, kind.rope);
  if (turning.value === 'none')
    return { evidence: { rope: turning }, config: { rope: turning.value } } as const;
  const reference = referenceOf(opened);
  const evidence = {
    rope: turning,
    rope_temperature: factOf(opened, 'rope_temperature', temperature, kind.rope_temperature ?? 10000),
    rope_indexing: factOf(opened, 'rope_indexing', indexing, kind.rope_indexing ?? 'ij'),
    rope_offset: factOf(opened, 'rope_offset', offset, kind.rope_offset ?? 0),
    rope_pairing: factOf(opened, 'rope_pairing', pairing, kind.rope_pairing ?? 'interleaved'),
    ...(reference && { rope_ref_grid: reference }),
  };
  const config: RotationConfig = {
    rope: turning.value,
    kind: turning.value === 'centred' ? 'centred' : 'index',
    temperature: evidence.rope_temperature.value,
    indexing: evidence.rope_indexing.value,
    offset: evidence.rope_offset.value,
    pairing: evidence.rope_pairing.value,
    ...(reference && { reference: pairIn(reference.value, 'rope_ref_grid') }),
  };
  return { evidence, config };
}

/** Heads by shapes: a norm of queries per head, or learned frequencies for each. */
function storedHeads({ tensors }: Opened, width: number): Evidence<number> | undefined {
  const perHead = tensors.get('blocks.0.attn.q_norm.weight')?.shape[0];
  const learned = tensors.get('rope.freqs')?.shape[2];
  if (learned !== undefined) return stored(learned, 'rope.freqs: learned frequencies of every head');
  return perHead === undefined ? undefined : stored(width / perHead, 'blocks.0.attn.q_norm is one head wide');
}

/**
 * 64 channels per head or the nearest that fits; a multiple of 4, which rotation needs, if there is
 * one.
 */
const usualHeads = (width: number): number => nearestDivisor(width % 4 === 0 ? width / 4 : width, width / 64);

/**
 * Perception Encoders, the only kind that pools by attention, do it with 8 heads whatever their
 * width.
 */
const poolingHeads = 8;

/** Heads of the pooling by attention, if the user does not say them with the blocks'. */
const poolHeadsOf = ({ sources, kind }: Opened, width: number, heads: number): number =>
  decide(sources, 'pool_heads', {
    config: ['attn_pool_num_heads'],
    otherwise: stored(kind.label === 'perception-encoder' ? poolingHeads : heads, 'as timm builds it'),
    is: (value) => typeof value === 'number' && value > 0 && width % value === 0,
    needed: `a number that divides the width ${width}`,
  }).value;

/** Heads of the blocks, and of the pooling by attention if there is one. */
function headsOf(opened: Opened) {
  const { sources, tensors, measures } = opened;
  const width =
    tensors.get('blocks.0.attn.q_proj.weight')?.shape[0] ??
    tensors.get('blocks.0.attn.proj.weight')?.shape[1] ??
    measures.dim;
  const heads: Evidence<number | readonly number[]> =
    storedHeads(opened, width) ??
    decide<number | readonly number[]>(sources, 'heads', {
      config: ['num_heads', 'num_attention_heads'],
      published: (model) => model.heads?.[0],
      otherwise: assumed(usualHeads(width), '64 per head; not stored in the weights'),
      is: (value) => [value].flat().every((each) => Number(each) > 0 && width % Number(each) === 0),
      needed: `a number that divides the width ${width}`,
    });
  const numbers = [heads.value].flat().map(Number);
  const first = at(numbers, 0);
  const pooling = numbers[1] ?? poolHeadsOf(opened, width, first);
  const pooled = tensors.has('attn_pool.latent');
  const source = `${heads.source}; the last of the pooling`;
  const shown: Evidence<number | readonly number[]> = pooled
    ? { ...heads, value: [first, pooling], source }
    : { ...heads, value: first };
  return {
    evidence: { heads: shown, head_dim: stored(width / first, 'width of the queries by heads') },
    config: { heads: first, poolHeads: pooled ? pooling : first },
  };
}

/** Ways to pool whose parts are stored. */
const poolsOf = ({ tensors, measures }: Opened): readonly Pool[] =>
  tensors.has('attn_pool.latent') ? ['map'] : poolsOver(measures);

/** How the tokens become one vector, by the parts of the head; undefined if they leave it open. */
function storedPool({ tensors, measures, sources }: Opened): Evidence<Pool> | undefined {
  if (tensors.has('attn_pool.latent')) return stored<Pool>('map', 'attn_pool.latent');
  if (tensors.has('fc_norm.weight'))
    return stored<Pool>('avg', 'fc_norm: the last norm comes after the mean');
  if (!measures.classToken) return stored<Pool>('avg', 'no class token');
  return sources.found.dialect.name === 'transformers'
    ? stored<Pool>('token', 'as Hugging Face transformers does')
    : undefined;
}

function poolOf(opened: Opened): Evidence<Pool> {
  const { sources, tensors, kind } = opened;
  const told = storedPool(opened);
  // LingBot-Vision has the names and shapes of DINOv3 with biases and pools otherwise: a published
  // header is that of both.
  const twins = kind.label === 'dinov3' && tensors.has('blocks.0.attn.q_bias');
  const named = configuredArchitecture(sources.found.checkpoint) !== undefined || !twins;
  const rows: Question<Pool>['named'] = [
    [/lingbot/, 'token'],
    [kind.published, kind.pool],
  ];
  return decide<Pool>(sources, 'pool', {
    config: ['global_pool'],
    ...oneOf(...poolsOf(opened)),
    named: told || !named ? [] : rows,
    otherwise: told ?? assumed<Pool>(kind.pool, 'as published models with these parts do'),
  });
}

/** Activation of the MLP: SiLU gates every SwiGLU. */
function mlpActivation({ sources, tensors, measures }: Opened): Evidence<string> {
  const gate = tensors.has('blocks.0.mlp.fc1_g.weight') ? 'fc1_g' : 'fc1';
  const gated = gate === 'fc1_g' || tensors.get('blocks.0.mlp.fc1.weight')?.shape[0] === 2 * measures.mlp;
  return decide(sources, 'activation', {
    config: ['hidden_act'],
    ...oneOf('gelu', 'silu', 'gelu_tanh', 'quick_gelu', 'relu'),
    otherwise: gated
      ? stored('silu', `blocks.0.mlp.${gate} holds a gate: SwiGLU`)
      : stored('gelu', 'as timm builds blocks of these parts'),
  });
}

/** Norms come first, but for one published model with the names of others. */
function orderOf({ sources, kind }: Opened): Evidence<'pre' | 'post'> {
  const usual = stored<'pre' | 'post'>('pre', 'as published models with these parts have it');
  if (kind.label !== 'eva')
    return decide<'pre' | 'post'>(sources, 'norm_order', { ...order, otherwise: usual });
  return decide<'pre' | 'post'>(sources, 'norm_order', {
    ...order,
    named: [
      [/enormous/, 'post'],
      [kind.published, 'pre'],
    ],
    otherwise: assumed<'pre' | 'post'>('pre', 'norms come first in nearly every model'),
  });
}

/** Table of absolute positions, if there is one. */
function tableOf({ layout, sources }: Opened): {
  readonly grid?: Evidence<Grid>;
  readonly resampling?: Evidence<ResamplingName>;
} {
  const { dialect } = sources.found;
  return layout
    ? {
        grid: layout.grid,
        resampling: stored<ResamplingName>(dialect.resampling[0], `as ${dialect.title} does`),
      }
    : {};
}

function partsOf(opened: Opened) {
  const { tensors, measures, layout } = opened;
  return {
    dim: stored(measures.dim, 'patch_embed.proj.weight'),
    depth: stored(measures.depth, 'blocks'),
    mlp_ratio: stored(measures.mlp / measures.dim, 'blocks.0.mlp.fc2.weight'),
    patch: stored(sideOrPair(measures.patch), 'patch_embed.proj.weight'),
    channels: stored(measures.channels, 'patch_embed.proj.weight'),
    registers: stored(measures.registers, measures.registers > 0 ? 'reg_token' : 'no register tokens'),
    classes: classesOf(tensors, 'head'),
    position_slots: layout?.slots ?? stored(0, 'no position table'),
    ...tableOf(opened),
  };
}
/** The hyper-parameters, in the order in which people see them, and what is built by them. */
function settle(opened: Opened, imageSize: Evidence<Size>) {
  const heads = headsOf(opened);
  const rotation = rotationOf(opened);
  const settled = {
    ...partsOf(opened),
    ...heads.evidence,
    image_size: imageSize,
    ...rotation.evidence,
    eps: factOf(opened, 'eps', eps, opened.kind.eps),
    activation: mlpActivation(opened),
    pool: poolOf(opened),
    pool_prefix: stored(
      opened.tensors.has('attn_pool.latent'),
      'special tokens are pooled by attention alone',
    ),
    norm_order: orderOf(opened),
  };
  return {
    evidence: settled,
    config: {
      ...configOf(settled),
      ...heads.config,
      patch: opened.measures.patch,
      rotation: rotation.config,
    },
  };
}

/** What a model of timm's eva.py is built by. */
export type EvaConfig = ReturnType<typeof settle>['config'];

/**
 * Settles what names and shapes, config and published models determine of a file of timm's
 * eva.py; undefined if a part is missing.
 */
export function recogniseEva(found: Found): Recognised<EvaConfig> | undefined {
  const { tensors } = found;
  const measures = measure(tensors);
  const kind = measures && evaKindOf(tensors, measures, configuredArchitecture(found.checkpoint));
  if (!measures || !kind) return undefined;
  const sources = sourcesOf(found);
  const layout = measures.positions > 0 ? positionLayout({ found, measures }, namesIn(sources)) : undefined;
  const opened = { sources, tensors, measures, kind, layout };
  const { imageSize, evidence: sized } = sizeOf(opened);
  const { evidence, config } = settle(opened, sized);
  const recognised = recognisedFrom(sources, {
    label: kind.label,
    title: titleOf(kind.label, measures),
    config,
    evidence,
    imageSize,
    sizeStep: measures.patch,
    pixels: kind.pixels,
    choices: choicesOf(opened, Object.keys(evidence), config.heads),
    warnings: [...(layout?.warnings ?? []), ...unseen(found, measures.patch)],
  });
  return found.dialect.dualEncoder ? { ...recognised, task: 'features' } : recognised;
}

function sizeOf({ sources, measures, layout }: Opened): SettledSize {
  if (!layout) return imageSizeOf(sources);
  const { size, source } = positionedSize({ found: sources.found, measures }, layout);
  return { imageSize: size, evidence: { value: size, source, assumed: layout.grid.assumed } };
}

function choicesOf(
  opened: Opened,
  keys: readonly string[],
  heads: number,
): NonNullable<Described['choices']> {
  const few = Object.entries(offered).flatMap(([key, choices]) =>
    choices && keys.includes(key) ? [[key, choices] as const] : [],
  );
  return {
    ...Object.fromEntries(few),
    heads: headsNear(opened.measures.dim, heads),
    pool: poolsOf(opened),
  };
}
