import type { Format, TensorTable } from '../format';
import { extname } from 'node:path';
import type { ByteSource } from '../byteSource';
import { CheckpointError, type CheckpointErrorKind } from '../errors';
import { foreignFormats } from './foreign';
import { foreignName } from './foreignNames';
import { limits } from '../limits';
import { npy, npz } from './npz';
import { onnx } from './onnx';
import { safetensors } from './safetensors';
import { torchLegacy } from './torchLegacy';
import { torchZip } from './torchZip';

/**
 * Every format, in the order in which a file's first bytes are shown to them. Content decides,
 * never the name: .npz before other zips, and safetensors before pickle, because a header of 640
 * bytes begins like a pickle of protocol 2 (80 02).
 */
export const formats: readonly Format[] = [
  ...foreignFormats,
  npz,
  torchZip,
  safetensors,
  npy,
  torchLegacy,
  onnx,
];

/** If no first bytes match, the name tells which format's error message helps. */
const byExtension: Readonly<Record<string, Format>> = {
  '.safetensors': safetensors,
  '.onnx': onnx,
  '.npy': npy,
  '.pkl': torchLegacy,
};

/** Reads the table of whatever format the file is. Throws `CheckpointError`. */
export async function readTable(source: ByteSource): Promise<TensorTable> {
  if (source.size === 0)
    throw new CheckpointError(
      'malformed',
      source.path,
      'the file is empty (0 bytes); download or save it again',
    );
  const head = await source.read(0, Math.min(source.size, limits.headBytes));
  if (isDistributedPart(source.path) || likeOnnx.test(source.path))
    throw refused(source, `this is ${foreignName(source.path) ?? ''}`);
  if (head.length >= leastZeros && head.every((byte) => byte === 0))
    throw refused(
      source,
      'it has no header, it begins with zeros alone: a download that is not finished, for which room was made; download it again',
      'malformed',
    );
  const format = formats.find((candidate) => candidate.matches(head, source.path)) ?? fallback(source, head);
  try {
    return await format.read(source);
  } catch (error) {
    throw partial.test(source.path) && error instanceof CheckpointError && error.kind === 'malformed'
      ? new CheckpointError(error.kind, error.path, `${error.detail}. ${unfinished}`, { cause: error })
      : error;
  }
}

/** Zeros from which on a file is no short one by chance. */
const leastZeros = 64;

/** How browsers and download tools name a file until it is whole. */
const partial = /\.(part|partial|incomplete|crdownload|download|aria2|tmp|!ut)$/i;
const unfinished = 'By its name the download is not finished: wait for it, or start it again';

/** Zips after each other in one file, of which the last would be read as if it were the whole. */
const isDistributedPart = (path: string): boolean => /\.distcp$|[\\/]\.metadata$/i.test(path);

const refused = (
  source: ByteSource,
  detail: string,
  kind: CheckpointErrorKind = 'unsupported',
): CheckpointError => new CheckpointError(kind, source.path, detail);

/** Texts are short, and what a server says instead of a file is shorter. */
const shownText = 60;
const serverError =
  /not found|denied|restricted|forbidden|unauthori[sz]ed|invalid|expired|error|too many requests|rate limit|sign in|log ?in/i;

/** A text that was saved instead of the weights: what it says, and what to do. */
function textOf(head: Uint8Array): string | undefined {
  // The last sign may be cut in two.
  const text = Buffer.from(head)
    .toString('utf8')
    .replace(/\ufffd{1,3}$/, '');
  if (head.length === 0 || /[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text)) return undefined;
  const line = text.trim().replace(/\s+/g, ' ');
  const quoted = JSON.stringify(line.length > shownText ? `${line.slice(0, shownText)}…` : line);
  return serverError.test(text.slice(0, 400))
    ? `this is the text of an error, saved instead of the file: ${quoted}; check the address and the access to it, and download it again`
    : `this is a text, not a checkpoint: ${quoted}`;
}

const leastBytes = 8;

/** Core ML's models begin with the fields that an ONNX model begins with. */
const likeOnnx = /\.mlmodel$/i;

function fallback(source: ByteSource, head: Uint8Array): Format {
  const text = extname(source.path).toLowerCase() === '.pkl' ? undefined : textOf(head);
  const named = foreignName(source.path);
  if (named) throw refused(source, `this is ${named}`);
  const extension = extname(source.path).toLowerCase();
  const format = Object.hasOwn(byExtension, extension) ? byExtension[extension] : undefined;
  if (text)
    throw refused(source, `not recognised as a checkpoint: ${text}`, format ? 'malformed' : 'unsupported');
  if (format && source.size >= leastBytes) return format;
  const start = Buffer.from(head.subarray(0, 8)).toString('hex').replace(/../g, '$& ').trim();
  throw new CheckpointError(
    'unsupported',
    source.path,
    `not recognised as a checkpoint${source.size < leastBytes ? ` (too short: ${source.size} bytes)` : ''}: it begins with ${start}; ` +
      `safetensors, PyTorch (zip or legacy), NumPy .npz and ONNX can be opened${partial.test(source.path) ? `. ${unfinished}` : ''}`,
  );
}
