/**
 * Every bound that untrusted bytes are checked against, with its reason. Together they keep a
 * reader within 64 MB of its idle memory (256 MB for files that really describe hundreds of
 * thousands of tensors or nodes).
 */
export const limits = {
  /**
   * Bytes of a file that detection looks at; a tar's magic lies at 257, a zip entry's name fits
   * with room to spare.
   */
  headBytes: 4096,

  /**
   * Dimensions of a tensor: PyTorch's own TensorIterator and NumPy 2 stop at 64, ONNX has no models
   * near it.
   */
  rank: 64,
  /** Elements of one tensor: above 2^53 a byte offset is no longer an exact number. */
  elements: Number.MAX_SAFE_INTEGER,
  /**
   * Bytes that a view with stride 0 may unfold to: an expanded bias is at most a few MB, 4 TB out
   * of four bytes is an attack.
   */
  expandedBytes: 2 ** 32,

  /**
   * Bytes of a safetensors header. The format allows 100 MB; 400 000 tensors need 40 MB, and a
   * larger one could not be listed in the memory that opening a file may take.
   */
  safetensorsHeaderBytes: 40e6,
  /**
   * Nesting of JSON inside a header or a sidecar: safetensors needs 3, the deepest published
   * config.json has 7.
   */
  jsonDepth: 64,
  /** Bytes of an index.json or a config.json: a 21k-class id2label is under 1 MB. */
  sidecarBytes: 16e6,
  /** Tensors whose values are read to understand a model; EoMT has one, of as many state dicts. */
  toldTensors: 16,
  /** Elements of such a tensor: one for each of the last blocks of a transformer. */
  toldElements: 256,
  /** Files of a sharded checkpoint; published ones have at most a few hundred. */
  shards: 10_000,

  /** Bytes of the pickle that describes a checkpoint; 10 000 tensors take about 2 MB. */
  pickleBytes: 24e6,
  /**
   * Lists, tuples, dicts, objects and tensors in one pickle: a tensor costs about eight, so this is
   * enough for 50 000.
   */
  pickleObjects: 400_000,
  /** What a dict counts among them: an empty one takes the memory of four lists. */
  pickleDictObjects: 4,
  /**
   * Items of all lists and, two of them each, entries of all dicts: half a million losses of a
   * training, or the 250 000 words of a vocabulary.
   */
  pickleItems: 500_000,
  pickleEntryItems: 2,
  /** Opcodes of one pickle: a bound on time, a fraction of a second. */
  pickleOpcodes: 6_000_000,
  /** Classes and functions that one pickle names: training checkpoints name a hundred. */
  pickleGlobals: 10_000,
  /** Characters of a text with escapes (protocol 0): a configuration as text has thousands. */
  pickleEscaped: 1_000_000,
  /**
   * Decimal digits of an integer written as text: Python's own limit since 3.11, because parsing is
   * quadratic.
   */
  integerDigits: 4300,
  /** Bytes of a binary integer; nothing legitimate is wider than a 128-bit hash. */
  integerBytes: 4096,
  /**
   * Levels of containers that are searched for tensors; published training checkpoints have up to
   * 8.
   */
  nesting: 32,
  /**
   * Items of a list that is searched for state dicts: folds and members of an ensemble; a history
   * of training has more.
   */
  listedStateDicts: 64,
  /** Levels of submodules in a pickled or scripted model; Swin in a detector has 12. */
  moduleDepth: 64,

  /** Bytes of a zip's central directory; 65 000 entries take 5 MB. */
  zipDirectoryBytes: 32e6,
  zipEntries: 200_000,
  /** Bytes of the end record and its comment (a 16-bit length): where the search for it stops. */
  zipEndBytes: 22 + 65_535,
  /**
   * Compressed bytes from which an entry's stream is checked when the file is opened; more would
   * mean reading the weights.
   */
  zipProbeBytes: 65_536,
  /**
   * Deflate cannot shrink by more than this (RFC 1951: 258 bytes in 2 bits); a larger claim is a
   * lie.
   */
  deflateRatio: 1032,

  /** Bytes of a .npy header: NumPy's own max_header_size. */
  npyHeaderBytes: 10_000,

  /**
   * Bytes of one protobuf message that are read in one piece; a larger one is walked field by field
   * and its payloads are skipped.
   */
  protobufBlockBytes: 65_536,
  /**
   * Fields read from one .onnx file: a bound on time and memory, 100 000 nodes take about 1
   * million.
   */
  protobufFields: 4_000_000,
  /**
   * Nodes of one .onnx file with all its subgraphs; the largest published exports have about
   * 30 000.
   */
  onnxNodes: 300_000,
  /** Subgraphs within subgraphs: exporters nest If in Loop in If, never ten. */
  onnxDepth: 16,
  /** Local functions within local functions: modules of PyTorch are nested ten deep at most. */
  onnxFunctionDepth: 64,
  /**
   * Bytes of tensors stored element by element in the .onnx file itself (int32_data, int64_data),
   * which must be decoded into memory.
   */
  onnxInlineBytes: 16e6,
  /**
   * Elements of a tensor that a node makes out of thin air (Expand, ConstantOfShape, Tile, Range):
   * 8 GB of float32.
   */
  onnxMadeElements: 2 ** 31,
} as const;
