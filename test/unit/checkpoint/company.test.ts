// What people save beside a state dict, written as PyTorch's protocol 2 writes it: nothing of it is
// a reason to refuse a file, and what would call into the system still is.
import assert from 'node:assert/strict';
import { fromBytes } from '../../../src/checkpoint/byteSource';
import { readTable } from '../../../src/checkpoint/formats';
import { readTensor, toFloat32 } from '../../../src/checkpoint/values';
import { zipPieces } from '../../support/zipWriter';

const text = (value: string) => `X${String.fromCharCode(value.length)}\0\0\0${value}`;
const dict = (...entries: readonly (readonly [string, string])[]) =>
  `}(${entries.map(([key, value]) => text(key) + value).join('')}u`;
const global = (module: string, name: string) => `c${module}\n${name}\n`;
const call = (module: string, name: string, args: string) => `${global(module, name)}(${args}tR`;
const storage = (kind: string, count: number) =>
  `(${text('storage')}ctorch\n${kind}Storage\n${text('0')}${text('cpu')}K${String.fromCharCode(count)}tQ`;
const sized = (...sizes: readonly number[]) =>
  `(${sizes.map((size) => `K${String.fromCharCode(size)}`).join('')}t`;
/** A 2 × 2 tensor of floats, and a list of four. */
const matrix = call(
  'torch._utils',
  '_rebuild_tensor_v2',
  `${storage('Float', 4)}K\0${sized(2, 2)}${sized(2, 1)}\x89${call('collections', 'OrderedDict', '')}`,
);
const vector = matrix.replace(sized(2, 2), sized(4)).replace(sized(2, 1), sized(1));
const state = dict(['weight', matrix]);

function source(value: string) {
  const parts = [
    { name: 'm/data.pkl', content: Buffer.from(`\x80\x02${value}.`, 'latin1') },
    { name: 'm/data/0', content: new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer) },
  ];
  return fromBytes('model.pt', Buffer.concat(zipPieces(parts) as Uint8Array[]));
}
const table = (value: string) => readTable(source(value));
const beside = (value: string) => table(dict(['state_dict', state], ['extra', value]));

const layout = call('torch.serialization', '_get_layout', text('torch.strided'));
const seeds = call(
  'numpy.random.bit_generator',
  '__pyx_unpickle_SeedSequence',
  `${global('numpy.random.bit_generator', 'SeedSequence')}K\x01N`,
);

const company: Readonly<Record<string, string>> = {
  Ellipsis: global('__builtin__', 'Ellipsis'),
  'a built-in function': global('__builtin__', 'len'),
  'functools.partial(max, 1)':
    call('functools', 'partial', global('__builtin__', 'max')) +
    `(${global('__builtin__', 'max')}K\x01\x85}Ntb`,
  'a seed sequence of NumPy': seeds,
  'a bit generator': call('numpy.random._pickle', '__bit_generator_ctor', text('PCG64')),
  'a layout': layout,
  'the type of None': call('__builtin__', 'type', 'N'),
  'a path': call('pathlib', 'PosixPath', text('/') + text('data')),
  'an iterator over a list': call('__builtin__', 'iter', ']'),
  'a masked array': call(
    'numpy.ma.core',
    '_mareconstruct',
    `${global('numpy.ma.core', 'MaskedArray')}${global('numpy', 'ndarray')}K\0\x85${text('b')}`,
  ),
  'a block of a data frame': call('pandas._libs.internals', '_unpickle_block', 'NNK\x02'),
  'an exception': call('__builtin__', 'KeyError', text('a')),
  'an object of a class in lower case': `${global('mylab', 'settings')})\x81}${text('a')}K\x01sb`,
};

describe('what lies beside tensors in a pickle', () => {
  for (const [what, value] of Object.entries(company))
    it(`may be ${what}`, async () => {
      const { stateDicts, extras } = await beside(value);
      assert.deepEqual(
        stateDicts.map(({ name, tensors }) => [name, tensors.map((tensor) => tensor.name)]),
        [['state_dict', ['weight']]],
      );
      assert.deepEqual(
        extras.map(({ name }) => name),
        ['extra'],
      );
    });

  for (const [what, value] of Object.entries({
    'os.system': call('posix', 'system', text('id')),
    eval: call('__builtin__', 'eval', text('1')),
    'a bound method that is called': `${call('__builtin__', 'getattr', global('mylab', 'Thing') + text('run'))})R`,
    'len, called': call('__builtin__', 'len', text('a')),
    'type with three arguments': call('__builtin__', 'type', `${text('A')})}`),
    'a function through a module of PyTorch': `\x8c\x17torch.nn.modules.module\x8c\x0ftorch.os.system\x93)R`,
  }))
    it(`is refused for ${what}`, () =>
      assert.rejects(beside(value), { kind: 'unsafe', message: /would run code/ }));

  it('may be lists of any length: losses, ids', async () => {
    const { extras } = await beside(`](${'K\x01'.repeat(130_000)}e`);
    assert.deepEqual(extras, [{ name: 'extra', summary: 'list of 130000' }]);
    const metrics = dict(
      ...Array.from({ length: 3 }, (_, at) => [`m${at}`, `](${'K\x01'.repeat(130_000)}e`] as const),
    );
    assert.equal((await beside(metrics)).stateDicts.length, 1);
  });

  it('may be a sparse tensor, which is named as not shown', async () => {
    const sparse = call(
      'torch._utils',
      '_rebuild_sparse_tensor',
      `${layout}(${vector}${vector}${sized(2)}\x89t`,
    );
    const { stateDicts, warnings } = await beside(sparse);
    assert.deepEqual(
      stateDicts.map(({ name }) => name),
      ['state_dict'],
    );
    assert.match(warnings.join('\n'), /tensor "extra".*a sparse tensor.*left out/);
  });
});

