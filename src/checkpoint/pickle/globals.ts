import { last } from '../../domain/lists';

/**
 * What a pickle may name. Nothing it names is ever imported or called; the verdict only decides
 * whether the file is shown, shown with a warning, or refused, because Python would execute it.
 *
 * - `known`: types and rebuilding functions of published checkpoints; understood or safely ignored.
 *   `getattr` is among them (it pickles methods); a call of what it gives is not.
 * - `class`: some project's own class; becomes an inert placeholder and is listed to the user.
 * - `function`: a function that reaches into nothing by itself (`len`, some project's own); inert
 *   while it is only mentioned, a reason to refuse the file once it is called.
 * - `unsafe`: reaches into the system, or runs, loads or looks up code.
 */
export type Verdict = 'known' | 'class' | 'function' | 'unsafe';

/** Types, constants, and functions that look at their arguments alone. */
const builtinNames = split(
  'bool bytearray bytes complex dict enumerate float frozenset getattr int iter list memoryview object range reversed set slice ' +
    'str tuple zip Ellipsis NotImplemented None True False',
);

/** Module -> names that published checkpoints use; `*` allows every name without a dot. */
const known: Readonly<Record<string, readonly string[]>> = {
  argparse: ['Namespace'],
  array: ['array', '_array_reconstructor'],
  builtins: builtinNames,
  __builtin__: [...builtinNames, 'long', 'unicode', 'xrange'],
  _codecs: ['encode'],
  _io: ['BytesIO', 'StringIO'],
  codecs: ['encode'],
  collections: split(
    'ChainMap Counter OrderedDict UserDict UserList UserString defaultdict deque namedtuple',
  ),
  'collections.abc': ['*'],
  copyreg: ['_reconstructor', '__newobj__', '__newobj_ex__'],
  copy_reg: ['_reconstructor', '__newobj__', '__newobj_ex__'],
  datetime: split('date datetime time timedelta timezone tzinfo'),
  decimal: ['Decimal'],
  enum: split('Enum Flag IntEnum IntFlag StrEnum'),
  dataclasses: split('Field MISSING _MISSING_TYPE _HAS_DEFAULT_FACTORY_CLASS'),
  fractions: ['Fraction'],
  functools: split('partial partialmethod'),
  inspect: split('Parameter Signature _ParameterKind _empty'),
  io: ['BytesIO', 'StringIO'],
  ipaddress: split('IPv4Address IPv4Network IPv6Address IPv6Network'),
  itertools: split(
    'accumulate chain combinations count cycle islice permutations product repeat zip_longest',
  ),
  logging: ['Logger', 'getLogger'],
  pathlib: split('Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath'),
  'pathlib._local': split('Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath'),
  operator: split('getitem itemgetter add mul sub neg'),
  random: split('Random SystemRandom'),
  re: split('_compile RegexFlag'),
  time: ['struct_time'],
  types: split('SimpleNamespace MappingProxyType NoneType'),
  typing: split(
    'Any Callable Dict FrozenSet Generic Iterable Iterator List Literal Mapping NamedTuple Optional OrderedDict Sequence Set Tuple Type TypeVar Union',
  ),
  uuid: ['UUID', 'SafeUUID'],
  weakref: split('WeakKeyDictionary WeakSet WeakValueDictionary'),
  zoneinfo: ['ZoneInfo', 'ZoneInfo._unpickle'],
  numpy: split(
    'ndarray dtype bool_ bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 longdouble complex64 complex128 str_ bytes_ void matrix',
  ),
  ...both('numpy', 'core.multiarray', ['_reconstruct', 'scalar']),
  ...both('numpy', 'core.numeric', ['_frombuffer']),
  'numpy.ma.core': split('MaskedArray MaskedConstant _mareconstruct'),
  // Generators, bit generators and seed sequences, of every NumPy.
  ...every(
    'numpy.random',
    split('_pickle mtrand bit_generator _generator _mt19937 _pcg64 _philox _sfc64 _bounded_integers'),
  ),
  'numpy.dtypes': ['*'],
  // How data frames are rebuilt: tables of a training's history.
  'pandas._libs.internals': ['_unpickle_block', 'BlockPlacement'],
  'pandas._libs.tslibs.nattype': ['_nat_unpickle'],
  'pandas._libs.tslibs.timedeltas': ['_timedelta_unpickle'],
  'pandas._libs.tslibs.timestamps': ['_unpickle_timestamp'],
  'pandas.core.indexes.base': ['_new_Index', 'Index'],
  'pandas.core.indexes.datetimes': ['_new_DatetimeIndex', 'DatetimeIndex'],
  torch: split(
    'Tensor Size device dtype Generator layout memory_format contiguous_format preserve_format strided sparse_coo sparse_csr ' +
      'bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 float32 float64 bfloat16 half float double int long short ' +
      'complex32 complex64 complex128 quint8 qint8 qint32 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 ' +
      'per_tensor_affine per_channel_affine per_channel_symmetric per_tensor_symmetric per_channel_affine_float_qparams ' +
      'ByteStorage CharStorage ShortStorage IntStorage LongStorage HalfStorage BFloat16Storage FloatStorage DoubleStorage BoolStorage ' +
      'ComplexFloatStorage ComplexDoubleStorage QInt8Storage QUInt8Storage QInt32Storage UntypedStorage FloatTensor',
  ),
  'torch.cuda': split(
    'FloatStorage HalfStorage DoubleStorage LongStorage IntStorage ByteStorage BoolStorage BFloat16Storage FloatTensor',
  ),
  'torch.storage': ['UntypedStorage', 'TypedStorage'],
  'torch.serialization': ['_get_layout'],
  'torch._utils': split(
    '_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state _rebuild_meta_tensor_no_storage ' +
      '_rebuild_device_tensor_from_numpy _rebuild_device_tensor_from_cpu_tensor _rebuild_xla_tensor _rebuild_qtensor _rebuild_sparse_tensor ' +
      '_rebuild_sparse_csr_tensor _rebuild_nested_tensor _rebuild_wrapper_subclass',
  ),
  'torch._tensor': ['_rebuild_from_type', '_rebuild_from_type_v2'],
  'torch.jit._pickle': split(
    'build_intlist build_tensorlist build_doublelist build_boollist build_tensor_from_id restore_type_tag',
  ),
  // PyTorch before 1.3 keeps this in every pickled module.
  'torch.nn.backends.thnn': ['_get_thnn_function_backend'],
  'torch.distributed.tensor': ['DTensor'],
  'torch.distributed._tensor.api': ['DTensor'],
  'torch.nn.parameter': ['Parameter', 'Buffer', 'UninitializedParameter'],
};

