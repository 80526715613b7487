import type { Format } from '../format';
import { CheckpointError } from '../errors';

interface ForeignFile {
  readonly magic: RegExp;
  /** What it is, and what to do with it. */
  readonly what: string;
}

/**
 * Files that are often found where a checkpoint is expected, by their first bytes (as latin-1
 * text).
 */
const foreignFiles: readonly ForeignFile[] = [
  {
    magic: /^version https:\/\/git-lfs\.github\.com\/spec/,
    what: 'a Git LFS pointer: the weights themselves were not downloaded; run `git lfs pull`',
  },
  {
    magic: /^\s*(<!doctype html|<html|<head|<script)/i,
    what: 'a web page (HTML), saved instead of the file; download it again from its raw address',
  },
  {
    magic: /^\s*<\?xml[^>]*>\s*<net /i,
    what: 'an OpenVINO model (.xml); open the model that it was made from',
  },
  {
    magic: /^\s*<\?xml/i,
    what: 'an XML text, perhaps an error message of a server; download the file again',
  },
  {
    magic: /^(\.\.\/)+blobs\/[0-9a-f]{32,}\s*$/,
    what: 'the text of a symbolic link into a Hugging Face cache, copied without its target; restore the link, or open the file in blobs',
  },
  {
    magic: /^(GGUF|lmgg|fmgg|tjgg)/,
    what: 'a GGUF file of llama.cpp; open the safetensors it was made from',
  },
  {
    magic: /^\x89HDF\r\n\x1a\n/,
    what: 'an HDF5 file (Keras .h5); export it to ONNX (tf2onnx), or load it where it was made and save its weights as safetensors',
  },
  { magic: /^ftrt/, what: 'a TensorRT engine, compiled for one GPU; open the model that it was made from' },
  // The version of the schema, 1, and the first graph. An .onnx file of this version of the format
  // was never published.
  {
    magic: /^\x08\x01\x12/,
    what: 'a TensorFlow SavedModel; export it to ONNX: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx',
  },
  // The first node: its name and its operator. Field 1 of an .onnx file is a number.
  {
    magic: /^\n[^]{1,4}?\n[^][\w/.:-]+\x12[^][A-Z]\w+/,
    what: 'a frozen TensorFlow graph (GraphDef); export it to ONNX: python -m tf2onnx.convert --graphdef FILE --output model.onnx',
  },
  // A map whose first key is a text of two letters and more; the header of safetensors would be
  // longer than it may be.
  {
    magic: /^([\x81-\x8f]|\xde[^]{2}|\xdf[^]{4})([\xa2-\xbf]|\xd9[\x02-\xff])[\w./-]{2}/,
    what: 'Flax weights (MessagePack, of JAX); load them with from_pretrained(folder, from_flax=True) of transformers 4 and save_pretrained to safetensors',
  },
  { magic: /^[^]{4}ET\d\d/, what: 'an ExecuTorch program (.pte); open the model that it was made from' },
  {
    magic: /^\x12\x01\0{14}/,
    what: 'MXNet parameters (.params); load them with MXNet and save them as .npz',
  },
  { magic: /^[^]{4}TFL3/, what: 'a TensorFlow Lite model (.tflite); open the model it was made from' },
  { magic: /^[^]{4}ORTM/, what: 'an ONNX Runtime .ort file; open the .onnx it was made from' },
  { magic: /^\x1f\x8b/, what: 'compressed with gzip; unpack it first (gunzip)' },
  { magic: /^BZh[1-9]/, what: 'compressed with bzip2; unpack it first (bunzip2)' },
  { magic: /^\xfd7zXZ\0/, what: 'compressed with xz; unpack it first (unxz)' },
  { magic: /^\x28\xb5\x2f\xfd/, what: 'compressed with zstd; unpack it first (unzstd)' },
  { magic: /^7z\xbc\xaf\x27\x1c/, what: 'a 7-Zip archive; unpack it first' },
  { magic: /^Rar!\x1a\x07/, what: 'a RAR archive; unpack it first' },
  {
    magic: /^[^]{257}ustar/,
    what: 'a tar archive: the format of PyTorch before 0.1.12, or packed files; unpack it, or load and save it with a newer PyTorch',
  },
  { magic: /^\x7fELF|^MZ|^\xcf\xfa\xed\xfe/, what: 'an executable program, not a checkpoint' },
  { magic: /^%PDF-/, what: 'a PDF document, not a checkpoint' },
  {
    magic: /^\x89PNG|^\xff\xd8\xff|^GIF8|^RIFF[^]{4}WEBP/,
    what: 'an image, not a checkpoint; classify it with a checkpoint instead',
  },
];

/**
 * Not readers: each says what the file is. First in the list, because a wrong guess about them is
 * worse than none.
 */
export const foreignFormats: readonly Format[] = foreignFiles.map(({ magic, what }) => ({
  name: what.replace(/[:;(].*$/s, ''),
  matches: (head) => magic.test(Buffer.from(head.subarray(0, 512)).toString('latin1')),
  async read(source) {
    throw new CheckpointError('unsupported', source.path, `this is ${what}${await realSize(source)}`);
  },
}));

const pointerBytes = 400;

/** A Git LFS pointer names the size of the real file. */
async function realSize(source: Parameters<Format['read']>[0]): Promise<string> {
  if (source.size > pointerBytes) return '';
  const text = Buffer.from(await source.read(0, source.size)).toString('latin1');
  const size = /^version https:\/\/git-lfs[^]*^size (\d{1,15})\r?$/m.exec(text)?.[1];
  return size ? ` (the real file has ${size} bytes)` : '';
}
