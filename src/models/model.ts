import { at as itemAt } from '../domain/lists';
import { Recent } from '../domain/recent';
import type { Pass } from '../domain/pass';
import { isSameSize, type Size } from '../domain/size';
import type { Checkpoint } from '../checkpoint/checkpoint';
import { selectStateDict } from '../checkpoint/open';
import type { Graph } from '../graph/graph';
import type { ConfigValue, Known, ParameterCounts, Recognition } from '../architectures/family';
import type { PartName } from '../architectures/whole';
import {
  offeredHint,
  offeredStructure,
  structureOf,
  readByStructure,
  type Naming,
  type Structure,
} from './structure';
import { withGuesses } from './guesses';
import {
  buildGraph,
  countParameters,
  isBeside,
  partsOf,
  recognise,
} from '../architectures/recognise/recognise';
import { canBeSize } from '../architectures/config';
import { modelLimits } from '../architectures/limits';
import { renamed } from '../architectures/recognise/structure/mapping';

/** What the user asked of a checkpoint, beside its file. */
export interface Settings extends Naming {
  /** Hyper-parameters that the weights do not tell, as the user typed them in. */
  readonly assume?: Readonly<Record<string, ConfigValue>>;
  readonly stateDict?: string;
  /** Folder or file of a LoRA adapter that is applied to the checkpoint. */
  readonly adapter?: string;
  /** File or folder that names the classes, instead of what lies beside the weights. */
  readonly classes?: string;
}

/** What a graph is built for; the model's own image size and a batch of 1 by default. */
export interface GraphSize {
  /** Of a model of images alone. */
  readonly imageSize?: Size;
  readonly batch?: number;
  /** Tokens, frames and texts, by name; the model's own by default. */
  readonly lengths?: Readonly<Record<string, number>>;
  /** Of a decoder: all tokens of a text, or those of a step of generation; `whole` by default. */
  readonly pass?: Pass;
}

/** A part of a model that runs by itself: its inputs and outputs are those of its graph. */
export interface Part {
  /** `image` is the image encoder of a file that holds more; `whole` all there is. */
  readonly name: PartName;
  /** Returns the graph at a size; the last few are kept. Throws if the part cannot take it. */
  graph(size?: GraphSize): Graph;
}

/**
 * A checkpoint as it is understood: what views, reports and the inference process start from. What
 * was read of the file answers every question here; nothing is opened again.
 */
export interface Model {
  readonly checkpoint: Checkpoint;
  readonly recognition: Recognition;
  readonly counts: ParameterCounts;
  /** Names of tensors that no operator reads. */
  readonly unused: readonly string[];
  /** How names were read that say nothing; in `checkpoint` tensors have those of a library. */
  readonly structure?: Structure;
  /** What a file that is not known may be read as, to be confirmed; asked for when it is shown. */
  readonly offered?: () => Structure | undefined;
  /** Native image size, or the one asked for; undefined if it reads no images or has no graph. */
  readonly imageSize?: Size;
  /** What can be run; none if the architecture is not known. */
  readonly parts: readonly Part[];
  /** The graph of the first part. Throws if there is none. */
  graph(size?: GraphSize): Graph;
  /**
   * Returns the model as understood for an image size; itself without one. A size is evidence:
   * weights whose config is lost may owe it their windows or their grid of positions. `graph` asks
   * here, so that a size gives the same numbers whichever way it is asked for. Throws if a size is
   * asked for of a model that reads no images.
   */
  at(imageSize: Size | undefined): Model;
}

/** A model at one image size, as its format is understood. */
export interface Understood extends Pick<
  Model,
  'checkpoint' | 'recognition' | 'counts' | 'unused' | 'imageSize' | 'structure' | 'offered'
> {
  /** Its parts, the one that reads the image first; none if the architecture is not known. */
  readonly parts: readonly BuiltPart[];
}

/** A part whose graph is written when it is asked for. */
export interface BuiltPart {
  readonly name: PartName;
  build(size: SettledSize): Graph;
}

