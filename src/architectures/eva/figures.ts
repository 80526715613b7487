import { configuredArchitecture } from '../config';
import type { ConfigValue, Evidence, Found, EvidenceRecord, Recognised } from '../family';
import { assumed, headsNear, numbersOf, sideOrPair, stored } from '../figures';
import { titleOf } from '../names';
import {
  classesOf,
  decide,
  imageSizeOf,
  namesOf,
  nearestDivisor,
  recognisedFrom,
  sourcesOf,
  type Question,
  type Sources,
} from '../sources';
import { evaKindOf, type EvaKind } from './kinds';
import { measure, type Measures } from '../groups/measure';
import { positionedSize, positionLayout, unseen } from '../groups/plainFigures';
import type { TableLayout } from '../groups/tableLayout';

interface Opened {
  readonly sources: Sources;
  readonly tensors: Found['tensors'];
  readonly measures: Measures;
  readonly kind: EvaKind;
  readonly layout: TableLayout | undefined;
}

const isPositive = (value: ConfigValue): boolean => typeof value === 'number' && value > 0;
const isGrid = (value: ConfigValue): boolean =>
  isPositive(value) || (Array.isArray(value) && value.length === 2 && value.every(isPositive));

/** A figure with few values, and those. */
const oneOf = (...words: readonly string[]) => ({
  is: (value: ConfigValue) => words.includes(String(value)),
  needed: words.join(' or '),
  choices: words,
});

interface Figure extends Pick<Question<ConfigValue>, 'config' | 'is' | 'needed'> {
  readonly choices?: readonly ConfigValue[];
}

/** What a fact of the kind may be, and where a config gives it. */
const facts = {
  rope: oneOf('none', 'axial', 'centred'),
  rope_temperature: {
    config: ['rope_temperature', 'rope_theta'],
    is: isPositive,
    needed: 'a positive number',
    choices: [100, 10000],
  },
  rope_indexing: { config: ['rope_grid_indexing'], ...oneOf('ij', 'xy') },
  rope_offset: {
    config: ['rope_grid_offset'],
    is: (value) => typeof value === 'number',
    needed: 'a number',
    choices: [0, 1],
  },
  rope_pairing: oneOf('interleaved', 'half'),
  rope_ref_grid: { config: ['ref_feat_shape'], is: isGrid, needed: 'two numbers [rows, columns]' },
  norm_order: oneOf('pre', 'post'),
  eps: {
    config: ['layer_norm_eps'],
    is: (value) => typeof value === 'number' && value >= 0 && value < 1,
    needed: 'a number from 0 to 1',
    choices: [1e-5, 1e-6],
  },
} as const satisfies Readonly<Record<string, Figure>>;

/** A fact that no weight tells: sure where config.json or a published name does. */
function fact({ sources, kind }: Opened, key: keyof typeof facts, value: ConfigValue): Evidence {
  return decide(sources, key, {
    ...facts[key],
    named: [[kind.published, value]],
    otherwise: assumed(value, 'as published models with these parts have it; not stored in the weights'),
  });
}

/** How queries and keys are turned. */
function rotationFigures(found: Opened): EvidenceRecord {
  const { kind, layout, sources } = found;
  const rope = kind.rope === 'mixed' ? stored('mixed', 'rope.freqs') : fact(found, 'rope', kind.rope);
  if (rope.value === 'none') return { rope };
  const named = kind.referenceGrids?.find(([name]) => namesOf(sources).some((each) => name.test(each)));
  const usual = kind.rope_ref_grid === 'table' ? layout?.grid.value : kind.rope_ref_grid;
  const reference = sources.found.assume['rope_ref_grid'] ?? named?.[1] ?? usual;
  return {
    rope,
    rope_temperature: fact(found, 'rope_temperature', kind.rope_temperature ?? 10000),
    rope_indexing: fact(found, 'rope_indexing', kind.rope_indexing ?? 'ij'),
    rope_offset: fact(found, 'rope_offset', kind.rope_offset ?? 0),
    rope_pairing: fact(found, 'rope_pairing', kind.rope_pairing ?? 'interleaved'),
    ...(reference !== undefined && { rope_ref_grid: fact(found, 'rope_ref_grid', reference) }),
  };
}

/** Heads that shapes tell: a norm of queries per head, or learned frequencies for each. */
function storedHeads({ tensors }: Opened, width: number): Evidence | undefined {
  const perHead = tensors.get('blocks.0.attn.q_norm.weight')?.shape[0];
  const learned = tensors.get('rope.freqs')?.shape[2];
  if (learned !== undefined) return stored(learned, 'rope.freqs: learned frequencies of every head');
  return perHead === undefined ? undefined : stored(width / perHead, 'blocks.0.attn.q_norm is one head wide');
}

/** 64 channels per head or the nearest that fits; a multiple of 4, which rotation needs, where there is one. */
const usualHeads = (width: number): number => nearestDivisor(width % 4 === 0 ? width / 4 : width, width / 64);

/** Heads of the blocks, and of the pooling by attention where there is one. */
function headFigures(found: Opened): EvidenceRecord {
  const { sources, tensors, measures } = found;
  const width =
    tensors.get('blocks.0.attn.q_proj.weight')?.shape[0] ??
    tensors.get('blocks.0.attn.proj.weight')?.shape[1] ??
    measures.dim;
  const heads =
    storedHeads(found, width) ??
    decide(sources, 'heads', {
      config: ['num_heads', 'num_attention_heads'],
      published: (model) => model.heads?.[0],
      otherwise: assumed(usualHeads(width), '64 per head; not stored in the weights'),
      is: (value) => [value].flat().every((each) => Number(each) > 0 && width % Number(each) === 0),
      needed: `a number that divides the width ${width}`,
    });
  const [first, pooling] = [heads.value].flat().map(Number);
  const pooled = tensors.has('attn_pool.latent');
  return {
    // Perception Encoders, the only kind that pools by attention, do it with 8 heads whatever their width.
    heads: pooled
      ? { ...heads, value: [first!, pooling ?? 8], source: `${heads.source}; the last of the pooling` }
      : { ...heads, value: first! },
    head_dim: stored(width / first!, 'width of the queries by heads'),
  };
}