/**
 * Packages whose classes make up a whole pickled or scripted model: their tensors are read, the
 * classes need no mention.
 */
const modulePackages = /^(torch\.nn\.(modules|parallel)\.|torch\._dynamo\.eval_frame$|__torch__(\.|$))/;

/**
 * Top-level modules of Python 2 and 3 itself. Whatever of them is not known above is unsafe: so
 * many of them open files, start processes, import or compile code (also through names nobody
 * thinks of: timeit, cProfile, pydoc, bdb) that a list of the bad ones would have holes.
 */
const standardLibrary = new Set(
  split(
    'Bastion Queue SimpleHTTPServer SocketServer abc aifc argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb ' +
      'binascii bisect builtins bz2 cPickle cProfile calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys ' +
      'commands compileall compiler concurrent configparser contextlib contextvars copy copyreg crypt csv ctypes curses dataclasses ' +
      'datetime dbm decimal difflib dircache dis distutils doctest dummy_thread email encodings ensurepip enum errno faulthandler ' +
      'fcntl filecmp fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass gettext glob graphlib grp gzip ' +
      'hashlib heapq hmac html http httplib ihooks imaplib imghdr imp importlib imputil inspect io ipaddress itertools json keyword ' +
      'lib2to3 linecache locale logging lzma mailbox mailcap marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing ' +
      'netrc nis nntplib nt ntpath nturl2path numbers opcode operator optparse os ossaudiodev pathlib pdb pickle pickletools ' +
      'pipes pkgutil platform plistlib popen2 poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc ' +
      'pydoc_data pyexpat queue quopri random re readline reprlib resource rexec rlcompleter runpy sched secrets select selectors ' +
      'shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl ' +
      'stat statistics string stringprep struct subprocess sunau symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile ' +
      'termios textwrap thread threading time timeit tkinter token tokenize tomllib trace traceback tracemalloc tty turtle ' +
      'turtledemo types typing unicodedata unittest urllib urllib2 uu uuid venv warnings wave weakref webbrowser winreg ' +
      'winsound wsgiref xdrlib xml xmlrpc zipapp zipfile zipimport zlib zoneinfo',
  ),
);

