import { MissingItemError } from '../../domain/lists';
import type { Size } from '../../domain/size';
import type { Checkpoint } from '../../checkpoint/checkpoint';
import { elementCount, type Tensor } from '../../checkpoint/tensors';
import { GraphBuilder, ParameterError } from '../../graph/builder';
import type { Graph } from '../../graph/graph';
import { OperatorError } from '../../graph/operators';
import type { Probe, TokenLayout } from '../../domain/probes';
import { isBuffer } from '../buffers';
import { translations } from './dialects';
import { ownModule, type Translation } from '../dialect';
import { families, familyNamed } from '../registry';
import type {
  BuildOptions,
  ConfigValue,
  Family,
  ParameterCounts,
  Recognised,
  Recognition,
  TensorRole,
} from '../family';
import { nearestFamily } from './nearest';
import { otherKind } from './otherKinds';
import { lostParameters } from './siblings';
import { requireOwnSize } from '../decide';

export interface RecogniseOptions {
  /** Hyper-parameters that the weights do not hold, as the user typed them in. */
  readonly assume?: Readonly<Record<string, ConfigValue>>;
  /** `[height, width]` the user asked for. */
  readonly imageSize?: Size;
}

/** A family's name for people: `Vision Transformer`. */
export const titleOfFamily = (name: string): string =>
  families.find((family) => family.name === name)?.title ?? name;

/** A recognition that names a family. */
export type Known = Extract<Recognition, { family: string }>;

function strangeNames(translation: Translation | undefined): string {
  if (!translation) return 'no known architecture has these tensor names';
  const [unexpected] = translation.unexpected;
  const { title } = translation.dialect;
  return unexpected === undefined
    ? `${title} names, in a combination that no known architecture has`
    : `${title} names, but no known architecture has ${unexpected}`;
}

type Unknown = Extract<Recognition, { family: null }>;

/** Files of another kind that people open by mistake, and those whose names no family has. */
function unknown({ selected: { tensors } }: Checkpoint, translation: Translation | undefined): Unknown {
  return {
    family: null,
    dialect: translation?.dialect.name ?? 'unknown',
    reason: otherKind(tensors) ?? strangeNames(translation),
    nearest: nearestFamily(tensors, translation),
  };
}

/** A file with the names of a family that it does not quite fit. */
function nearly({ title, architecture, familyTitle, dialect }: Known, missing: readonly string[]): Unknown {
  const reason = `like ${title} (${familyTitle}), but ${missing[0]}`;
  return { family: null, dialect, reason, nearest: { family: architecture, missing } };
}

/**
 * A file with the names of a family whose hyper-parameters cannot be found: what they are read off
 * is not there.
 */
function refused({ name, title }: Family, { dialect }: Translation, cause: unknown): Unknown {
  const missing = ['sizes and layers that go together'];
  return {
    family: null,
    dialect: dialect.name,
    reason: `like ${title}, but without ${missing[0]}`,
    nearest: { family: name, missing },
    cause,
  };
}

/**
 * What a checkpoint is: dialect, family and hyper-parameters with their evidence; `family: null`
 * with the reason if it is none of the known ones. A family is believed when its graph can be
 * written and, but for dialects that know their territory, every parameter of the file has a place
 * in it. Throws if `assume` holds a key that the family does not know, or a value that cannot be.
 * An .onnx file is understood elsewhere.
 */
export function recognise(checkpoint: Checkpoint, options: RecogniseOptions = {}): Recognition {
  const found = translations(checkpoint.selected.tensors);
  let near: Unknown | undefined;
  let refusal: Unknown | undefined;
  for (const translation of found.filter(({ unexpected }) => unexpected.length === 0))
    for (const family of familiesOf(translation))
      try {
        const recognition = recogniseAs(family, translation, checkpoint, options);
        if (!recognition) continue;
        const missing = misfits(checkpoint, recognition, family);
        if (missing.length === 0) return recognition;
        near ??= nearly(recognition, missing);
      } catch (error) {
        refusal ??= refused(family, translation, error);
      }
  // A file that comes near to one family may speak the names of another, too, whose hyper-
  // parameters it cannot have.
  if (near || !refusal) return near ?? unknown(checkpoint, found[0]);
  if (!(refusal.cause instanceof ParameterError || refusal.cause instanceof MissingItemError))
    throw refusal.cause;
  return refusal;
}

const plain: readonly string[] = ['siglip', 'clip', 'vit'];

function familiesOf({ dialect }: Translation): readonly Family[] {
  return (dialect.families ?? plain).map(familyNamed);
}