describe('tensors of other devices and processes', () => {
  const array =
    call('numpy.core.multiarray', '_reconstruct', `${global('numpy', 'ndarray')}K\0\x85${text('b')}`) +
    `(K\x01${sized(2, 2)}${call('numpy', 'dtype', `${text('f4')}\x89\x88`)}\x89` +
    `${call('_codecs', 'encode', `${text('\0\0\x80?'.repeat(4).replaceAll('\x80', '\xc2\x80'))}${text('latin1')}`)}tb`;
  const values = async (value: string) => {
    const file = source(dict(['weight', value]));
    const { stateDicts } = await readTable(file);
    const tensor = stateDicts[0]!.tensors[0]!;
    return [
      tensor.dtype,
      tensor.shape,
      [...toFloat32(await readTensor(tensor, async () => file), tensor.dtype)],
    ];
  };

  it('of XLA open: an array inside', async () => {
    for (const name of ['_rebuild_device_tensor_from_numpy', '_rebuild_xla_tensor'])
      assert.deepEqual(
        await values(call('torch._utils', name, `${array}ctorch\nfloat32\n${text('xla:0')}\x89`)),
        ['F32', [2, 2], [1, 1, 1, 1]],
      );
  });

  it('of other devices open: a tensor of the processor inside', async () => {
    const moved = call(
      'torch._utils',
      '_rebuild_device_tensor_from_cpu_tensor',
      `${matrix}ctorch\nfloat32\n${text('mps:0')}\x89`,
    );
    assert.deepEqual(await values(moved), ['F32', [2, 2], [1, 2, 3, 4]]);
  });

  const shard = (...whole: readonly number[]) => {
    const type = global('torch.distributed.tensor', 'DTensor');
    const args = `(${type}ctorch\nfloat32\n${sized(...whole)}${sized(2, 1)}K\0${layout}${text('cpu')}\x89t`;
    const attributes = dict(['_local_tensor', matrix], ['_spec', 'N']);
    return call(
      'torch._tensor',
      '_rebuild_from_type_v2',
      `${global('torch._utils', '_rebuild_wrapper_subclass')}${type}${args}(N${attributes}t`,
    );
  };

  it('of FSDP 2 open where one process held the whole, and say what to do where it did not', async () => {
    assert.deepEqual(await values(shard(2, 2)), ['F32', [2, 2], [1, 2, 3, 4]]);
    await assert.rejects(
      table(dict(['weight', shard(8, 2)])),
      /one process's part, \[2,2\] of \[8,2\].*full_state_dict=True/,
    );
  });
});

describe('parts of a distributed checkpoint', () => {
  it('say whose ShardedTensor they are, and what to save instead', async () => {
    const type = global('torch.distributed._shard.sharded_tensor.api', 'ShardedTensor');
    const { warnings } = await table(dict(['weight', `${type})\x81](${matrix}e\x85b`]));
    assert.match(warnings.join('\n'), /one process's part .*ShardedTensor.*FULL_STATE_DICT/);
  });

  it('of ZeRO are named as pieces of an optimizer', async () => {
    const state = dict(['zero_stage', 'K\x02'], ['single_partition_of_fp32_groups', `](${vector}e`]);
    const { warnings } = await table(dict(['optimizer_state_dict', state]));
    assert.match(warnings.join('\n'), /piece of a DeepSpeed \(ZeRO\) optimizer.*zero_to_fp32\.py/);
  });

  it('of ZeRO 3 are named where every tensor is empty', async () => {
    const empty = matrix.replace(sized(2, 2), sized(0, 1)).replace(sized(2, 1), sized(1, 1));
    const { warnings } = await table(dict(['module', dict(['weight', empty])]));
    assert.match(warnings.join('\n'), /all its tensors are empty\. DeepSpeed.*zero_to_fp32\.py/);
  });
});

describe('lists of state dicts', () => {
  it('are state dicts by their place, whatever lies between them', async () => {
    const { stateDicts, extras } = await table(
      `(${state}K\x07${dict(['model', state], ['epoch', 'K\x03'])}t`,
    );
    assert.deepEqual(stateDicts.map(({ name }) => name).sort(), ['0', '2.model']);
    assert.deepEqual(extras.map(({ name }) => name).sort(), ['1', '2.epoch']);
  });

  it('are none where they hold a history of measured values', async () => {
    const { stateDicts } = await beside(`](${dict(['loss', vector])}${dict(['loss', vector])}e`);
    assert.deepEqual(
      stateDicts.map(({ name }) => name),
      ['state_dict'],
    );
  });
});
