import assert from 'node:assert/strict';
import { headsFrom } from '../../../src/architectures/recognise/ownHead';
import type { Member } from '../../../src/architectures/networks/networks';
import type { Leftover } from '../../../src/architectures/recognise/leftovers';

type Shapes = Readonly<Record<string, readonly number[]>>;

const width = 8;

function leftover(path: string, shapes: Shapes): Leftover {
  const members = Object.entries(shapes).map(([name, shape]): Member => {
    const full = `${path}.${name}`;
    const storage = { kind: 'inline', bytes: new Uint8Array() } as const;
    return { name: full, inside: true, tensor: { name: full, shape, dtype: 'F32', storage, start: 0 } };
  });
  return { path, members };
}

const linear = (at: string, out: number, from: number): Shapes => ({
  [`${at}weight`]: [out, from],
  [`${at}bias`]: [out],
});
const norm = (at: string): Shapes => ({ [`${at}weight`]: [width], [`${at}bias`]: [width] });
const batchNorm = (at: string): Shapes => ({
  ...norm(at),
  [`${at}running_mean`]: [width],
  [`${at}running_var`]: [width],
  [`${at}num_batches_tracked`]: [],
});

/** `logits: layer norm, linear`; undefined if no head follows. */
const read = (...beside: readonly Leftover[]): readonly string[] | undefined =>
  headsFrom(beside, width)?.chains.map(
    ({ name, steps }) => `${name}: ${steps.map(({ kind }) => kind).join(', ')}`,
  );

describe('heads of one’s own', () => {
  it('reads a norm and a linear layer', () => {
    const head = leftover('head', { ...norm('0.'), ...linear('1.', 3, width) });
    assert.deepEqual(read(head), ['logits: layer norm, linear']);
  });

  it('reads a batch norm beside a classifier without a bias (BNNeck)', () => {
    const neck = leftover('bottleneck', batchNorm(''));
    const classifier = leftover('classifier', { weight: [3, width] });
    assert.deepEqual(read(neck, classifier), ['logits: batch norm, linear']);
  });

  it('puts a function where the numbers have a gap, and none between neighbours', () => {
    const gap = leftover('head', { ...linear('0.', 5, width), ...linear('3.', 3, 5) });
    assert.deepEqual(read(gap), ['logits: linear, activation, linear']);
    const neighbours = leftover('head', { ...linear('0.', 5, width), ...linear('1.', 3, 5) });
    assert.deepEqual(read(neighbours), ['logits: linear, linear']);
  });

  it('joins modules whose widths join', () => {
    const found = read(leftover('fc1', linear('', 5, width)), leftover('fc2', linear('', 3, 5)));
    assert.deepEqual(found, ['logits: linear, activation, linear']);
  });

  it('answers several heads side by side, by their names', () => {
    const found = read(leftover('age', linear('', 5, width)), leftover('sex', linear('', 2, width)));
    assert.deepEqual(found, ['age: linear', 'sex: linear']);
  });

  it('marks a lone layer without a bias, which may be one of cosines', () => {
    assert.equal(headsFrom([leftover('arc', { weight: [3, width] })], width)?.biasFree, true);
    assert.equal(headsFrom([leftover('fc', linear('', 3, width))], width)?.biasFree, false);
  });

  it('reads twice the width if that is what is handed on, and not otherwise', () => {
    const head = leftover('fc', linear('', 3, 2 * width));
    assert.equal(headsFrom([head], width), undefined);
    assert.equal(headsFrom([head], 2 * width)?.chains.length, 1);
  });

  it('runs nothing that has two readings', () => {
    const square = leftover('pre', linear('', width, width));
    assert.equal(read(square, leftover('fc', linear('', 3, width))), undefined);
    const named = leftover('head', { ...linear('a.', width, width), ...linear('b.', 3, width) });
    assert.equal(read(named), undefined);
  });

  it('runs nothing whose widths do not join', () => {
    assert.equal(read(leftover('fc', linear('', 3, 5))), undefined);
  });

  for (const path of ['projector', 'proj_head', 'predictor', 'mask_head', 'decoder'])
    it(`never runs ${path} as a head`, () => {
      assert.equal(read(leftover(path, linear('', 3, width))), undefined);
    });
});