function recogniseAs(
  family: Family,
  translation: Translation,
  checkpoint: Checkpoint,
  { assume = {}, imageSize }: RecogniseOptions,
): Known | undefined {
  const { dialect, prefix, parameters: tensors } = translation;
  const recognised = family.recognise({
    tensors,
    dialect: dialect.inner ?? dialect,
    prefix,
    checkpoint,
    assume,
    ...(imageSize && { imageSize }),
  });
  if (!recognised) return undefined;
  requireAssumable(family, assume);
  return {
    ...(dialect.backboneOf === undefined ? recognised : asBackbone(recognised, dialect.backboneOf)),
    family: family.row ?? family.name,
    architecture: family.name,
    familyTitle: family.title,
    dialect: dialect.name,
    assumable: family.assumable,
    translation,
  };
}

/** A model of which only the image backbone is known: it runs, what lies beside it counts. */
const asBackbone = (recognised: Recognised<unknown>, model: string): Recognised<unknown> => ({
  ...recognised,
  task: 'features',
  title: `${recognised.title}, image backbone of ${model}`,
  warnings: [
    ...recognised.warnings,
    `Only the image backbone of ${model} is run; the parameters beside it are counted, their MACs are not.`,
  ],
});

/**
 * Canonical names of other parts of the same model (a text tower, a decoder, a detector's head):
 * they count, the graph does not read them.
 */
const otherParts = /^(?:text|beside)\.|^logit_(?:scale|bias)$/;

/** Whether a canonical name is of another part of the model than the graph. */
export const isBeside = (name: string): boolean => otherParts.test(name);

/**
 * What keeps a file from being a model of the family: a parameter that lacks or has another shape,
 * or the first few without a place.
 */
function misfits(checkpoint: Checkpoint, recognition: Known, { idle }: Family): readonly string[] {
  try {
    const { used } = buildGraph(checkpoint, recognition);
    const { parameters, dialect, copies } = recognition.translation!;
    const lost = lostParameters(checkpoint.selected.tensors.map(({ name }) => name));
    if (lost.length > 0) return lost.slice(0, 3).map((name) => `no ${name}, which its siblings have`);
    if (dialect.territory) return [];
    const placed = new Set(
      [...parameters]
        .filter(([name, { tensor }]) => used.has(tensor.name) || otherParts.test(name) || idle?.test(name))
        .map(([, { tensor }]) => tensor.name),
    );
    return checkpoint.selected.tensors
      .filter(({ name }) => !placed.has(copies.get(name) ?? name))
      .filter((tensor) => !isBufferOf(recognition.translation, tensor))
      .slice(0, 3)
      .map(({ name }) => `no place for ${name}`);
  } catch (error) {
    if (error instanceof ParameterError || error instanceof OperatorError) return [error.message];
    throw error;
  }
}

/** Whether the tensor is a buffer, for all libraries or for the one that wrote this file. */
function isBufferOf(translation: Translation | undefined, tensor: Tensor): boolean {
  const bare = translation ? tensor.name.replace(translation.prefix, '') : tensor.name;
  return isBuffer(tensor) || (translation?.dialect.buffers?.test(bare) ?? false);
}

function requireAssumable(family: Family, assume: Readonly<Record<string, ConfigValue>>): void {
  const strange = Object.keys(assume).find((key) => !family.assumable.includes(key));
  if (strange !== undefined)
    throw new Error(
      `assume: ${strange} is not a hyper-parameter of ${family.title}; known are ${family.assumable.join(', ')}`,
    );
}

interface GraphOptions {
  /** `[height, width]` in pixels; the recognition's own by default. */
  readonly imageSize?: Size;
  readonly batch?: number;
}

/** A model's graph, and the names of the tensors that it reads. */
interface BuiltGraph {
  readonly graph: Graph;
  readonly used: ReadonlySet<string>;
}

/** Graphs at the native size: counting and showing need the same one. */
const native = new WeakMap<Recognition, BuiltGraph>();

/**
 * Writes the graph of a recognised checkpoint. Throws with the parameter or operator that does not
 * fit, or with the sizes that do.
 */
export function buildGraph(
  checkpoint: Checkpoint,
  recognition: Recognition,
  { imageSize, batch = 1 }: GraphOptions = {},
): BuiltGraph {
  if (recognition.family === null || !recognition.translation)
    throw new Error(`${checkpoint.path}: there is no graph to build for this file`);
  const size = imageSize ?? recognition.imageSize;
  const isNative = batch === 1 && size.every((side, axis) => side === recognition.imageSize[axis]);
  const known = isNative ? native.get(recognition) : undefined;
  if (known) return known;
  requireSize(recognition, size);
  const built = writeGraph(recognition, recognition.translation, { imageSize: size, batch });
  if (isNative) native.set(recognition, built);
  return built;
}

