import { at, largest, smallest } from '../domain/lists';
import type { Size } from '../domain/size';
import type { Graph } from '../graph/graph';
import type { Scaling, ScalingPoint } from '../domain/report';
import { exactSum } from './exact';
import { longestSequence } from './complexity';
import { peakMemory } from './memory';
import { sumMacs, workOf } from './work';

/** Most points of a curve besides the crossing itself: each is a graph of its own. */
const maximalPoints = 23;
/** The slider never asks for images of longer sides. */
const largestSide = 4096;
/**
 * Points after the first at which attention costs more than all else, so that the curve shows it
 * overtaking.
 */
const pointsPastCrossing = 2;
/** Ratio of areas of one point to the next that the curve aims at. */
const spacing = Math.SQRT2;

/**
 * MACs and memory against image size: the native size, smaller ones down to one step, and larger
 * ones until attention has overtaken linear layers and convolutions, spaced geometrically in area,
 * both sides growing together by the family's steps. A size that the family cannot build is left
 * out below the native one and ends the curve above it. `build` writes all parts of a model.
 */
export function scaling(build: (imageSize: Size) => readonly Graph[], native: Size, step: Size): Scaling {
  const measured = measure(build(native), native);
  const smaller = stepsDown(native, step).flatMap((size) => attempt(build, size) ?? []);
  const larger = measureUpward(build, [measured], native, step, maximalPoints - smaller.length - 1);
  const coarse = [...smaller.toReversed(), measured, ...larger];
  const exactly = locateCrossing(build, coarse, step);
  const points = exactly ? coarse.toSpliced(coarse.findIndex(hasCrossed), 0, exactly) : coarse;
  return { points, crossing: points.find(hasCrossed), native, step };
}

/**
 * The smallest size between the last point before the crossing and the first after it that has
 * crossed; undefined if that is a point already.
 */
function locateCrossing(
  build: (imageSize: Size) => readonly Graph[],
  points: readonly ScalingPoint[],
  step: Size,
): ScalingPoint | undefined {
  const crossed = points.findIndex(hasCrossed);
  if (crossed < 1) return undefined;
  const [before, after] = [at(points, crossed - 1).imageSize, at(points, crossed).imageSize];
  const steps = Math.max((after[0] - before[0]) / step[0], (after[1] - before[1]) / step[1]);
  const sizeOf = (index: number): Size => {
    const side = (axis: 0 | 1): number =>
      before[axis] + Math.round(((after[axis] - before[axis]) / step[axis]) * (index / steps)) * step[axis];
    return [side(0), side(1)];
  };
  let found: ScalingPoint | undefined;
  let [low, high] = [0, steps];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const point = attempt(build, sizeOf(middle));
    if (!point) return found;
    if (hasCrossed(point)) [high, found] = [middle, point];
    else low = middle;
  }
  return found;
}

function measure(graphs: readonly Graph[], imageSize: Size): ScalingPoint {
  const work = graphs.flatMap((graph) => workOf(graph));
  return {
    imageSize,
    tokens: longestSequence(graphs)?.tokens ?? 0,
    macs: sumMacs(work),
    activationBytes: exactSum(work.map(({ bytes }) => bytes)),
    peakActivationBytes: largest(graphs.map((graph) => peakMemory(graph).bytes)),
  };
}

function attempt(build: (imageSize: Size) => readonly Graph[], size: Size): ScalingPoint | undefined {
  try {
    return measure(build(size), size);
  } catch {
    // Sizes between the family's own may not fit its windows or tables: the curve goes without
    // them.
    return undefined;
  }
}

const hasCrossed = ({ macs }: ScalingPoint): boolean => macs.attention > macs.conv + macs.linear;

/**
 * The size whose area is about `ratio` times the native one: a whole number of steps off the native
 * size on both sides.
 */
function sizeAt(native: Size, step: Size, ratio: number): Size {
  const side = (axis: 0 | 1): number => {
    const steps = Math.round((native[axis] * (Math.sqrt(ratio) - 1)) / step[axis]);
    return native[axis] + steps * step[axis];
  };
  return [side(0), side(1)];
}

/** Sizes of a geometric series of areas, without those that rounding to steps makes equal. */
function* series(native: Size, step: Size, factor: number): Generator<Size> {
  // A model of one size only has no steps.
  if (smallest(step) <= 0) return;
  let previous = native;
  for (let ratio = factor; ; ratio *= factor) {
    const size = sizeAt(native, step, ratio);
    if (smallest(size) < largest(step) || largest(size) > largestSide) return;
    if (size.join() === previous.join()) continue;
    previous = size;
    yield size;
  }
}

function stepsDown(native: Size, step: Size): readonly Size[] {
  return [...series(native, step, 1 / spacing)].slice(0, Math.floor(maximalPoints / 3));
}

function measureUpward(
  build: (imageSize: Size) => readonly Graph[],
  points: readonly ScalingPoint[],
  native: Size,
  step: Size,
  room: number,
): readonly ScalingPoint[] {
  const larger: ScalingPoint[] = [];
  for (const size of series(native, step, spacing)) {
    const crossed = [...points, ...larger].filter(hasCrossed).length;
    if (larger.length >= room || crossed > pointsPastCrossing) break;
    const point = attempt(build, size);
    if (!point) break;
    larger.push(point);
  }
  return larger;
}
