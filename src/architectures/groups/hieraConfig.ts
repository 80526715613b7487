import { at, last } from '../../domain/lists';
import type { Size } from '../../domain/size';
import { nearestDivisor } from '../divisors';
import type { ConfigValue, Evidence, Found } from '../family';
import { assumed, configOf, numbersIn, stored } from '../evidence';
import { sizeTitle, type Sizes } from '../sizes';
import { type Sources, activationOf, classesOf, decide, shapeOf } from '../decide';
import { epsOf } from './isotropicConfig';

/** Sizes of Ryali et al. 2023 (Hiera, table 2). */
const sizes: Sizes = {
  '1,2,7,2 96': 'T',
  '1,2,11,2 96': 'S',
  '2,3,16,3 96': 'B',
  '2,3,16,3 112': 'B+',
  '2,6,36,4 144': 'L',
  '2,6,36,4 256': 'H',
};

/** What both Hieras show of themselves. */
export type HieraEvidence = Readonly<
  Record<'depth' | 'dim' | 'heads' | 'mlp_ratio', Evidence<readonly number[]>> &
    Record<'patch' | 'channels' | 'eps' | 'classes', Evidence<number>> &
    Record<'activation' | 'pool', Evidence<string>> & {
      patch_stride: Evidence<number | readonly number[]>;
    }
>;

/** What both Hieras are built by. */
export interface HieraConfig {
  readonly depth: readonly number[];
  /** Heads of each stage. */
  readonly heads: readonly number[];
  readonly eps: number;
  readonly activation: string;
  readonly channels: number;
  /** Pixels from one patch to the next. */
  readonly patchStride: Size;
}

/** `Hiera-B+` */
export const hieraTitle = (name: string, { depth, dim }: HieraEvidence): string =>
  sizeTitle(name, sizes, depth.value, dim.value);

/** Hyper-parameters of Hiera that the user may set. */
export const hieraAssumable = ['heads', 'activation', 'eps', 'patch_stride'] as const;

/** Two sides of one number for both, or of two. */
export const sidesIn = (value: ConfigValue): Size => {
  const sides = numbersIn(value);
  return [at(sides, 0), last(sides)];
};

/** The config that the hyper-parameters settle. */
export const hieraConfig = (settled: HieraEvidence): HieraConfig => ({
  ...configOf(settled),
  patchStride: sidesIn(settled.patch_stride.value),
});

/** A stage as the weights show it. */
interface StoredStage {
  /** Path of its first block. */
  readonly first: string;
  readonly dim: number;
  readonly depth: number;
}

/**
 * The stages of the blocks `blocks.4`, or `stages.2.blocks.1` if they are counted in each stage. A
 * block that widens begins a stage; none if the very first one does.
 */
function stagesOf(tensors: Found['tensors']): readonly StoredStage[] {
  const paths = [...tensors.keys()]
    .flatMap((name) => /^((?:stages\.\d+\.)?blocks\.\d+)\.attn\.qkv\.weight$/.exec(name)?.[1] ?? [])
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const stages: { first: string; dim: number; depth: number }[] = [];
  for (const first of paths) {
    const [rows, width = 0] = shapeOf(tensors, `${first}.attn.qkv.weight`);
    const widens = rows !== 3 * width;
    const stage = stages.at(-1);
    if (!stage && widens) return [];
    if (stage && !widens) stage.depth++;
    else stages.push({ first, dim: (rows ?? 0) / 3, depth: 1 });
  }
  return stages;
}

const areHeads = (value: readonly number[]): boolean =>
  value.every((each) => Number.isInteger(each) && each > 0);

/**
 * Heads of every stage: one number is the first stage's, the others have twice as many as the one
 * before.
 */
function headsOf(sources: Sources, dims: readonly number[]): Evidence<readonly number[]> {
  const first = at(dims, 0);
  const perStage = (value: ConfigValue): readonly number[] => {
    const list = numbersIn(value);
    return list.length < dims.length
      ? dims.map((_, stage) => (list[0] ?? NaN) * 2 ** stage)
      : list.slice(0, dims.length);
  };
  const fits = (value: ConfigValue): boolean => {
    const heads = perStage(value);
    return areHeads(heads) && heads.every((each, stage) => at(dims, stage) % each === 0);
  };
  const evidence = decide<number | readonly number[]>(sources, 'heads', {
    config: ['num_heads', 'num_attention_heads_per_stage'],
    published: ({ heads }) => (heads && fits(heads) ? perStage(heads) : undefined),
    named: [
      [/hiera_(?:base_plus|large)/, 2],
      [/hiera_huge/, 4],
      [/hiera/, 1],
    ],
    otherwise: assumed(nearestDivisor(first, first / 96), '96 per head; not stored in the weights'),
    is: fits,
    needed: `a number that divides the width ${first}, or one per stage`,
  });
  return { ...evidence, value: perStage(evidence.value) };
}

/** Reads the hyper-parameters of both Hieras; undefined if a part is missing. */
export function hieraEvidence(sources: Sources): HieraEvidence | undefined {
  const { tensors } = sources.found;
  const stages = stagesOf(tensors);
  const [dim, channels, kernel] = tensors.get('patch_embed.proj.weight')?.shape ?? [];
  const [first] = stages;
  if (!first || !dim || !channels || !kernel) return undefined;
  const dims = stages.map((stage) => stage.dim);
  const hidden = (path: string): number => tensors.get(`${path}.mlp.fc1.weight`)?.shape[0] ?? 0;
  return {
    depth: stored(
      stages.map(({ depth }) => depth),
      'blocks that widen begin a stage',
    ),
    dim: stored(dims, `${first.first}.attn.qkv.weight`),
    heads: headsOf(sources, dims),
    mlp_ratio: stored(
      stages.map((stage) => hidden(stage.first) / stage.dim),
      `${first.first}.mlp.fc1.weight`,
    ),
    patch: stored(kernel, 'patch_embed.proj.weight'),
    patch_stride: decide<number | readonly number[]>(sources, 'patch_stride', {
      config: ['patch_stride'],
      otherwise: stored(4, 'as every published Hiera'),
      is: (value) => numbersIn(value).every((each) => each > 0),
    }),
    channels: stored(channels, 'patch_embed.proj.weight'),
    activation: activationOf(sources),
    eps: epsOf(sources),
    pool: stored('avg', 'the mean over the last map'),
    classes: classesOf(tensors, 'head.fc'),
  };
}

/**
 * Refuses image sizes that units of `step` pixels do not cover, naming the nearest that they do.
 */
export function requireUnits(size: Size, step: Size, unit: string): void {
  if (size.every((side, axis) => side % at(step, axis) === 0)) return;
  const nearest = size.map((side, axis) => Math.max(1, Math.round(side / at(step, axis))) * at(step, axis));
  throw new Error(
    `image size ${size.join(' × ')} found; each side must be a whole number of ${unit} of ${step.join(' × ')} pixels. The nearest size is ${nearest.join(' × ')}.`,
  );
}
