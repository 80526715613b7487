import { nearestDivisor } from '../divisors';
import type { Size } from '../../domain/size';
import type { Evidence, Found, EvidenceRecord } from '../family';
import { assumed, numbersOf, stored } from '../figures';
import { sizeTitle, type Sizes } from '../sizes';
import { classesOf, decide, type Sources } from '../sources';
import { activationOf, epsOf } from './isotropicFigures';

/** Sizes of Ryali et al. 2023 (Hiera, table 2). */
const sizes: Sizes = {
  '1,2,7,2 96': 'T',
  '1,2,11,2 96': 'S',
  '2,3,16,3 96': 'B',
  '2,3,16,3 112': 'B+',
  '2,6,36,4 144': 'L',
  '2,6,36,4 256': 'H',
};

/** `Hiera-B+` */
export function hieraTitle(name: string, figures: EvidenceRecord): string {
  return sizeTitle(name, sizes, numbersOf(figures, 'depth'), numbersOf(figures, 'dim'));
}

/** Figures of Hiera that the user may set. */
export const hieraAssumable = ['heads', 'activation', 'eps', 'patch_stride'] as const;

/** Paths of the blocks by stage: `blocks.4`, or `stages.2.blocks.1` where they are counted in each stage. A block that widens begins a stage. */
function stagesOf(tensors: Found['tensors']): readonly (readonly string[])[] {
  const paths = [...tensors.keys()]
    .flatMap((name) => /^((?:stages\.\d+\.)?blocks\.\d+)\.attn\.qkv\.weight$/.exec(name)?.[1] ?? [])
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const stages: string[][] = [[]];
  for (const path of paths) {
    const [rows, width] = tensors.get(`${path}.attn.qkv.weight`)!.shape;
    if (rows !== 3 * width!) stages.push([]);
    stages.at(-1)!.push(path);
  }
  return stages;
}

const isHeads = (value: readonly number[]): boolean =>
  value.every((each) => Number.isInteger(each) && each > 0);

/** Heads of every stage: one number is the first stage's, the others have twice as many as the one before. */
function headsOf(sources: Sources, dims: readonly number[]): Evidence {
  const perStage = (value: Evidence['value']): readonly number[] => {
    const list = [value].flat().map(Number);
    return dims.map((_, stage) => (list.length < dims.length ? list[0]! * 2 ** stage : list[stage]!));
  };
  const fits = (value: Evidence['value']): boolean => {
    const heads = perStage(value);
    return isHeads(heads) && heads.every((each, stage) => dims[stage]! % each === 0);
  };
  const evidence = decide<number | readonly number[]>(sources, 'heads', {
    config: ['num_heads'],
    published: ({ heads }) => (heads && fits(heads) ? perStage(heads) : undefined),
    named: [
      [/hiera_(?:base_plus|large)/, 2],
      [/hiera_huge/, 4],
      [/hiera/, 1],
    ],
    otherwise: assumed(nearestDivisor(dims[0]!, dims[0]! / 96), '96 per head; not stored in the weights'),
    is: fits,
    needed: `a number that divides the width ${dims[0]}, or one per stage`,
  });
  return { ...evidence, value: perStage(evidence.value) };
}

/** Figures of both Hieras; undefined where a part is missing. */
export function hieraFigures(sources: Sources): EvidenceRecord | undefined {
  const { tensors } = sources.found;
  const stages = stagesOf(tensors);
  const [first] = stages[0]!;
  const [dim, channels, kernel] = tensors.get('patch_embed.proj.weight')?.shape ?? [];
  if (first === undefined || !dim || !channels || !kernel) return undefined;
  const dims = stages.map(([path]) => tensors.get(`${path}.attn.qkv.weight`)!.shape[0]! / 3);
  const depths = stages.map((paths) => paths.length);
  return {
    depth: stored(depths, 'blocks that widen begin a stage'),
    dim: stored(dims, `${first}.attn.qkv.weight`),
    heads: headsOf(sources, dims),
    mlp_ratio: stored(
      stages.map(([path], stage) => (tensors.get(`${path}.mlp.fc1.weight`)?.shape[0] ?? 0) / dims[stage]!),
      `${first}.mlp.fc1.weight`,
    ),
    patch: stored(kernel, 'patch_embed.proj.weight'),
    patch_stride: decide(sources, 'patch_stride', {
      config: ['patch_stride'],
      otherwise: stored(4, 'as every published Hiera'),
      is: (value) => [value].flat().every((each) => Number(each) > 0),
    }),
    channels: stored(channels, 'patch_embed.proj.weight'),
    activation: activationOf(sources),
    eps: epsOf(sources),
    pool: stored('avg', 'the mean over the last map'),
    classes: classesOf(tensors, 'head.fc'),
  };
}

/** Refuses image sizes that units of `step` pixels do not cover, naming the nearest that they do. */
export function requireUnits(size: Size, step: Size, unit: string): void {
  if (size.every((side, axis) => side % step[axis]! === 0)) return;
  const nearest = size.map((side, axis) => Math.max(1, Math.round(side / step[axis]!)) * step[axis]!);
  throw new Error(
    `image size ${size.join(' × ')} found; each side must be a whole number of ${unit} of ${step.join(' × ')} pixels. The nearest size is ${nearest.join(' × ')}.`,
  );
}
