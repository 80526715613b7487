// Derivatives of golden cases' graphs, and differences along a random direction to hold them to.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open';
import { elementCount } from '../../src/checkpoint/tensors';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { at, largest, sum } from '../../src/domain/lists';
import { valueOf, type Graph } from '../../src/graph/graph';
import { changingWith, neededNodes } from '../../src/graph/order';
import { gradientNames, withGradients, type Derivative } from '../../src/graph/rewrite/backward';
import { withReplaced } from '../../src/graph/rewrite/splice';
import { tapNames } from '../../src/graph/rewrite/tapNames';
import { runAllParts } from '../../src/inference/allParts';
import type { TensorData } from '../../src/inference/remoteApi';
import type { Model } from '../../src/models/model';
import { checkpointPath, sizeOfCase, type Case } from './cases';
import { interpret, type Tensor } from './interpreter';
import { openAt } from './open';
import { seeded } from './random';

type Values = ReadonlyMap<string, Tensor>;

export const openCase = (golden: Case): Promise<Model> => {
  const imageSize = sizeOfCase(golden);
  return openAt(checkpointPath(golden), { assume: golden.assume, ...(imageSize && { imageSize }) });
};

/** Inputs that name kinds of things, in whatever type: nothing changes gradually with them. */
const isLabel = (name: string): boolean => /_labels$/.test(name);

/** Whether a value may change by as little as one likes. */
const numberIn =
  (graph: Graph): ((name: string) => boolean) =>
  (name) =>
    /^B?F\d/.test(valueOf(graph, name).dtype);

/**
 * All numbers of a graph's outputs by all numbers that go in and all attention maps; undefined if
 * none changes with any.
 */
export function everything(graph: Graph): Derivative | undefined {
  const isNumber = numberIn(graph);
  const inputs = graph.inputs.map(({ name }) => name);
  const maps = graph.probes.map(({ value }) => value);
  const by = [...inputs.filter((name) => !isLabel(name)), ...maps].filter(isNumber);
  const reached = changingWith(graph, by);
  const ends = graph.outputs.map(({ value }) => value);
  const of = [...new Set(ends)].filter(
    (name) => isNumber(name) && reached.has(name) && !inputs.includes(name),
  );
  return of.length > 0 ? { of, by } : undefined;
}

/** Operators that derivatives go through, and which inputs change: `Add aa`, `Conv acc`. */
export function derivedOperators(graph: Graph, { by }: Derivative): readonly string[] {
  const reached = changingWith(graph, by, numberIn(graph));
  const active = graph.nodes.filter(({ inputs }) => inputs.some((name) => reached.has(name)));
  return active.map(
    ({ op, inputs }) => `${op} ${inputs.map((name) => (reached.has(name) ? 'a' : 'c')).join('')}`,
  );
}

const doubles = (values: ArrayLike<number | bigint>): Float64Array => Float64Array.from(values, Number);

const valueIn = (values: Values, name: string): Tensor => values.get(name) ?? assert.fail(name);

/** Numbers of a normal distribution (Box & Muller 1958), of a seed. */
function normal(seed: number): (shape: readonly number[]) => Tensor {
  const random = seeded(seed);
  const draw = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return (shape) => ({ shape, data: new Float64Array(elementCount(shape)).map(draw) });
}

/**
 * Stored inputs of a case. An image gets noise: where neighbours are equal, the largest of a window
 * is not one element, and there is no derivative.
 */
