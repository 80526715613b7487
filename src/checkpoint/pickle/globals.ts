import { last } from '../../domain/lists';

/**
 * What a pickle may name. Nothing it names is ever imported or called; the verdict only decides
 * whether the file is shown, shown with a warning, or refused, because Python would execute it.
 *
 * - `known`: types and rebuilding functions of published checkpoints; understood or safely ignored.
 *   `getattr` is among them (it pickles methods); a call of what it gives is not.
 * - `class`: some project's own class; becomes an inert placeholder and is listed to the user.
 * - `function`: some project's own function; inert while it is only mentioned, a reason to refuse
 *   the file once it is called.
 * - `unsafe`: reaches into the system, or runs, loads or looks up code.
 */
export type Verdict = 'known' | 'class' | 'function' | 'unsafe';

/** Module -> names that published checkpoints use; `*` allows the whole module. */
const known: Readonly<Record<string, readonly string[]>> = {
  argparse: ['Namespace'],
  array: ['array', '_array_reconstructor'],
  builtins: split(
    'bool bytearray bytes complex dict float frozenset getattr int list object range set slice str tuple Ellipsis NotImplemented',
  ),
  __builtin__: split(
    'bool bytearray bytes complex dict float frozenset getattr int list long object range set slice str tuple unicode xrange',
  ),
  _codecs: ['encode'],
  codecs: ['encode'],
  collections: split('ChainMap Counter OrderedDict UserDict defaultdict deque namedtuple'),
  copyreg: ['_reconstructor', '__newobj__', '__newobj_ex__'],
  copy_reg: ['_reconstructor', '__newobj__', '__newobj_ex__'],
  datetime: split('date datetime time timedelta timezone tzinfo'),
  decimal: ['Decimal'],
  enum: split('Enum Flag IntEnum IntFlag StrEnum'),
  fractions: ['Fraction'],
  functools: ['partial'],
  io: ['BytesIO', 'StringIO'],
  itertools: split('chain count cycle repeat'),
  logging: ['Logger', 'getLogger'],
  pathlib: split('Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath'),
  'pathlib._local': split('Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath'),
  random: ['Random'],
  re: ['_compile'],
  types: ['SimpleNamespace'],
  typing: split('Any Callable Dict List Optional Sequence Set Tuple Union'),
  uuid: ['UUID', 'SafeUUID'],
  numpy: split(
    'ndarray dtype bool_ bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 longdouble complex64 complex128 str_ bytes_ void matrix',
  ),
  ...both('numpy', 'core.multiarray', ['_reconstruct', 'scalar']),
  ...both('numpy', 'core.numeric', ['_frombuffer']),
  'numpy.random._pickle': ['*'],
  'numpy.random.mtrand': ['*'],
  'numpy.dtypes': ['*'],
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
  if (names.includes(name) || names[0] === '*' || modulePackages.test(module)) return 'known';
  const full = `${module}.${name}`;
  const [top = ''] = module.split('.');
  if (standardLibrary.has(top) || isInternal(top)) return 'unsafe';
  if (loaders.test(full) || name.includes('__') || walksIntoModules(name)) return 'unsafe';
  return /^_*[A-Z]/.test(last(name.split('.'))) ? 'class' : 'function';
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

/** NumPy 2 renamed `numpy.core` to `numpy._core`. */
function both(top: string, module: string, names: readonly string[]): Record<string, readonly string[]> {
  return { [`${top}.${module}`]: names, [`${top}._${module}`]: names };
}
