import type { Checkpoint } from '../checkpoint/checkpoint';
import type { OnnxModel, OnnxNode } from '../checkpoint/formats/onnxModel';
import type { Evidence } from '../domain/evidence';
import { isSameSize, type Size } from '../domain/size';
import type { ImageInput } from '../graph/onnx/import';
import { resolvePreprocessing } from '../preprocessing/resolve';

/** An image size that a file may be made for, and what says so. */
export interface SizeCandidate extends Pick<Evidence, 'source' | 'assumed'> {
  readonly size: Size;
}

/** Assumed if an .onnx file leaves the size of its images open. */
const openSize = 224;
/** Class, distillation and register tokens before the patches of a position table. */
const mostSpecial = 8;
/** Sizes that are tried: each is an import of the graph. */
const mostTried = 40;
/**
 * Operators that are imported for all sizes together: those of a published export of 5 000 for each
 * of 40 sizes. Two sizes are always tried.
 */
const triedNodes = 200_000;

/**
 * Image sizes of a file that leaves them open, the likeliest first: what lies beside the file says,
 * then those whose patches the rows of a stored position table are, then a usual one. Which of them
 * its operators take is for the importer to say.
 */
export function sizeCandidates(
  file: OnnxModel,
  image: ImageInput,
  { sidecars, file: fileName }: Pick<Checkpoint, 'sidecars' | 'file'>,
): readonly SizeCandidate[] {
  const { height, width } = image;
  if (height !== undefined && width !== undefined)
    return [{ size: [height, width], source: `shape of input ${image.name}`, assumed: false }];
  const all = [
    ...configured(sidecars, fileName),
    ...ofTables(file),
    {
      size: [openSize, openSize],
      source: `assumed: input ${image.name} leaves it open`,
      assumed: true,
    } as const,
  ].map((candidate) => ({
    ...candidate,
    size: [height ?? candidate.size[0], width ?? candidate.size[1]] as const,
  }));
  return all
    .filter(({ size }, index) => all.findIndex((other) => isSameSize(other.size, size)) === index)
    .slice(0, Math.min(mostTried, Math.max(2, Math.floor(triedNodes / file.graph.nodes.length))));
}

function configured(sidecars: Checkpoint['sidecars'], fileName: string): readonly SizeCandidate[] {
  const { inputSize, evidence } = resolvePreprocessing({ sidecars, fileName, dialect: 'onnx' });
  const source = evidence.image_size?.source ?? 'assumed';
  const own = sidecars.config?.['image_size'];
  const sides: readonly unknown[] = Array.isArray(own) ? own : [own, own];
  const [rows, columns] = sides.map((side) => (Number.isInteger(side) ? Number(side) : 0));
  return [
    ...(inputSize && !source.startsWith('assumed') ? [{ size: inputSize, source, assumed: false }] : []),
    ...(rows && columns
      ? [{ size: [rows, columns] as const, source: 'config.json: image_size', assumed: false }]
      : []),
  ];
}

/** Sizes by the patch embedding and tables with a row for each of its patches. */
function ofTables({ graph }: OnnxModel): readonly SizeCandidate[] {
  const shapes = new Map(graph.initializers.map(({ name, shape }) => [name, shape]));
  const embedding = graph.nodes.find((node) => strideOf(node) !== undefined);
  const [down, across] = (embedding && strideOf(embedding)) ?? [];
  if (!embedding || down === undefined || across === undefined) return [];
  const widths = new Set(embedding.inputs.flatMap((name) => shapes.get(name)?.[0] ?? []));
  const candidate = (name: string, grid: Size, isCertain: boolean): SizeCandidate => ({
    size: [grid[0] * down, grid[1] * across],
    source: `${isCertain ? '' : 'assumed: '}${name} holds ${grid.join(' × ')} positions of ${down} × ${across} pixels`,
    assumed: !isCertain,
  });
  const found = graph.initializers.flatMap(({ name, shape, dtype }) => {
    if (!/^(F|BF|[IU]8)/.test(dtype) || shape.length < 2) return [];
    return gridsOf(shape, widths).map(({ grid, isCertain }) => candidate(name, grid, isCertain));
  });
  const isTable = ({ source }: SizeCandidate): boolean => /pos/i.test(source.split(' holds')[0] ?? '');
  const rank = (each: SizeCandidate): number => Number(each.assumed) * 2 + Number(!isTable(each));
  return found.toSorted((a, b) => rank(a) - rank(b));
}

/** Stride of a patch embedding as the file states it. */
function strideOf({ opType, attributes }: OnnxNode): readonly number[] | undefined {
  const [kernel, strides] = [attributes['kernel_shape'], attributes['strides']];
  if (!/Conv/.test(opType) || kernel?.type !== 'ints' || strides?.type !== 'ints') return undefined;
  const isPatch = kernel.value.join() === strides.value.join() && Number(strides.value[0]) > 1;
  return isPatch && strides.value.length === 2 ? strides.value.map(Number) : undefined;
}

interface GridGuess {
  readonly grid: Size;
  /** The only grid of so many patches that one would think of. */
  readonly isCertain: boolean;
}

/** Grids of a table `[1, tokens, width]`, `[tokens, width]` or `[1, width, rows, columns]`. */
function gridsOf(shape: readonly number[], widths: ReadonlySet<number>): readonly GridGuess[] {
  const [lead, second, rows, columns] = shape;
  if (shape.length === 4 && lead === 1 && widths.has(second ?? 0) && rows && columns && rows > 1)
    return [{ grid: [rows, columns], isCertain: true }];
  const tokens = shape.at(-2) ?? 0;
  const isTable = shape.length === 2 || (shape.length === 3 && lead === 1);
  if (!isTable || !widths.has(shape.at(-1) ?? 0) || tokens < 4) return [];
  const counts = Array.from({ length: mostSpecial + 1 }, (_, special) => tokens - special);
  const squares = counts.flatMap((count) => {
    const side = Math.sqrt(count);
    return count > 1 && Number.isInteger(side) ? [{ grid: [side, side] as const, isCertain: true }] : [];
  });
  // Of the grids that are no squares, the one that is nearest to one, lying, is the likeliest.
  const others = counts.slice(0, 3).flatMap((count) =>
    pairs(count).flatMap(
      ([a, b]) =>
        [
          [b, a],
          [a, b],
        ] as const,
    ),
  );
  return [...squares, ...others.map((grid) => ({ grid, isCertain: false }))];
}

/** Factors of a number, the nearest to one another first, the larger one in front. */
function pairs(count: number): readonly (readonly [number, number])[] {
  const found: (readonly [number, number])[] = [];
  for (let side = Math.floor(Math.sqrt(count)); side > 1; side--)
    if (count % side === 0 && side * side !== count) found.push([count / side, side]);
  return found;
}