async function inputsOf(golden: Case): Promise<Record<string, TensorData>> {
  const { selected } = await openCheckpoint(join(golden.folder, 'reference.safetensors'));
  const stored = selected.tensors.filter(({ name }) => name in golden.inputs);
  const draw = normal(1);
  const entries = stored.map(async (tensor) => {
    const data = toFloat32(await readTensor(tensor), tensor.dtype);
    const noise = tensor.name === 'pixel_values' ? draw(tensor.shape).data : undefined;
    const moved = data.map((value, place) => value + 0.1 * (noise?.[place] ?? 0));
    return [tensor.name, { dtype: 'F32', shape: tensor.shape, data: moved } as const] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** The parameters of a graph in double precision, by the names of its initializers. */
async function parametersOf(graph: Graph, { checkpoint }: Model): Promise<Map<string, Tensor>> {
  const stored = new Map(checkpoint.selected.tensors.map((tensor) => [tensor.name, tensor]));
  const read = new Map<string, Float64Array>();
  const found = new Map<string, Tensor>();
  for (const { name, shape, data } of graph.initializers.values()) {
    if (data.kind !== 'parameter') continue;
    const tensor = stored.get(data.tensor) ?? assert.fail(data.tensor);
    const values = read.get(data.tensor) ?? doubles(toFloat32(await readTensor(tensor), tensor.dtype));
    read.set(data.tensor, values);
    found.set(name, { shape, data: values.subarray(data.first, data.first + elementCount(shape)) });
  }
  return found;
}

/**
 * Runs every part of a case's model in double precision, and for each derives everything by
 * everything; returns how far each derivative along a random direction is from the central
 * difference, in parts of the root of the sum of squares of what each element adds to it.
 *
 * @throws GradientError if an operator on the way has no derivative
 */
export async function gradientErrors(golden: Case): Promise<readonly number[]> {
  const model = await openCase(golden);
  const inputs = await inputsOf(golden);
  const [only, ...more] = model.graph({ batch: 1 }).inputs;
  const pixels = inputs['pixel_values'];
  const isAlone = model.parts.length === 1 && only && more.length === 0 && pixels;
  const errors: number[] = [];
  await runAllParts(model, isAlone ? { [only.name]: pixels } : inputs, { batch: 1 }, async (graph, feeds) => {
    const given = await parametersOf(graph, model);
    for (const [name, { shape, data }] of Object.entries(feeds))
      given.set(name, { shape, data: doubles(data) });
    const values = interpret(graph, given);
    const error = gradientError(graph, given, values);
    if (error !== undefined) errors.push(error);
    const taken = [
      ...graph.outputs.map(({ name, value }) => [name, value] as const),
      ...graph.probes.map(({ value }, index) => [tapNames.map(index), value] as const),
    ];
    return Object.fromEntries(
      taken.map(([name, value]) => {
        const { shape, data } = valueIn(values, value);
        return [name, { dtype: 'F32', shape, data: Float32Array.from(data) } as const];
      }),
    );
  });
  return errors;
}

/**
 * How far values are moved. What is left of a difference of numbers near 1 is right to 1e-8 after
 * the first step; after the others more is, but a kink may lie on the way. A wrong derivative is
 * wrong for each.
 */
const steps = [1e-8, 1e-7, 1e-6] as const;

/** A difference this near is near enough: no other step is tried. */
const nearEnough = 1e-7;

/** How far the direction is stretched along values that the outputs hardly change with. */
const stretch = 100;

/** Name of the input that is added to a map. */
const moveName = (index: number): string => `moved.${index}`;

/** The graph in which an input of its own is added to each of some values. */
const withMoves = (graph: Graph, names: readonly string[]): Graph =>
  withReplaced(graph, 'moved', (b, value) => {
    const moves = names.map((name, index) => {
      const own = value(name);
      return [name, b.add('Add', [own, b.input(moveName(index), own.shape)])] as const;
    });
    return new Map(moves);
  });

/** Values that do not change with some: they need not be computed again. */
const fixed = (values: Values, changing: ReadonlySet<string>): Map<string, Tensor> =>
  new Map([...values].filter(([name]) => !changing.has(name)));

const inner = ({ data }: Tensor, other: Tensor): number =>
  data.reduce((total, value, place) => total + value * at(other.data, place), 0);

/** Root of the sum of squares of the products. */
const spread = ({ data }: Tensor, other: Tensor): number =>
  Math.sqrt(data.reduce((total, value, place) => total + (value * at(other.data, place)) ** 2, 0));

/** So that no number changes its sign: a gate that is all but shut would, with all behind it. */
const inProportion = ({ shape, data }: Tensor, to: Tensor): Tensor => ({
  shape,
  data: data.map((value, place) => value * Math.abs(at(to.data, place))),
});

function gradientError(graph: Graph, given: Values, values: Values): number | undefined {
  const asked = everything(graph);
  // Scores of what is hidden are −∞, which no difference can be taken of.
  const of = (asked?.of ?? []).filter((name) => valueIn(values, name).data.every(Number.isFinite));
  if (!asked || of.length === 0) return undefined;
  const draw = normal(graph.nodes.length);
  const maps = new Set(graph.probes.map(({ value }) => value));
  const seeds = of.map((name) => draw(valueOf(graph, name).shape));
  const gradients = gradientsOf(graph, { of, by: asked.by }, values, seeds);
  const directions = asked.by.map((name) => {
    const drawn = draw(valueOf(graph, name).shape);
    return maps.has(name) ? inProportion(drawn, valueIn(values, name)) : drawn;
  });
  const spreads = gradients.map((gradient, index) => spread(gradient, at(directions, index)));
  const most = largest(spreads);
  const scales = spreads.map((own) => (own > 0 ? Math.min(stretch, most / own) : 1));
  const slope = sum(
    gradients.map((gradient, index) => at(scales, index) * inner(gradient, at(directions, index))),
  );
  const moves = directions.map(({ shape, data }, index) => ({
    shape,
    data: data.map((value) => value * at(scales, index)),
  }));
  const size = Math.hypot(...spreads.map((own, index) => own * at(scales, index)));
  if (size === 0) return undefined;
  const difference = differenceOf(graph, { of, by: asked.by }, { given, values, seeds, moves });
  let least = Infinity;
  for (const step of steps)
    if (least > nearEnough) least = Math.min(least, Math.abs(difference(step) - slope) / size);
  return least;
}

function gradientsOf(
  graph: Graph,
  derivative: Derivative,
  values: Values,
  seeds: readonly Tensor[],
): readonly Tensor[] {
  const derived = withGradients(graph, derivative);
  const weighted = new Map(values);
  seeds.forEach((seed, index) => weighted.set(gradientNames.seed(index), seed));
  const found = interpret(derived, weighted);
  return derivative.by.map((_, index) => {
    const name = gradientNames.gradient(index);
    const output = derived.outputs.find((own) => own.name === name) ?? assert.fail(name);
    return valueIn(found, output.value);
  });
}

interface Moved {
  readonly given: Values;
  readonly values: Values;
  readonly seeds: readonly Tensor[];
  /** Direction of each value of `by`. */
  readonly moves: readonly Tensor[];
}

/** Central differences of the weighted sum of the outputs along a direction, by their step. */
function differenceOf(
  graph: Graph,
  { of, by }: Derivative,
  { given, values, seeds, moves }: Moved,
): (step: number) => number {
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const maps = by.filter((name) => !inputs.has(name));
  const moved = withMoves(graph, maps);
  const ends = of.map(
    (name) =>
      at(
        moved.outputs,
        graph.outputs.findIndex(({ value }) => value === name),
      ).value,
  );
  const nodes = neededNodes(moved, ends);
  const known = new Map([...given, ...fixed(values, changingWith(graph, by))]);
  const sumAt = (length: number): number => {
    const own = new Map(known);
    by.forEach((name, index) => {
      const { shape, data } = at(moves, index);
      const start = inputs.has(name) ? valueIn(given, name).data : undefined;
      const place = start ? name : moveName(maps.indexOf(name));
      own.set(place, { shape, data: data.map((value, flat) => (start?.[flat] ?? 0) + length * value) });
    });
    const made = interpret({ ...moved, nodes }, own);
    return sum(ends.map((name, index) => inner(valueIn(made, name), at(seeds, index))));
  };
  return (step) => (sumAt(step) - sumAt(-step)) / (2 * step);
}
