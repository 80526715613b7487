import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { ImageError } from '../imageError';

/** Bytes of all frames as PNG: 128 frames of 4K at their worst; more is no clip for a model. */
const mostBytes = 4e9;
/** Milliseconds after which a decoder that says nothing more is given up. */
const patience = 600_000;
/** What is kept of what it says: its last lines tell what went wrong. */
const keptText = 64_000;

/**
 * Path of ffmpeg on the PATH; undefined if it is not there. Only whole paths are searched, or a
 * workspace could bring a program of that name.
 */
export async function findFfmpeg(path = process.env['PATH'] ?? ''): Promise<string | undefined> {
  const name = process.platform === 'win32' ? 'ffmpeg.exe' : 'ffmpeg';
  for (const folder of path.split(delimiter).filter(isAbsolute)) {
    const file = join(folder, name);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}

const missing =
  'this is a video, whose frames ffmpeg reads, and ffmpeg is not on the PATH. Install it and start VS Code again, or save the frames as images into a folder and choose that';

async function requireFfmpeg(path: string): Promise<string> {
  const program = await findFfmpeg();
  if (program === undefined) throw new ImageError('unsupported', path, missing);
  return program;
}

/** Number of pictures in a video: its packets, which are counted without decoding them. */
export async function countFrames(path: string): Promise<number> {
  const program = await requireFfmpeg(path);
  const { text } = await run(program, path, ['-map', '0:v:0', '-c', 'copy', '-f', 'null', '-']);
  const counts = [...text.matchAll(/frame=\s*(\d+)/g)];
  const count = Number(counts.at(-1)?.[1] ?? 0);
  if (count < 1) throw new ImageError('malformed', path, `no picture in it: ${lastLine(text)}`);
  return count;
}

/**
 * The pictures of these numbers, which rise, as PNG files in memory; fewer if the video ends before
 * its packets say. Throws `ImageError` with ffmpeg's own last line.
 */
export async function readFrames(path: string, numbers: readonly number[]): Promise<readonly Uint8Array[]> {
  const program = await requireFfmpeg(path);
  const chosen = numbers.map((number) => `eq(n\\,${number})`).join('+');
  const until = ['-frames:v', String(numbers.length)];
  const output = ['-fps_mode', 'passthrough', '-f', 'image2pipe', '-c:v', 'png', '-'];
  const { bytes, text } = await run(program, path, [
    '-map',
    '0:v:0',
    '-vf',
    `select='${chosen}'`,
    ...until,
    ...output,
  ]);
  const pictures = splitPngs(bytes);
  if (pictures.length === 0) throw new ImageError('malformed', path, `no picture read: ${lastLine(text)}`);
  return pictures;
}

const lastLine = (text: string): string =>
  text
    .trim()
    .split(/[\r\n]+/)
    .at(-1) ?? '';

interface Ran {
  readonly bytes: Buffer;
  readonly text: string;
}

/** Runs ffmpeg on one file of this disk: it opens nothing else, whatever the file names. */
function run(program: string, path: string, options: readonly string[]): Promise<Ran> {
  const input = ['-nostdin', '-hide_banner', '-protocol_whitelist', 'file,pipe', '-i', `file:${path}`];
  const child = spawn(program, [...input, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), patience);
  return new Promise<Ran>((resolve, reject) => {
    const parts: Buffer[] = [];
    let [size, text] = [0, ''];
    child.stdout.on('data', (part: Buffer) => {
      size += part.length;
      if (size > mostBytes) child.kill('SIGKILL');
      else parts.push(part);
    });
    child.stderr.on('data', (part: Buffer) => (text = (text + part.toString('utf8')).slice(-keptText)));
    child.on('error', (error) => reject(new ImageError('unreadable', path, `ffmpeg: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve({ bytes: Buffer.concat(parts), text });
      const why = signal ? `ended by ${signal}` : lastLine(text);
      reject(new ImageError('malformed', path, `ffmpeg does not read it: ${why}`));
    });
  }).finally(() => clearTimeout(timer));
}

const pngHead = 8;
/** Length and type in front of a chunk's data, and the checksum behind it. */
const chunkSides = 12;

/** Pictures that stand one behind the other: each ends with its chunk IEND. */
export function splitPngs(bytes: Buffer): readonly Uint8Array[] {
  const pictures: Uint8Array[] = [];
  let [start, at] = [0, pngHead];
  while (at + chunkSides <= bytes.length) {
    const isEnd = bytes.toString('latin1', at + 4, at + 8) === 'IEND';
    at += chunkSides + bytes.readUInt32BE(at);
    if (!isEnd) continue;
    pictures.push(bytes.subarray(start, at));
    start = at;
    at += pngHead;
  }
  return pictures;
}