function writeGraph(recognition: Known, translation: Translation, options: BuildOptions): BuiltGraph {
  const family = familyNamed(recognition.architecture);
  const builder = new GraphBuilder(recognition.title, translation.source);
  const { config } = recognition;
  const maps = family.build(builder, config, options);
  family.head?.(builder, maps, config);
  const graph = builder.build();
  const used = new Set<string>();
  for (const { data } of graph.initializers.values()) if (data.kind === 'parameter') used.add(data.tensor);
  return { graph: { ...graph, probes: graph.probes.map((probe) => inOwnWords(probe, translation)) }, used };
}

/**
 * Refuses sizes that hold not one patch, and names the nearest ones that divide evenly; a step of 0
 * allows the model's own size alone.
 */
function requireSize({ sizeStep, imageSize }: Known, size: Size): void {
  if (sizeStep.includes(0)) return requireOwnSize(size, imageSize);
  const fits = size.every((side, axis) => Number.isInteger(side) && side >= sizeStep[axis]!);
  if (fits) return;
  const nearest = size.map((side, axis) => Math.max(1, Math.round(side / sizeStep[axis]!)) * sizeStep[axis]!);
  throw new Error(
    `image size ${size.join(' × ')} found; each side must hold a patch of ${sizeStep.join(' × ')} pixels. The nearest size is ${nearest.join(' × ')}.`,
  );
}

/** A probe with the file's own names for its layer and tokens. */
function inOwnWords(probe: Probe, translation: Translation): Probe {
  const first = translation.dialect.firstRegister ?? 0;
  const layout = (tokens: TokenLayout): TokenLayout =>
    first === 0 || !tokens.special
      ? tokens
      : {
          ...tokens,
          special: tokens.special.map((name) =>
            name.replace(/^reg(\d+)$/, (_, index: string) => `reg${Number(index) + first}`),
          ),
        };
  return {
    ...probe,
    layer: ownModule(translation, probe.layer),
    kind: translation.dialect.kinds?.find(([path]) => path.test(probe.layer))?.[1] ?? probe.kind,
    queries: layout(probe.queries),
    keys: layout(probe.keys),
  };
}

/** Where a tensor's elements lie: two names for one range are one parameter (tied weights). */
function placeOf(tensor: Tensor): string | undefined {
  const { storage } = tensor;
  return storage.kind === 'file' && elementCount(tensor.shape) > 0
    ? [storage.file, storage.offset, tensor.start, tensor.shape.join('x'), tensor.strides?.join('x')].join(
        ' ',
      )
    : undefined;
}

/**
 * Counts the file's elements: learned parameters of the model once each, though some take no part
 * in the pass (a mask token, a text tower); buffers, and with them whatever else lies beside the
 * model. Role `unused`: no operator of the graph reads the tensor.
 */
export function countParameters(checkpoint: Checkpoint, recognition: Recognition): ParameterCounts {
  const known = recognition.family === null ? undefined : recognition.translation;
  const own = known && new Set([...known.parameters.values()].map(({ tensor }) => tensor.name));
  const used = known ? buildGraph(checkpoint, recognition).used : undefined;
  const places = new Set<string>();
  const roles = new Map<string, TensorRole>();
  let params = 0;
  let buffers = 0;
  for (const tensor of checkpoint.selected.tensors) {
    const read = known?.copies.get(tensor.name) ?? tensor.name;
    const learned = !isBufferOf(known, tensor) && (own?.has(read) ?? true);
    const place = learned ? placeOf(tensor) : undefined;
    const again = read !== tensor.name || (place !== undefined && places.has(place));
    const elements = again ? 0 : elementCount(tensor.shape);
    if (place !== undefined) places.add(place);
    if (learned) params += elements;
    else buffers += elements;
    const role = isBufferOf(known, tensor) ? 'buffer' : roleOf(tensor, learned, used);
    roles.set(tensor.name, again && role === 'unused' ? 'copy' : role);
  }
  return { params, buffers, roles };
}

function roleOf(tensor: Tensor, learned: boolean, used: ReadonlySet<string> | undefined): TensorRole {
  if (used && !used.has(tensor.name)) return 'unused';
  return learned ? 'parameter' : 'buffer';
}
