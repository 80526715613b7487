import { basename, dirname, join } from 'node:path';
import type { Sidecars, Tensor } from '../checkpoint/checkpoint';
import { CheckpointError } from '../checkpoint/errors';
import { writeSafetensors, type NamedTensor } from '../checkpoint/formats/safetensorsWriter';
import type { TensorData } from '../inference/remoteApi';
import { requireOutput } from './output';
import type { Outcome, Session } from './session';

/** `vitrine run`: for checking against reference implementations. */
export async function run(session: Session, [checkpoint = '']: readonly string[]): Promise<void> {
  const { provider, inputs: file, out } = session.options;
  await session.each([checkpoint], async () => {
    await requireOutput(out, [checkpoint, file]);
    const inputs = await readInputs(file);
    const runner = await session.runner();
    const outputs = await runner.runTensors({
      checkpoint,
      model: await session.settings(),
      inputs,
      provider,
    });
    const warnings = await runner.warnings({ checkpoint, model: await session.settings() });
    return write(session, checkpoint, outputs, warnings);
  });
}

/** The tensors of a safetensors file, as float32 if they are floating point. */
export async function readInputs(file: string): Promise<Readonly<Record<string, TensorData>>> {
  const { openCheckpoint } = await import('../checkpoint/open');
  const { readTensor, toFloat32 } = await import('../checkpoint/values');
  const { selected } = await openCheckpoint(file);
  const entries = picked(file, selected.tensors).map(async (tensor) => {
    const bytes = await readTensor(tensor);
    const integers = tensor.dtype === 'I64' && new BigInt64Array(bytes.slice().buffer);
    const data: TensorData = integers
      ? { dtype: 'I64', shape: tensor.shape, data: integers }
      : { dtype: 'F32', shape: tensor.shape, data: toFloat32(bytes, tensor.dtype) };
    return [tensor.name, data] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** One tensor of a safetensors file as float32; undefined if it has none of that name. */
export async function readFloats(
  file: string,
  name: string,
): Promise<{ readonly shape: readonly number[]; readonly data: Float32Array } | undefined> {
  const { openCheckpoint } = await import('../checkpoint/open');
  const { readTensor, toFloat32 } = await import('../checkpoint/values');
  const tensor = (await openCheckpoint(file)).selected.tensors.find((each) => each.name === name);
  return tensor && { shape: tensor.shape, data: toFloat32(await readTensor(tensor), tensor.dtype) };
}

/** Types of what is given to models: pixels, as bytes too, and ids. */
const inputTypes: ReadonlySet<string> = new Set(['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'U8']);

/** Names by which a file says that its tensors go by the names of inputs. */
const inputNames: ReadonlySet<string> = new Set(['pixel_values', 'input_ids', 'src']);

/**
 * What a model may be fed of a file: everything if `pixel_values` or `input_ids` is named, else the
 * only images in it.
 */
function picked(file: string, tensors: readonly Tensor[]): readonly Tensor[] {
  const fitting = tensors.filter(({ dtype }) => inputTypes.has(dtype));
  if (fitting.some(({ name }) => inputNames.has(name))) return fitting;
  const images = fitting.filter(({ shape }) => shape.length === 4);
  if (images.length === 1) return images;
  const found = tensors.slice(0, 8).map(({ name, shape }) => `${name} [${shape.join(', ')}]`);
  throw new CheckpointError(
    'unsupported',
    file,
    `holds no pixel_values [batch, 3, height, width] and no input_ids [batch, tokens], found are ${found.join(', ')}; vitrine preprocess writes such a file`,
  );
}

/** `vitrine preprocess`: of a checkpoint, or of a configuration alone. */
export async function preprocess(
  session: Session,
  [source = '', image = '']: readonly string[],
): Promise<void> {
  const { imageSize, asStored, out } = session.options;
  const answer = async (): Promise<Outcome> => {
    await requireOutput(out, [source, image]);
    if (source.endsWith('.json') && !source.endsWith('.index.json')) {
      const { pixelValues, warnings } = await preprocessByConfig(source, image, session);
      return write(session, source, { pixel_values: pixelValues }, warnings);
    }
    const runner = await session.runner();
    const request = {
      checkpoint: source,
      model: await session.settings(),
      image,
      options: { imageSize, asStored },
    };
    const { pixelValues, warnings } = await runner.preprocess(request);
    return write(session, source, { pixel_values: pixelValues }, warnings);
  };
  await session.each([source], answer, (path) => ({ path, image }));
}

/** The pixels, and what is said of the image and of the configuration. */
async function preprocessByConfig(
  config: string,
  image: string,
  session: Session,
): Promise<{ readonly pixelValues: TensorData; readonly warnings: readonly string[] }> {
  const { sourceWarnings } = await import('../preprocessing/bands');
  const { decodeFor } = await import('../inference/decode');
  const { apply } = await import('../preprocessing/pipeline');
  const { resolvePreprocessing } = await import('../preprocessing/resolve');
  const { asStored, imageSize } = session.options;
  const sidecars = await readSidecars(config);
  const preprocessing = resolvePreprocessing({ sidecars, fileName: config, dialect: '', imageSize });
  const { source, notes } = await decodeFor(image, preprocessing.channels ?? 3, { asStored });
  const { pixelValues, shape } = apply(preprocessing, source);
  return {
    pixelValues: { dtype: 'F32', shape, data: pixelValues },
    warnings: [...notes, ...sourceWarnings(preprocessing, source), ...preprocessing.warnings],
  };
}

/** The named file, and the other one if both lie in a folder. */
async function readSidecars(config: string): Promise<Sidecars> {
  const { readSidecar } = await import('../checkpoint/open');
  const named = await readSidecar(config);
  if (!named)
    throw new CheckpointError('unreadable', config, 'does not exist; name a configuration or a checkpoint');
  const isPreprocessor = /preprocessor/.test(basename(config)) || 'image_processor_type' in named;
  const other = join(dirname(config), isPreprocessor ? 'config.json' : 'preprocessor_config.json');
  const beside = await readSidecar(other).catch(() => undefined);
  return isPreprocessor ? { preprocessor: named, config: beside } : { config: named, preprocessor: beside };
}

/** `vitrine export` */
export async function exportModel(session: Session, [checkpoint = '']: readonly string[]): Promise<void> {
  const useCase = await import('../useCases/export');
  const { out, part, lengths } = session.options;
  const parts = part === undefined ? undefined : [part];
  await session.each([checkpoint], async () => {
    await requireOutput(out, [checkpoint]);
    const model = await session.open(checkpoint);
    for (const target of useCase.exportTargets(model, out, parts)) await requireOutput(target, [checkpoint]);
    const exported = await session.heeding(() =>
      useCase.exportModel(model, out, { parts, lengths, signal: session.signal }),
    );
    const { files, bytes } = exported;
    const [only, ...others] = exported.parts;
    const json = {
      path: checkpoint,
      out,
      files,
      bytes,
      ...(only && others.length === 0 ? { tensors: only.tensors } : { parts: exported.parts }),
    };
    return { json, text: `${files.join(' and ')}: ${bytes} bytes\n` };
  });
}

async function write(
  session: Session,
  path: string,
  outputs: Readonly<Record<string, TensorData>>,
  warnings: readonly string[] = [],
): Promise<Outcome> {
  const { out } = session.options;
  const named = Object.entries(outputs).map(([name, { dtype, shape, data }]): NamedTensor => ({
    name,
    dtype,
    shape,
    bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }));
  await session.heeding(() => writeSafetensors(out, named));
  const tensors = Object.fromEntries(named.map(({ name, shape }) => [name, shape]));
  const rows = named.map(({ name, dtype, shape }) => `  ${name} ${dtype} [${shape.join(', ')}]\n`);
  const said = warnings.map((warning) => `  warning: ${warning}\n`);
  return { json: { path, out, tensors, warnings }, text: `${out}:\n${rows.join('')}${said.join('')}` };
}
