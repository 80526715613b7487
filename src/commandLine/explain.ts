import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { writeSafetensors, type NamedTensor } from '../checkpoint/formats/safetensorsWriter';
import { pushAll } from '../domain/lists';
import type { Grid } from '../domain/size';
import { formatBytes } from '../domain/units';
import type { SessionBytes } from '../explain/derivedGraphs';
import type { ExplainOptions } from '../explain/method';
import type { Noise, Sliding } from '../explain/pixels';
import type { TensorData } from '../inference/remoteApi';
import type { ExplainedImage } from '../useCases/explain';
import type { SeenImage } from '../tasks/run';
import { requireOutput } from './output';
import type { Outcome, Session } from './session';
import { readFloats, readInputs } from './tensors';
import { textsGiven, UsageError } from './usage';

/** `vitrine explain` */
export async function explain(
  session: Session,
  [checkpoint = '', image = '']: readonly string[],
): Promise<void> {
  const { inputs, out, method, target, contrast, layer, spec: file, query } = session.options;
  if (method === 'nearest') {
    const { nearest } = await import('./nearest');
    return nearest(session, checkpoint, image);
  }
  if ((image === '') === (inputs === ''))
    throw new UsageError('an image or --inputs TENSORS.safetensors is needed, one of them');
  const answer = async (): Promise<Outcome> => {
    await requireOutput(out, [checkpoint, image === '' ? inputs : image]);
    if (isPicture(out) && (method === 'all' || method.includes(',')))
      throw new UsageError(
        `--out ${out}: a picture is of one method; tensors of all are a .safetensors file`,
      );
    const spec = file === undefined ? {} : await readSpec(file);
    const runner = await session.runner();
    const camLayer = layer === 'last' ? spec.camLayer : layer;
    const { pixels, seen } = await pixelsOf(session, checkpoint, image);
    const found = await runner.explain({
      checkpoint,
      model: await session.settings(),
      pixels,
      subject: {
        given: textsGiven(session.options),
        ...(query !== undefined && { query: queryNumber(query) }),
      },
      methods: method === 'all' ? 'all' : method.split(','),
      ...(target !== undefined && { target }),
      ...(contrast !== undefined && { contrast }),
      ...(camLayer !== undefined && { camLayer }),
      options: spec.options ?? {},
    });
    if (isPicture(out)) return drawn(out, found, seen);
    return written(session, checkpoint, image, found);
  };
  await session.each([checkpoint], answer, (path) => ({ path, image }));
}

/** What the model sees of an image, or tensors that were given. */
async function pixelsOf(
  session: Session,
  checkpoint: string,
  image: string,
): Promise<{ readonly pixels: TensorData; readonly seen?: SeenImage }> {
  const { inputs, imageSize, asStored } = session.options;
  if (image === '') {
    const given = await readInputs(inputs);
    const [first] = Object.values(given);
    const pixels = given['pixel_values'] ?? first;
    if (pixels?.shape.length !== 4 || pixels.shape[0] !== 1 || !(pixels.data instanceof Float32Array))
      throw new Error(`${inputs}: pixel_values [1, channels, height, width] of float32 are needed`);
    return { pixels };
  }
  const runner = await session.runner();
  const model = await session.settings();
  const { pixelValues, seen } = await runner.preprocess({
    checkpoint,
    model,
    image,
    options: { imageSize, asStored },
  });
  return { pixels: pixelValues, seen };
}

/** A query as `attention` names it: `q7` or `7`. */
function queryNumber(text: string): number {
  const [, digits] = /^q?(\d+)$/.exec(text) ?? [];
  if (digits === undefined)
    throw new UsageError(`--query ${text}: the number of an object's query is needed`);
  return Number(digits);
}

/** Whether a file is a picture by its name. */
const isPicture = (out: string): boolean => /\.(?:png|svg)$/i.test(out);

/** The picture of the one method that was asked for. */
async function drawn(out: string, found: ExplainedImage, seen: SeenImage | undefined): Promise<Outcome> {
  const [outcome] = found.outcomes;
  if (!outcome || 'reason' in outcome) throw new Error(outcome?.reason ?? 'nothing was found');
  const { method, explanation } = outcome;
  const { picture, notes = [] } = explanation;
  if (!picture)
    throw new Error(`${method.name} has no picture of the image; --out FILE.safetensors has its numbers`);
  const { drawExplanation } = await import('./explainPicture');
  const range = await drawExplanation(picture, {
    title: `${method.title}, ${found.target.label}`,
    out,
    ...(seen && { seen }),
  });
  const json = { out, class: found.target, method: method.name, legend: picture.legend, range, notes };
  const ends = range.map((value) => value.toPrecision(3)).join(' … ');
  return { json, text: `${out}: ${method.title} of ${found.target.label}, ${picture.legend}, ${ends}\n` };
}