/** What a part is written for, all of it said; without an image size if it reads no images. */
export type SettledSize = Pick<GraphSize, 'imageSize'> & Required<Omit<GraphSize, 'imageSize'>>;

/** Models and graphs of the last few sizes: a slider and a panel ask for the same ones again. */
const remembered = 8;

/** Returns the model at its own image size; `understandAt` is asked once for every other size. */
export function modelAtSizes(understandAt: (imageSize?: Size) => Understood): Model {
  const sized = new Recent<string, Model>(remembered);
  const at = (size: Size | undefined): Model =>
    size && requireImage(size)
      ? sized.ensure(size.join('x'), () => modelOf(ofImages(understandAt(size)), at))
      : own;
  const own = modelOf(understandAt(), at);
  return own;
}

/** Throws if no image has such sides. */
function requireImage(size: Size): true {
  if (canBeSize(size)) return true;
  throw new Error(
    `image size ${size.join(' × ')} found; sides of 1 to ${modelLimits.imageSide} pixels are needed`,
  );
}

/** What is understood at an image size. Throws if it reads no images. */
function ofImages(understood: Understood): Understood {
  const { checkpoint, parts, imageSize } = understood;
  if (parts.length > 0 && !imageSize)
    throw new Error(`${checkpoint.path}: an image size was asked for, and the model reads no images`);
  return understood;
}

function modelOf({ parts, ...understood }: Understood, at: Model['at']): Model {
  const { checkpoint, recognition, imageSize: own } = understood;
  if (parts.length === 0) {
    const graph = (): never => refuse(checkpoint, recognition, understood.offered?.());
    return { ...understood, parts: [], graph, at };
  }
  const asked = parts.map((part): Part => ({ name: part.name, graph: graphsOf(part, own, at) }));
  return { ...understood, parts: asked, graph: (size) => itemAt(asked, 0).graph(size), at };
}

/** The graphs of a part at sizes, of which the last few are kept. */
function graphsOf(part: BuiltPart, own: Size | undefined, at: Model['at']): Part['graph'] {
  const graphs = new Recent<string, Graph>(remembered);
  const twinAt = (imageSize: Size): Part | undefined => {
    const other = at(imageSize);
    // What cannot be understood at this size says best why when it is built.
    const isThere = other.imageSize && isSameSize(other.imageSize, imageSize);
    return isThere ? other.parts.find(({ name }) => name === part.name) : undefined;
  };
  const build = (size: SettledSize): Graph => {
    const { imageSize, ...rest } = size;
    const twin = imageSize && own && !isSameSize(imageSize, own) ? twinAt(imageSize) : undefined;
    return twin ? twin.graph(rest) : part.build(size);
  };
  return ({ imageSize = own, batch = 1, lengths = {}, pass = 'whole' } = {}) => {
    const size = { imageSize, batch, lengths, pass };
    return graphs.ensure(JSON.stringify(size), () => build(size));
  };
}

/** Whether something of a model can be counted and run. */
export const hasGraph = ({ parts }: Pick<Model, 'parts'>): boolean => parts.length > 0;

/** The graphs of all parts of a model, in the order in which an answer needs them. */
export const graphsOfParts = (model: Model, size?: GraphSize): readonly Graph[] =>
  model.parts.length === 0 ? [model.graph(size)] : model.parts.map(({ graph }) => graph(size));

/** The same with the parts' names. */
export const namedGraphs = (model: Model, size?: GraphSize): readonly NamedGraph[] =>
  model.parts.length === 0
    ? [{ name: 'whole', graph: model.graph(size) }]
    : model.parts.map(({ name, graph }) => ({ name, graph: graph(size) }));

/** A part of a model with its graph. */
export interface NamedGraph {
  readonly name: PartName;
  readonly graph: Graph;
}