/**
 * Built-in functions that reach into nothing by themselves. The others open files, run or compile
 * code, or change what exists: `open`, `eval`, `setattr`, `globals` …
 */
const plainFunctions = new Set(
  split(
    'abs all any ascii bin callable chr classmethod divmod filter format hash hex id isinstance issubclass len map max min next oct ' +
      'ord pow print property repr round sorted staticmethod sum super type',
  ),
);

/** Modules of the standard library whose functions compute, and whose classes hold data. */
const plainModules = new Set(
  split(
    'abc bisect calendar cmath collections colorsys copy dataclasses datetime decimal difflib enum fnmatch fractions functools heapq ' +
      'itertools json math numbers posixpath random re statistics string textwrap time typing unicodedata uuid',
  ),
);

/**
 * Functions and packages outside of it that load or run code, whether the pickle calls them or only
 * hands them on.
 */
const loaders =
  /^(pip|setuptools|pkg_resources|numpy\.testing|numpy\.f2py|torch\.(hub|package|utils\.cpp_extension|multiprocessing|distributed\.(run|launch|rpc))|joblib|dill|cloudpickle|IPython)(\.|$)|^(torch(\.serialization|\.jit|\.storage)?|numpy|pandas)\.(load|_load_from_bytes|_legacy_load|_load|read_pickle|compile|fromfile|loadtxt|genfromtxt|memmap|save|savetxt)$/;

/**
 * The verdict over `module.name`; `name` may be dotted (protocol 4), and then it walks through
 * attributes of the module.
 */
export function judgeGlobal(module: string, name: string): Verdict {
  const names = (Object.hasOwn(known, module) ? known[module] : undefined) ?? [];
  if (names.includes(name)) return 'known';
  if (walksIntoModules(name)) return 'unsafe';
  if (names[0] === '*' || modulePackages.test(module)) return 'known';
  const full = `${module}.${name}`;
  const [top = ''] = module.split('.');
  if (isPlain(module, name)) return kindOf(name);
  if (standardLibrary.has(top) || isInternal(top)) return 'unsafe';
  if (loaders.test(full)) return 'unsafe';
  // What Cython writes to pickle its classes: it makes one and fills it.
  if (name.includes('__') && !/^__pyx_unpickle_\w+$/.test(name)) return 'unsafe';
  return name.startsWith('__pyx') ? 'class' : kindOf(name);
}

const kindOf = (name: string): Verdict => (/^_*[A-Z]/.test(last(name.split('.'))) ? 'class' : 'function');

/** Whether it is a part of the standard library that reaches into nothing by itself. */
function isPlain(module: string, name: string): boolean {
  if (name.includes('__')) return false;
  if (module === 'builtins' || module === '__builtin__')
    return plainFunctions.has(name) || /^[A-Z]\w*(Error|Exception|Warning|Iteration)$/.test(name);
  return plainModules.has(module);
}

/**
 * CPython's own C modules (`_posixsubprocess`, `_io`); `__main__` is the script that saved the
 * file.
 */
function isInternal(top: string): boolean {
  return top.startsWith('_') && top !== '__main__' && top !== '__mp_main__';
}

/**
 * `torch` + `_utils.os.system`: only nested classes (`Outer.Inner`) have dotted names of their own.
 */
function walksIntoModules(name: string): boolean {
  return name
    .split('.')
    .slice(0, -1)
    .some((part) => standardLibrary.has(part) || !/^_*[A-Z]/.test(part));
}

function split(words: string): string[] {
  return words.split(' ');
}

/** Every name of some modules of a package. */
function every(top: string, modules: readonly string[]): Record<string, readonly string[]> {
  return Object.fromEntries(modules.map((module) => [`${top}.${module}`, ['*']]));
}

/** NumPy 2 renamed `numpy.core` to `numpy._core`. */
function both(top: string, module: string, names: readonly string[]): Record<string, readonly string[]> {
  return { [`${top}.${module}`]: names, [`${top}._${module}`]: names };
}