/** Ways to pool whose parts are stored. */
function poolsOf({ tensors, measures }: Opened): readonly string[] {
  if (tensors.has('attn_pool.latent')) return ['map'];
  return [...(measures.classToken ? ['token'] : []), 'avg', 'avgmax', 'max'];
}

function poolOf(found: Opened): Evidence {
  const { sources, tensors, measures, kind } = found;
  const told =
    (tensors.has('attn_pool.latent') && stored('map', 'attn_pool.latent')) ||
    (tensors.has('fc_norm.weight') && stored('avg', 'fc_norm: the last norm comes after the mean')) ||
    (!measures.classToken && stored('avg', 'no class token')) ||
    (sources.found.dialect.name === 'transformers' && stored('token', 'as Hugging Face transformers does'));
  // LingBot-Vision has the names and shapes of DINOv3 with biases and pools otherwise: a published header is that of both.
  const twins = kind.label === 'dinov3' && tensors.has('blocks.0.attn.q_bias');
  const named = configuredArchitecture(sources.found.checkpoint) !== undefined || !twins;
  return decide(sources, 'pool', {
    config: ['global_pool'],
    ...oneOf(...poolsOf(found)),
    named:
      told || !named
        ? []
        : [
            [/lingbot/, 'token'],
            [kind.published, kind.pool],
          ],
    otherwise: told || assumed(kind.pool, 'as published models with these parts do'),
  });
}

/** Activation of the MLP: SiLU gates every SwiGLU. */
function activationOf({ sources, tensors, measures }: Opened): Evidence {
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
function orderOf(found: Opened): Evidence {
  if (found.kind.label !== 'eva') return stored('pre', `as published models with these parts have it`);
  return decide(found.sources, 'norm_order', {
    ...facts.norm_order,
    named: [
      [/enormous/, 'post'],
      [found.kind.published, 'pre'],
    ],
    otherwise: assumed('pre', 'norms come first in nearly every model'),
  });
}

function partFigures(found: Opened): EvidenceRecord {
  const { tensors, measures, layout, sources } = found;
  const { dialect } = sources.found;
  return {
    dim: stored(measures.dim, 'patch_embed.proj.weight'),
    depth: stored(measures.depth, 'blocks'),
    mlp_ratio: stored(measures.mlp / measures.dim, 'blocks.0.mlp.fc2.weight'),
    patch: stored(sideOrPair(measures.patch), 'patch_embed.proj.weight'),
    channels: stored(measures.channels, 'patch_embed.proj.weight'),
    registers: stored(measures.registers, measures.registers > 0 ? 'reg_token' : 'no register tokens'),
    classes: classesOf(tensors, 'head'),
    position_slots: layout?.slots ?? stored(0, 'no position table'),
    ...(layout && {
      grid: layout.grid,
      resampling: stored(dialect.resampling[0], `as ${dialect.title} does`),
    }),
  };
}

/** Everything that names and shapes, config and published models say of a file of timm's eva.py; undefined where a part is missing. */
export function recogniseEva(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const measures = measure(tensors);
  const kind = measures && evaKindOf(tensors, measures);
  if (!measures || !kind) return undefined;
  const sources = sourcesOf(evidences);
  const layout = measures.positions > 0 ? positionLayout({ evidences, measures }) : undefined;
  const found = { sources, tensors, measures, kind, layout };
  const { imageSize, figure } = sizeOf(found);
  const heads = headFigures(found);
  const figures: EvidenceRecord = {
    ...partFigures(found),
    ...heads,
    image_size: figure,
    ...rotationFigures(found),
    eps: fact(found, 'eps', found.kind.eps),
    activation: activationOf(found),
    pool: poolOf(found),
    pool_prefix: stored(tensors.has('attn_pool.latent'), 'special tokens are pooled by attention alone'),
    norm_order: orderOf(found),
  };
  const recognised = recognisedFrom(sources, {
    label: found.kind.label,
    title: titleOf(found.kind.label, measures),
    evidence: figures,
    imageSize,
    sizeStep: measures.patch,
    pixels: found.kind.pixels,
    choices: choicesOf(found, figures),
    warnings: [...(layout?.warnings ?? []), ...unseen({ evidences, measures })],
  });
  return evidences.dialect.dualEncoder ? { ...recognised, task: 'features' } : recognised;
}

function sizeOf({ sources, measures, layout }: Opened): ReturnType<typeof imageSizeOf> {
  if (!layout) return imageSizeOf(sources);
  const { size, source } = positionedSize({ evidences: sources.found, measures }, layout);
  return { imageSize: size, figure: { value: size, source, assumed: layout.grid.assumed } };
}

function choicesOf(found: Opened, figures: EvidenceRecord): NonNullable<Recognised['choices']> {
  const [heads] = numbersOf(figures, 'heads');
  const few = Object.entries<Figure>(facts).flatMap(([key, { choices }]) =>
    choices && key in figures ? [[key, choices] as const] : [],
  );
  return {
    ...Object.fromEntries(few),
    heads: headsNear(found.measures.dim, heads!),
    pool: poolsOf(found),
  };
}
