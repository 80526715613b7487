import { product } from '../../../domain/lists';
import { int, text, type ValueInfo } from '../../graph';
import { fromFront, gatherAxis } from '../indexing';
import { shaped, zeros } from './arithmetic';
import type { GradientRule } from './call';
import { scattered, scatteredAlong, ungathered } from './places';

/** Places that are known beforehand are gathered back, others scattered. */
const gather: GradientRule = (call) => {
  call.only(0);
  const { b } = call;
  const axis = gatherAxis(call);
  const [shape, size] = [call.shape(0), call.size(0, axis)];
  const count = product(call.shape(1));
  const g = shaped(b, call.g, [...shape.slice(0, axis), count, ...shape.slice(axis + 1)]);
  const known = call.known(1);
  if (!known) return [scatteredAlong(b, g, axis, shaped(b, call.input(1), [count]), shape)];
  return [
    ungathered(
      b,
      g,
      axis,
      Array.from(known, (place) => fromFront(place, size)),
      size,
    ),
  ];
};

const gatherElements: GradientRule = (call) => {
  call.only(0);
  return [scattered(call.b, call.shape(0), call.input(1), call.g, gatherAxis(call))];
};

const gatherND: GradientRule = (call) => {
  call.only(0);
  const { b } = call;
  if (call.int('batch_dims', 0) !== 0) call.fail('no derivative is known with batch_dims');
  return [b.add('ScatterND', [zeros(b, call.shape(0)), call.input(1), call.g], { reduction: text('add') })];
};

/** What is replaced no longer counts; what replaces it does. */
const scatterND: GradientRule = (call) => {
  call.only(0, 2);
  const { b, g } = call;
  const reduction = call.text('reduction', 'none');
  if (reduction !== 'none' && reduction !== 'add') call.fail(`no derivative is known for ${reduction}`);
  const data = (): ValueInfo =>
    reduction === 'add' ? g : b.add('ScatterND', [g, call.input(1), zeros(b, call.shape(2))]);
  return call.each((index) => (index === 0 ? data() : b.add('GatherND', [g, call.input(1)])));
};

const scatterElements: GradientRule = (call) => {
  call.only(0, 2);
  const { b, g } = call;
  const reduction = call.text('reduction', 'none');
  if (reduction !== 'none' && reduction !== 'add') call.fail(`no derivative is known for ${reduction}`);
  const axis = { axis: int(gatherAxis(call)) };
  const data = (): ValueInfo =>
    reduction === 'add' ? g : b.add('ScatterElements', [g, call.input(1), zeros(b, call.shape(2))], axis);
  return call.each((index) => (index === 0 ? data() : b.add('GatherElements', [g, call.input(1)], axis)));
};

/** The running sum from the other end. */
const cumSum: GradientRule = (call) => {
  const { b, g } = call;
  const turned = { reverse: int(1 - call.int('reverse', 0)), exclusive: int(call.int('exclusive', 0)) };
  return [b.add('CumSum', [g, call.input(1)], turned)];
};

/** Derivatives of operators that choose elements by place. */
export const indexingGradients = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterND: scatterND,
  ScatterElements: scatterElements,
  CumSum: cumSum,
} as const;
