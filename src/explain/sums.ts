import type { SumCheck } from '../domain/explanation';
import { at, largest } from '../domain/lists';
import type { Explained, Values } from './explained';
import type { Explanation } from './method';

/**
 * Share of the difference that may be missing: within 5 %, the integral has enough steps
 * (Sundararajan et al. 2017, §5).
 */
const enoughSteps = 0.05;
/** Rows of products of softmaxes in float32, whose sums go over at most some thousand tokens. */
const rounding = 1e-4;

type Sums = (explained: Explained, explanation: Explanation) => Promise<readonly SumCheck[]>;

const total = ({ data }: Values): number => data.reduce((sum, value) => sum + value, 0);

/** Rows of every square matrix sum to 1. */
const rowsToOne: Sums = async (_, { tensors }) => {
  const errors = Object.values(tensors).flatMap(({ shape: [rows = 0, columns = 0, ...more], data }) =>
    more.length === 0 && rows === columns
      ? Array.from({ length: rows }, (__, row) => rowError(data, row, columns))
      : [],
  );
  if (errors.length === 0) return [];
  const error = largest(errors.map(Math.abs));
  const found = 1 + (errors.find((each) => Math.abs(each) === error) ?? 0);
  return [
    { what: 'each row of the matrix', found, wanted: 1, wantedIs: 'shares of one', error, allowed: rounding },
  ];
};

const rowError = (data: Float32Array, row: number, columns: number): number =>
  data.subarray(row * columns, (row + 1) * columns).reduce((sum, value) => sum + value, 0) - 1;

/** All pixels together are what the value changes by from the mean colour to the image. */
const completeness: Sums = async (_, { tensors, figures = {} }) => {
  const [values] = Object.values(tensors);
  const delta = figures['integrated_gradients.delta'];
  if (!values || delta === undefined) return [];
  const found = total(values);
  const wanted = found - delta;
  return [
    {
      what: 'all pixels',
      found,
      wanted,
      wantedIs: 'the value’s change from the mean colour to the image',
      error: Math.abs(delta),
      allowed: enoughSteps * Math.abs(wanted),
    },
  ];
};

/** All parts together are the value. */
const parts: Sums = async (explained, { figures = {} }) => {
  const found = figures['logit_attribution.sum'];
  if (found === undefined) return [];
  const wanted = await explained.valueAt(explained.question.pixels);
  return [valueCheck('all parts', found, wanted)];
};

/** Behind the last block the lens is the answer itself. */
const lastLens: Sums = async (explained, { tensors }) => {
  const lens = tensors['logit_lens'];
  if (!lens) return [];
  const [streams = 1, classes = 1] = lens.shape;
  const found = at(lens.data, (streams - 1) * classes + explained.question.target);
  return [
    valueCheck('the lens behind the last block', found, await explained.valueAt(explained.question.pixels)),
  ];
};

const valueCheck = (what: string, found: number, wanted: number): SumCheck => ({
  what,
  found,
  wanted,
  wantedIs: 'the value',
  error: Math.abs(found - wanted),
  allowed: rounding * Math.max(1, Math.abs(wanted)),
});

/** By the name of the method. */
const sums: Readonly<Record<string, Sums>> = {
  integrated_gradients: completeness,
  rollout: rowsToOne,
  gradient_rollout: rowsToOne,
  logit_attribution: parts,
  logit_lens: lastLens,
};

/** What a method promises of its numbers, computed for this image; empty if it promises nothing. */
export const sumsOf = async (
  explained: Explained,
  method: string,
  explanation: Explanation,
): Promise<readonly SumCheck[]> => sums[method]?.(explained, explanation) ?? [];
