import assert from 'node:assert/strict';
import { isKind, PickleEnd, unpickle, type PickleValue } from '../../../src/checkpoint/pickle/pickle';
import { judgeGlobal, type Verdict } from '../../../src/checkpoint/pickle/globals';

/** A pickle written as latin-1 text: opcodes are ASCII, lengths and protocol bytes are escapes. */
const read = (text: string) => unpickle(Buffer.from(text, 'latin1'));

/** Plain JavaScript for the values of a test: lists and tuples as arrays, dicts as entries. */
function plain(value: PickleValue | undefined): unknown {
  if (isKind(value, 'float')) return { float: value.value };
  if (isKind(value, 'dict')) return [...value.entries].map(([key, item]) => [plain(key), plain(item)]);
  if (isKind(value, 'global')) return `${value.module}.${value.name}`;
  if (isKind(value, 'object'))
    return {
      new: plain(value.type),
      args: value.args.map(plain),
      ...(value.state === undefined ? {} : { state: plain(value.state) }),
    };
  if (isKind(value, 'persistent')) return { persistent: plain(value.id) };
  if (value instanceof Uint8Array) return [...value];
  if (isKind(value, 'list') || isKind(value, 'tuple') || isKind(value, 'set') || isKind(value, 'frozenset'))
    return { [value.kind]: value.items.map(plain) };
  return value;
}

/** Pickles as CPython writes them (pickletools.dis shows them), and what they stand for. */
const values: readonly [protocol: string, pickle: string, value: unknown][] = [
  [
    '0: integers, booleans, floats, text',
    "(I7\nI01\nI00\nL12345678901234567890L\nF0.5\nVh\\u00e9\nS'it\\'s\\n'\nNl.",
    { list: [7, true, false, 12345678901234567890n, { float: 0.5 }, 'hé', "it's\n", null] },
  ],
  [
    '0: dict and memo',
    '(dp0\nVa\np1\nI1\nsVb\ng1\ns.',
    [
      ['a', 1],
      ['b', 'a'],
    ],
  ],
  [
    '1: BININT, short strings, tuple',
    '(K\xffM\x01\x02J\xfe\xff\xff\xffU\x03abct.',
    { tuple: [255, 513, -2, 'abc'] },
  ],
  [
    '2: negative and wide LONG1',
    '\x80\x02\x8a\x02\x00\x80\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01\x86.',
    { tuple: [-32768, 2n ** 64n] },
  ],
  ['3: bytes', '\x80\x03C\x03\x00\x01\xff.', [0, 1, 255]],
  [
    '4: frame, memoize, set, global',
    '\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00\x8f\x94(\x8c\x01a\x94K\x01\x90\x8c\x08builtins\x8c\x03int\x93\x86.',
    { tuple: [{ set: ['a', 1] }, 'builtins.int'] },
  ],
  ['5: bytearray', '\x80\x05\x96\x02\x00\x00\x00\x00\x00\x00\x00hi.', [104, 105]],
  [
    'calls are described, not made',
    '\x80\x02cmytrain.config\nConfig\n)\x81}X\x01\x00\x00\x00aK\x01sb.',
    { new: 'mytrain.config.Config', args: [], state: [['a', 1]] },
  ],
  [
    'persistent ids are left to the container',
    '\x80\x02(X\x07\x00\x00\x00storageK\x01tQ.',
    { persistent: { tuple: ['storage', 1] } },
  ],
];

describe('unpickle', () => {
  for (const [name, pickle, value] of values)
    it(name, () => assert.deepEqual(plain(read(pickle).value), value));

  it('stops at STOP and says where', () => assert.equal(read('K\x01.garbage').length, 3));

  it('tells an early end from a broken pickle', () => {
    assert.throws(() => read('\x80\x02}X\xff\x00\x00\x00'), PickleEnd);
    assert.throws(() => read('\x80\x02}X\xff\x00\x00\x00'), /255 bytes at 8 go beyond its end/);
    assert.throws(
      () => read('\x80\x02K\x01u.'),
      (error: Error) => !(error instanceof PickleEnd) && /MARK/.test(error.message),
    );
  });

  it('names what would be executed even where the pickle breaks later', () => {
    assert.deepEqual(read("cos\nsystem\n(S'x'\ntR.").unsafe, ['os.system']);
    assert.throws(
      () => read('cos\nsystem\n\xfe'),
      (error: { unsafe?: string[] }) => error.unsafe?.[0] === 'os.system',
    );
  });

  it('takes the class out of the module records of PyTorch before 1.6', () => {
    const record =
      '(X\x06\x00\x00\x00modulectorch.nn.modules.linear\nLinear\nX\x01\x00\x00\x00fX\x01\x00\x00\x00stQ';
    const { value, unsafe } = read(`\x80\x02${record})\x81}b.`);
    assert.deepEqual(plain(value), { new: 'torch.nn.modules.linear.Linear', args: [], state: [] });
    assert.deepEqual(unsafe, []);
  });
});

const verdicts: Readonly<Record<Verdict, readonly string[]>> = {
  known: [
    'torch._utils _rebuild_tensor_v2',
    'collections OrderedDict',
    'numpy._core.multiarray scalar',
    'argparse Namespace',
    'pathlib PosixPath',
    'torch.nn.modules.linear Linear',
    '__torch__.Model Model',
    'numpy.random._pickle __randomstate_ctor',
    'numpy.random.bit_generator __pyx_unpickle_SeedSequence',
    'numpy.random._pcg64 PCG64',
    'numpy.ma.core _mareconstruct',
    'pandas._libs.internals _unpickle_block',
    'torch.serialization _get_layout',
    '__builtin__ Ellipsis',
    'builtins zip',
    'zoneinfo ZoneInfo._unpickle',
    'typing Dict',
    '_io BytesIO',
  ],
  class: [
    'mytrain.config Config',
    '__main__ Args',
    'timm.models.vision_transformer VisionTransformer',
    'omegaconf.dictconfig DictConfig',
    'pkg Outer.Inner',
    'builtins KeyError',
    'string Template',
    'pkg._cython __pyx_unpickle_Thing',
  ],
  function: [
    'builtins len',
    '__builtin__ max',
    'math cos',
    'random random',
    'posixpath join',
    'builtins type',
    'mytrain.utils make',
    'torch.nn.functional gelu',
    'torch._utils_ _rebuild_tensor_v2',
  ],
  unsafe: [
    'os system',
    'posix system',
    'builtins eval',
    '__builtin__ exec',
    'subprocess Popen',
    'torch load',
    'torch.hub load',
    'torch _utils.os.system',
    'numpy load',
    'pip._internal main',
    'ctypes CDLL',
    'sys modules',
    '_posixsubprocess fork_exec',
    'pkg Class.__globals__',
    'operator attrgetter',
    'operator methodcaller',
    'builtins open',
    'builtins setattr',
    '__builtin__ globals',
    'types FunctionType',
    'collections _sys.modules',
    'random _os.system',
    'torch.nn.modules.module torch.os.system',
    'numpy.random._pickle np.os.system',
    '__torch__.Model os.system',
    'logging.config dictConfig',
    'numpy.random.sub __reduce__',
    'code interact',
    'runpy run_path',
    'shutil rmtree',
    'socket socket',
    'types FunctionType',
  ],
};

describe('judgeGlobal', () => {
  for (const [verdict, globals] of Object.entries(verdicts)) {
    for (const global of globals) {
      it(`${global}: ${verdict}`, () => {
        const [module, name] = global.split(' ') as [string, string];
        assert.equal(judgeGlobal(module, name), verdict);
      });
    }
  }
});
