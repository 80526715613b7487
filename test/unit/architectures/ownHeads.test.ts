import assert from 'node:assert/strict';
import { headsFrom } from '../../../src/architectures/recognise/ownHead';
import type { Member } from '../../../src/architectures/networks/networks';
import { mayReplace, type Leftover } from '../../../src/architectures/recognise/leftovers';

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

/** `logits: norm, linear`; undefined if no head follows. */
const read = (...beside: readonly Leftover[]): readonly string[] | undefined =>
  headsFrom(beside, width)?.chains.map(
    ({ name, steps }) => `${name}: ${steps.map(({ kind }) => kind).join(', ')}`,
  );

/** Of each place of a function, whether its layers stand next to one another. */
const tight = (...beside: readonly Leftover[]): readonly boolean[] | undefined =>
  headsFrom(beside, width)?.places.map(({ isTight }) => isTight);

describe('heads of one’s own', () => {
  it('reads a norm and a linear layer', () => {
    const head = leftover('head', { ...norm('0.'), ...linear('1.', 3, width) });
    assert.deepEqual(read(head), ['logits: norm, linear']);
  });

  it('reads a batch norm beside a classifier without a bias (BNNeck)', () => {
    const neck = leftover('bottleneck', batchNorm(''));
    const classifier = leftover('classifier', { weight: [3, width] });
    assert.deepEqual(read(neck, classifier), ['logits: batch norm, linear']);
  });

  it('asks for a function where the numbers have a gap, and between neighbours as well', () => {
    const gap = leftover('head', { ...linear('0.', 5, width), ...linear('3.', 3, 5) });
    assert.deepEqual(read(gap), ['logits: linear, activation, linear']);
    assert.deepEqual(tight(gap), [false]);
    // A list of layers that code calls one by one has no gaps, and a function all the same.
    const neighbours = leftover('head', { ...linear('0.', 5, width), ...linear('1.', 3, 5) });
    assert.deepEqual(read(neighbours), ['logits: linear, activation, linear']);
    assert.deepEqual(tight(neighbours), [true]);
  });

  it('asks for the side of a norm that names leave open', () => {
    const shapes = (norms: string, last: string): Shapes => ({
      ...linear('0.', width, width),
      ...norm(norms),
      ...linear(last, 3, width),
    });
    const sides = (norms: string, last: string): readonly string[] => {
      const found = headsFrom([leftover('head', shapes(norms, last))], width);
      const each = [found?.sided('before'), found?.sided('behind')];
      return each.map((heads) => heads?.chains[0]?.steps.map(({ kind }) => kind).join() ?? '');
    };
    const [before, behind] = ['linear,activation,norm,linear', 'linear,norm,activation,linear'];
    assert.deepEqual(sides('2.', '4.'), [before, behind]);
    assert.deepEqual(sides('1.', '3.'), [behind, behind]);
    assert.deepEqual(sides('2.', '3.'), [before, before]);
  });

  it('names what of a sequence has no parameters, but where a function is asked for', () => {
    const silent = (shapes: Shapes): readonly string[] | undefined =>
      headsFrom([leftover('head', shapes)], width)?.silent;
    assert.deepEqual(silent(linear('1.', 3, width)), ['head.0']);
    assert.deepEqual(silent({ ...norm('0.'), ...linear('2.', 3, width) }), ['head.1']);
    assert.deepEqual(silent({ ...linear('0.', 5, width), ...linear('2.', 3, 5) }), []);
  });

  it('reads sequences inside of a sequence, and layers in the order of their numbers', () => {
    const nested = leftover('head', {
      ...linear('2.0.', 3, 5),
      ...norm('0.0.'),
      ...linear('0.1.', 5, width),
    });
    assert.deepEqual(read(nested), ['logits: norm, linear, activation, linear']);
  });

  it('takes a scale without a bias for a norm where it cannot be the slopes of PReLU', () => {
    const scale = (name: string): Shapes => ({ [`${name}weight`]: [width] });
    const behind = { ...linear('0.', width, width), ...linear('2.', 3, width) };
    const first = leftover('head', { ...scale('0.'), ...linear('1.', 3, width) });
    assert.deepEqual(read(first), ['logits: norm, linear']);
    const named = leftover('head', { ...scale('norm.'), ...linear('fc.', 3, width) });
    assert.deepEqual(read(named), ['logits: norm, linear']);
    assert.equal(read(leftover('head', { ...behind, ...scale('1.') })), undefined);
  });

  it('reads a batch norm that learns nothing', () => {
    const { '0.running_mean': mean = [], '0.running_var': variance = [] } = batchNorm('0.');
    const head = leftover('head', {
      '0.running_mean': mean,
      '0.running_var': variance,
      ...linear('1.', 3, width),
    });
    assert.deepEqual(read(head), ['logits: batch norm, linear']);
  });

  it('puts a norm of another width behind the layer that it fits, wherever the file has it', () => {
    const fc = [leftover('fc1', linear('', 5, width)), leftover('fc2', linear('', 3, 5))];
    const bn = leftover('bn', { weight: [5], bias: [5], running_mean: [5], running_var: [5] });
    const right = ['logits: linear, batch norm, activation, linear'];
    assert.deepEqual(read(...fc, bn), right);
    assert.deepEqual(read(bn, ...fc), right);
  });

  it('reads heads of several layers in one module, and heads behind a layer that they share', () => {
    const each = (at: string, out: number): Shapes => ({
      ...linear(`${at}.0.`, 5, width),
      ...linear(`${at}.2.`, out, 5),
    });
    const found = read(leftover('heads', { ...each('age', 1), ...each('sex', 2) }));
    assert.deepEqual(found, [
      'heads.age: linear, activation, linear',
      'heads.sex: linear, activation, linear',
    ]);
    const [age, sex] = [leftover('age', linear('', 1, 5)), leftover('sex', linear('', 2, 5))];
    const shared = read(age, sex, leftover('trunk', linear('', 5, width)));
    assert.deepEqual(shared, ['age: linear, activation, linear', 'sex: linear, activation, linear']);
  });

  for (const [path, shapes] of [
    ['projection', linear('', width, width)],
    ['out_proj', linear('', 4, 3)],
    ['attn', linear('', 1, width)],
    ['gate', linear('', width, width)],
  ] as const)
    it(`runs nothing that may read ${path}, or be read by it`, () => {
      const classifier = leftover('classifier', linear('', 3, width));
      assert.equal(read(classifier, leftover(path, shapes)), undefined);
      assert.notEqual(read(classifier, leftover('projector', linear('', 4, width))), undefined);
    });

  it('joins modules whose widths join', () => {
    const found = read(leftover('fc1', linear('', 5, width)), leftover('fc2', linear('', 3, 5)));
    assert.deepEqual(found, ['logits: linear, activation, linear']);
  });

  it('answers several heads side by side, by their names', () => {
    const found = read(leftover('age', linear('', 5, width)), leftover('sex', linear('', 2, width)));
    assert.deepEqual(found, ['age: linear', 'sex: linear']);
  });

  it('names last layers without a bias, which may be those of cosines', () => {
    assert.deepEqual(headsFrom([leftover('arc', { weight: [3, width] })], width)?.biasFree, ['arc']);
    assert.deepEqual(headsFrom([leftover('fc', linear('', 3, width))], width)?.biasFree, []);
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

  const noHeads = [
    'projector',
    'proj_head',
    'predictor',
    'mask_head',
    'decoder',
    'time_embed',
    'attn_pool',
    'gate',
  ];
  for (const path of noHeads)
    it(`never runs ${path} as a head`, () => {
      assert.equal(read(leftover(path, linear('', 3, width))), undefined);
    });

  it('tells what may take the vector and hand on another', () => {
    const layer = { ...linear('self_attn.', 3 * width, width), ...linear('linear2.', width, 32) };
    assert.equal(mayReplace(leftover('extra', layer), width), true);
    assert.equal(mayReplace(leftover('other', linear('', 3, width)), width), false);
    assert.equal(mayReplace(leftover('neck', norm('')), width), false);
  });
});
