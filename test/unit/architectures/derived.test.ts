import assert from 'node:assert/strict';
import { derivedMembers, rolesOfParts } from '../../../src/architectures/networks/derived';
import type { Tensor } from '../../../src/checkpoint/tensors';

type Shapes = Readonly<Record<string, readonly number[]>>;

const tensorsOf = (shapes: Shapes): readonly Tensor[] =>
  Object.entries(shapes).map(([name, shape]) => {
    const storage = { kind: 'inline', bytes: new Uint8Array() } as const;
    return { name, shape, dtype: 'F32', storage, start: 0 };
  });

/** Names and kinds of what is read, and the parts that are no parameters. */
function read(shapes: Shapes): { readonly members: Record<string, string>; readonly buffers: string[] } {
  const members = derivedMembers(tensorsOf(shapes));
  const entries = members.map(({ name, tensor }) => [
    name,
    `${tensor.derived?.kind ?? 'stored'} ${tensor.shape.join('x')}`,
  ]);
  const buffers = [...rolesOfParts(members)].filter(([, role]) => role === 'buffer').map(([name]) => name);
  return { members: Object.fromEntries(entries) as Record<string, string>, buffers };
}

const cases: readonly (readonly [what: string, shapes: Shapes, kind: string, buffers: readonly string[]])[] =
  [
    ['pruning', { 'fc.weight_orig': [4, 6], 'fc.weight_mask': [4, 6] }, 'masked', ['fc.weight_mask']],
    ['weight norm', { 'fc.weight_g': [4, 1], 'fc.weight_v': [4, 6] }, 'weight-norm', []],
    [
      'parametrized weight norm',
      {
        'fc.parametrizations.weight.original0': [4, 1],
        'fc.parametrizations.weight.original1': [4, 6],
      },
      'weight-norm',
      [],
    ],
    [
      'spectral norm',
      { 'fc.weight_orig': [4, 6], 'fc.weight_u': [4], 'fc.weight_v': [6] },
      'spectral-norm',
      ['fc.weight_u', 'fc.weight_v'],
    ],
    [
      'parametrized spectral norm',
      {
        'fc.parametrizations.weight.original': [4, 6],
        'fc.parametrizations.weight.0._u': [4],
        'fc.parametrizations.weight.0._v': [6],
      },
      'spectral-norm',
      ['fc.parametrizations.weight.0._u', 'fc.parametrizations.weight.0._v'],
    ],
    [
      "torch's rows of 8 bit",
      {
        'fc._packed_params._packed_params.weight': [4, 6],
        'fc._packed_params._packed_params.weight_scales': [4],
        'fc._packed_params._packed_params.weight_zero_points': [4],
      },
      'affine-rows',
      [
        'fc._packed_params._packed_params.weight_scales',
        'fc._packed_params._packed_params.weight_zero_points',
      ],
    ],
    ['rows of 8 bit', { 'fc.weight': [4, 6], 'fc.SCB': [4] }, 'scaled-rows', ['fc.SCB']],
    [
      "PEFT's adapters",
      {
        'fc.base_layer.weight': [4, 6],
        'fc.lora_A.default.weight': [2, 6],
        'fc.lora_B.default.weight': [4, 2],
      },
      'low-rank',
      [],
    ],
    ["loralib's adapters", { 'fc.weight': [4, 6], 'fc.lora_A': [2, 6], 'fc.lora_B': [4, 2] }, 'low-rank', []],
    [
      'adapters of own names',
      { 'fc.inner.weight': [4, 6], 'fc.reduce.weight': [2, 6], 'fc.expand.weight': [4, 2] },
      'low-rank',
      [],
    ],
  ];

/** Names that are nearly those of parts, with shapes that cannot be. */
const others: readonly (readonly [what: string, shapes: Shapes])[] = [
  ['a mask of another shape', { 'fc.weight_orig': [4, 6], 'fc.weight_mask': [4, 5] }],
  ['a part alone', { 'fc.weight_orig': [4, 6] }],
  ['a magnitude that is none', { 'fc.weight_g': [3, 1], 'fc.weight_v': [4, 6] }],
  ['a vector of another length', { 'fc.weight_orig': [4, 6], 'fc.weight_u': [4], 'fc.weight_v': [5] }],
  [
    'products that make no third',
    {
      'qkv.qkv.weight': [12, 4],
      'qkv.linear_a_q.weight': [2, 4],
      'qkv.linear_b_q.weight': [3, 2],
    },
  ],
  ['scales of other rows', { 'fc.weight': [4, 6], 'fc.SCB': [6] }],
  [
    'a product that is not low',
    { 'fc.inner.weight': [4, 6], 'fc.reduce.weight': [3, 6], 'fc.expand.weight': [4, 3] },
  ],
  [
    'thin matrices that do not join',
    { 'fc.inner.weight': [4, 6], 'fc.reduce.weight': [2, 6], 'fc.expand.weight': [4, 1] },
  ],
  [
    'thin kernels of other sides',
    { 'c.inner.weight': [8, 6, 3, 3], 'c.reduce.weight': [2, 6, 1, 1], 'c.expand.weight': [8, 2, 3, 3] },
  ],
];

describe('parameters that are computed from several tensors', () => {
  for (const [what, shapes, kind, buffers] of cases)
    it(`${what}: is one parameter`, () => {
      const bias = { 'fc.bias': [4] };
      const found = read(kind === 'low-rank' ? shapes : { ...shapes, ...bias });
      assert.equal(found.members['fc.weight'], `${kind} 4x6`);
      assert.deepEqual(found.buffers, buffers);
      assert.deepEqual(
        Object.keys(found.members).filter((name) => name !== 'fc.bias'),
        ['fc.weight'],
      );
    });

  it("PEFT's adapters of a convolution: the kernel is one parameter, whatever its sides", () => {
    const { members } = read({
      'proj.base_layer.weight': [8, 3, 4, 4],
      'proj.base_layer.bias': [8],
      'proj.lora_A.default.weight': [2, 3, 4, 4],
      'proj.lora_B.default.weight': [8, 2, 1, 1],
    });
    assert.deepEqual(members, { 'proj.weight': 'low-rank 8x3x4x4', 'proj.bias': 'stored 8' });
  });

  it('LoRA on queries and values of one matrix: thirds of it, with its bias', () => {
    const members = derivedMembers(
      tensorsOf({
        'attn.qkv.qkv.weight': [12, 4],
        'attn.qkv.qkv.bias': [12],
        'attn.qkv.linear_a_q.weight': [2, 4],
        'attn.qkv.linear_b_q.weight': [4, 2],
        'attn.qkv.linear_a_v.weight': [2, 4],
        'attn.qkv.linear_b_v.weight': [4, 2],
      }),
    );
    assert.deepEqual(
      members.map(({ name, tensor }) => [name, tensor.derived?.kind, tensor.derived?.thirds]),
      [
        ['attn.qkv.weight', 'low-rank-thirds', [0, 2]],
        ['attn.qkv.bias', undefined, undefined],
      ],
    );
  });

  for (const [what, shapes] of others)
    it(`${what}: stays as it is stored`, () => {
      const { members, buffers } = read(shapes);
      assert.deepEqual(Object.keys(members), Object.keys(shapes));
      assert(Object.values(members).every((kind) => kind.startsWith('stored')));
      assert.deepEqual(buffers, []);
    });
});