/** Understands a checkpoint of bare weights, without reading it. Throws if a setting cannot be. */
export function understand(checkpoint: Checkpoint, settings: Settings = {}): Model {
  const { assume, stateDict } = settings;
  const file = stateDict === undefined ? checkpoint : selectStateDict(checkpoint, stateDict);
  const structure = structureOf(file, settings, Object.keys(assume ?? {}));
  const chosen = structure ? renamed(file, structure.mapping) : file;
  return modelAtSizes((imageSize) => {
    const found = recognise(chosen, { assume, imageSize });
    const recognition = withGuesses(
      structure && found.family !== null ? readByStructure(found, structure) : found,
    );
    const counts = countParameters(chosen, recognition);
    const read = { checkpoint: chosen, recognition, counts, ...(structure && { structure }) };
    if (recognition.family === null)
      return {
        ...read,
        parts: [],
        unused: [],
        ...(!structure && { offered: once(() => offeredStructure(file)) }),
      };
    const sized = new Recent<string, Known>(remembered);
    const forLengths = (lengths: Readonly<Record<string, number>>): Known => {
      const told = settledLengths(recognition, lengths);
      const key = JSON.stringify(told);
      return told
        ? sized.ensure(key, () => recogniseFor(chosen, { ...assume, ...told }, imageSize))
        : recognition;
    };
    const hasOthers = [...(recognition.translation?.parameters.keys() ?? [])].some(isBeside);
    const own = partsOf(recognition);
    const names = own.length > 0 ? own : ([hasOthers || recognition.share ? 'image' : 'whole'] as const);
    return {
      ...read,
      unused: unread(counts),
      imageSize: recognition.imageSize,
      parts: names.map((name) => ({
        name,
        build: (size) =>
          buildGraph(chosen, forLengths(size.lengths), {
            ...size,
            ...(own.length > 0 && { part: name }),
          }).graph,
      })),
    };
  });
}

/**
 * A checkpoint as its tensors alone, for a reason that is told: understanding it was stopped.
 * Throws if the state dict is not known.
 */
export function notUnderstood(checkpoint: Checkpoint, reason: string, { stateDict }: Settings = {}): Model {
  const chosen = stateDict === undefined ? checkpoint : selectStateDict(checkpoint, stateDict);
  const recognition = { family: null, dialect: 'unknown', reason } as const;
  const counts = countParameters(chosen, recognition);
  return modelAtSizes(() => ({ checkpoint: chosen, recognition, counts, unused: [], parts: [] }));
}

/**
 * The lengths that are hyper-parameters of a family, frames of a clip, if they are others than its
 * own: it is recognised for them. Parts of a whole model are written for any.
 */
function settledLengths(
  { whole, lengths: own = {} }: Known,
  lengths: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> | undefined {
  if (whole) return undefined;
  const others = Object.entries(lengths).filter(([name, value]) => name in own && own[name] !== value);
  return others.length > 0 ? Object.fromEntries(others) : undefined;
}

function recogniseFor(
  checkpoint: Checkpoint,
  assume: Readonly<Record<string, ConfigValue>>,
  imageSize: Size | undefined,
): Known {
  const found = recognise(checkpoint, { assume, imageSize });
  if (found.family === null) throw new Error(`${checkpoint.path}: ${found.reason}`);
  return found;
}

/** Asks once, when the answer is first needed. */
function once<T>(ask: () => T): () => T {
  let answer: { readonly value: T } | undefined;
  return () => (answer ??= { value: ask() }).value;
}

/** Names that no operator reads; of a copy it reads the other name. */
export const unread = ({ roles }: ParameterCounts): readonly string[] =>
  [...roles].filter(([, role]) => role === 'unused' || role === 'copy').map(([name]) => name);

function refuse({ path }: Checkpoint, recognition: Recognition, offered: Structure | undefined): never {
  const { reason, cause } = recognition.family === null ? recognition : { reason: '', cause: undefined };
  const hint = offered ? `; ${offeredHint}` : '';
  throw new Error(
    `${path}: ${reason}; only files whose architecture is known can be counted and run${hint}`,
    {
      cause,
    },
  );
}