async function written(
  session: Session,
  path: string,
  image: string,
  { outcomes, output, target, contrast }: ExplainedImage,
): Promise<Outcome> {
  const { out } = session.options;
  const tensors: NamedTensor[] = [];
  const figures: Record<string, number> = {};
  const missing: Record<string, string> = {};
  const memory: Record<string, SessionBytes> = {};
  const notes: string[] = [];
  for (const outcome of outcomes) {
    if ('reason' in outcome) {
      missing[outcome.method.name] = outcome.reason;
      continue;
    }
    const { explanation, method, bytes } = outcome;
    if (bytes) memory[method.name] = bytes;
    Object.assign(figures, explanation.figures);
    pushAll(
      notes,
      (explanation.notes ?? []).map((note) => `${method.name}: ${note}`),
    );
    pushAll(
      tensors,
      Object.entries(explanation.tensors).map(([name, { shape, data }]) => ({
        name,
        dtype: 'F32' as const,
        shape,
        bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      })),
    );
  }
  await session.heeding(() => writeSafetensors(out, tensors));
  const shapes = Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]));
  const json = {
    path,
    ...(image !== '' && { image }),
    out,
    output,
    class: target,
    ...(contrast && { contrast }),
    tensors: shapes,
    figures,
    not_defined: missing,
    memory,
    notes,
  };
  const lines = [
    `${out}: ${output}, ${target.label}${contrast ? ` against ${contrast.label}` : ''}`,
    ...tensors.map(({ name, shape }) => `  ${name} [${shape.join(', ')}]`),
    ...Object.entries(figures).map(([name, value]) => `  ${name} ${value.toPrecision(4)}`),
    ...Object.entries(missing).map(([name, reason]) => `  no ${name}: ${reason}`),
    ...Object.entries(memory).map(
      ([name, { weights, kept }]) =>
        `  ${name}: ${formatBytes(weights)} of weights, ${formatBytes(kept)} kept for derivatives`,
    ),
    ...notes.map((note) => `  ${note}`),
    '',
  ];
  return { json, text: lines.join('\n') };
}

/** Bytes of a specification, which a person or a reference writes. */
const largestSpec = 16e6;

interface Spec {
  readonly camLayer?: string;
  readonly options?: Omit<ExplainOptions, 'camLayer'>;
}

type Json = Readonly<Record<string, unknown>>;

const objectIn = (json: Json, key: string): Json | undefined => {
  const value = json[key];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
};
const numbersIn = (json: Json, key: string): readonly number[] => {
  const value = json[key];
  return Array.isArray(value) && value.every((each) => typeof each === 'number') ? value : [];
};

/** Parameters of methods in the form of a reference's explain.json. */
async function readSpec(file: string): Promise<Spec> {
  const bytes = await readFile(file);
  if (bytes.length > largestSpec)
    throw new Error(`${file}: ${bytes.length} bytes found, at most ${largestSpec} are read`);
  const json = JSON.parse(bytes.toString('utf8')) as Json;
  const camLayer = objectIn(json, 'cam')?.['layer'];
  return {
    ...(typeof camLayer === 'string' && { camLayer }),
    options: {
      ...noiseIn(objectIn(json, 'smoothgrad')),
      ...slidingIn(objectIn(json, 'occlusion')),
      ...cellsIn(objectIn(json, 'curves')),
      ...(await saliencyBeside(file)),
    },
  };
}

/** `road.saliency` of the tensors beside a reference's explain.json: an input of its scores. */
async function saliencyBeside(file: string): Promise<Pick<ExplainOptions, 'saliency'>> {
  const tensors = file.replace(/\.json$/, '.safetensors');
  if (tensors === file || !existsSync(tensors)) return {};
  const found = await readFloats(tensors, 'road.saliency');
  return found ? { saliency: found } : {};
}

function noiseIn(json: Json | undefined): { readonly noise?: Noise } {
  const { samples, sigma, seed } = json ?? {};
  if (typeof samples !== 'number' || typeof sigma !== 'number' || typeof seed !== 'number') return {};
  return { noise: { samples, sigma, seed } };
}

function slidingIn(json: Json | undefined): { readonly occlusion?: readonly Sliding[] } {
  const window = json ? numbersIn(json, 'window') : [];
  const strides = json?.['strides'];
  if (window.length !== 2 || !Array.isArray(strides)) return {};
  return { occlusion: strides.map((each) => ({ window, strides: each }) as unknown as Sliding) };
}

function cellsIn(json: Json | undefined): Pick<ExplainOptions, 'cells'> {
  const [grid, order] = json ? [numbersIn(json, 'cells'), numbersIn(json, 'order')] : [[], []];
  return grid.length === 2 ? { cells: { grid: grid as unknown as Grid, order } } : {};
}
