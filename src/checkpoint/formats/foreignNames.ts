import { basename } from 'node:path';

/** What a file, an archive or a folder of another tool is, and the next step. */
interface Foreign {
  readonly what: string;
}

const convert = {
  keras: 'export it to ONNX (tf2onnx), or load it where it was made and save its weights as safetensors',
  tensorflow: 'export it to ONNX: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx',
  frozen:
    'export it to ONNX: python -m tf2onnx.convert --graphdef FILE --output model.onnx --inputs … --outputs …',
  flax: 'load it with from_pretrained(folder, from_flax=True) of transformers 4 and save_pretrained to safetensors',
  distributed:
    'python -m torch.distributed.checkpoint.format_utils dcp_to_torch_save FOLDER model.pt makes one file of it ' +
    '(of Accelerate and Trainer: accelerate merge-weights FOLDER OUT)',
  deepSpeed: 'python zero_to_fp32.py . OUT, run in the folder above, makes one checkpoint of its pieces',
  paddle: 'load it with Paddle and save its weights, or export it to ONNX (paddle2onnx)',
  made: 'open the model that it was made from',
} as const;

/** What makes one checkpoint of a folder's pieces. */
export const consolidating = {
  distributed: `this is a part of a distributed checkpoint (torch.distributed, DCP); ${convert.distributed}`,
  deepSpeed: `DeepSpeed keeps the weights in pieces; ${convert.deepSpeed}`,
  fsdp: 'Save the whole where the model was wrapped: FSDP.state_dict_type(model, StateDictType.FULL_STATE_DICT), or summon_full_params around state_dict()',
} as const;

const exported =
  'a torch.export program (.pt2); save its weights as a state dict: ' +
  'torch.save(torch.export.load(FILE).state_dict, "model.pth")';

const named: readonly (Foreign & { readonly name: RegExp })[] = [
  { name: /\.distcp$|^\.metadata$/i, what: consolidating.distributed.replace('this is ', '') },
  { name: /\.pt2$/i, what: exported },
  { name: /\.keras$/i, what: `a Keras model (.keras); ${convert.keras}` },
  { name: /\.(h5|hdf5)$/i, what: `an HDF5 file (Keras .h5); ${convert.keras}` },
  { name: /\.msgpack$/i, what: `Flax weights (MessagePack, of JAX); ${convert.flax}` },
  { name: /^saved_model\.pb(txt)?$/i, what: `a TensorFlow SavedModel; ${convert.tensorflow}` },
  { name: /\.pb(txt)?$/i, what: `a TensorFlow graph (.pb); ${convert.frozen}` },
  {
    name: /^checkpoint$|\.(?:data-\d{5}-of-\d{5}|ckpt(?:-\d+)?\.(?:index|meta))$/i,
    what: `a part of a TensorFlow checkpoint; ${convert.keras}`,
  },
  { name: /\.tflite$/i, what: `a TensorFlow Lite model; ${convert.made}` },
  { name: /^group\d+-shard\d+of\d+(\.bin)?$/i, what: `a part of a TensorFlow.js model; ${convert.made}` },
  { name: /\.(engine|plan|trt)$/i, what: `a TensorRT engine, compiled for one GPU; ${convert.made}` },
  { name: /\.(mlmodel|mlpackage|mlmodelc)$/i, what: `a Core ML model (CoreML); ${convert.made}` },
  { name: /\.(gguf|ggml)$/i, what: `a GGUF file of llama.cpp; open the safetensors it was made from` },
  {
    name: /\.(pdmodel|pdiparams|pdiparams\.info)$/i,
    what: `a Paddle model for inference; ${convert.paddle}`,
  },
  { name: /^openvino_.*\.(bin|xml)$/i, what: `an OpenVINO model; ${convert.made}` },
  { name: /\.(caffemodel|prototxt)$/i, what: `a Caffe model; ${convert.made}` },
  { name: /\.(rknn|mnn|hef|om|ncnn|dlc|nb)$/i, what: `a model compiled for a device; ${convert.made}` },
  { name: /\.pte$/i, what: `an ExecuTorch program; ${convert.made}` },
];

/** What a file is by its name alone, with the next step; nothing if the name says nothing. */
export function foreignName(path: string): string | undefined {
  const name = basename(path);
  return named.find((entry) => entry.name.test(name))?.what;
}

/** A part of something else that would be taken for weights: no file of these opens by itself. */
export function isForeignPart(name: string): boolean {
  return /^(openvino_.*\.bin|group\d+-shard\d+of\d+\.bin)$/i.test(name);
}

const archives: readonly (Foreign & { readonly entry: RegExp })[] = [
  { entry: /^model[._]weights(\.weights)?\.h5$/, what: `a Keras model (.keras); ${convert.keras}` },
  {
    entry:
      /(^|\/)(serialized_exported_program\.(json|pt)|data\/weights\/\w+|models\/\w+\.json|data\/aotinductor\/)/,
    what: exported,
  },
  { entry: /(^|\/)com\.apple\.CoreML\//, what: `a Core ML package (CoreML); ${convert.made}` },
  { entry: /(^|\/)saved_model\.pb$/, what: `a TensorFlow SavedModel; unpack it, then ${convert.tensorflow}` },
  { entry: /^MAR-INF\//, what: 'a TorchServe archive (.mar); unpack it and open the weights in it' },
  {
    entry: /(^|\/)\.data\/(version|extern_modules)$/,
    what: 'a torch.package archive; save its model as a state dict',
  },
  {
    entry: /\.(safetensors|bin|pth|pt|ckpt|npz|onnx|h5)$/i,
    what: 'a zip archive of whole files; unpack it and open the weights in it',
  },
];

/** What a zip that is no checkpoint is by the names of its entries. */
export function foreignArchive(names: readonly string[]): string | undefined {
  return archives.find(({ entry }) => names.some((name) => entry.test(name)))?.what;
}

const folders: readonly (Foreign & { readonly holds: readonly RegExp[] })[] = [
  {
    holds: [/^\.metadata$|\.distcp$/],
    what: `a distributed checkpoint (torch.distributed, DCP: .metadata and .distcp files); ${convert.distributed}`,
  },
  {
    holds: [/^zero_to_fp32\.py$|^zero_pp_rank_\d+/],
    what: `a DeepSpeed checkpoint; ${convert.deepSpeed}`,
  },
  { holds: [/^saved_model\.pb(txt)?$/], what: `a TensorFlow SavedModel; ${convert.tensorflow}` },
  { holds: [/^Manifest\.json$/, /^Data$/], what: `a Core ML package (CoreML .mlpackage); ${convert.made}` },
  { holds: [/^coremldata\.bin$/], what: `a compiled Core ML model (CoreML .mlmodelc); ${convert.made}` },
  { holds: [/^group\d+-shard\d+of\d+/], what: `a TensorFlow.js model; ${convert.made}` },
  { holds: [/^_METADATA$|^_CHECKPOINT_METADATA$/], what: `an Orbax checkpoint of JAX; ${convert.flax}` },
];

/** What a folder without weights is by the names in it, and the next step. */
export function foreignFolder(names: readonly string[]): string | undefined {
  const known = folders.find(({ holds }) => holds.every((held) => names.some((name) => held.test(name))));
  if (known) return `this directory (folder) is ${known.what}`;
  const file = names.find((name) => foreignName(name));
  return (
    file && `this directory (folder) holds no weight file that can be opened; ${file} is ${foreignName(file)}`
  );
}
