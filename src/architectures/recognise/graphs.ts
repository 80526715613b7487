import { at, last } from '../../domain/lists';
import type { Pass } from '../../domain/pass';
import type { Size } from '../../domain/size';
import type { Checkpoint } from '../../checkpoint/checkpoint';
import { GraphBuilder, ParameterError, type ParameterView } from '../../graph/builder';
import { valueOf, type Graph } from '../../graph/graph';
import { neededNodes } from '../../graph/order';
import type { Probe, TokenLayout } from '../../domain/probes';
import { requireOwnSize } from '../decide';
import { headVector, ownHeads, type OwnHead } from '../heads/ownHead';
import { ownModule, type Translated, type Translation } from '../dialect';
import type { StateShape } from '../blocks/decoding';
import type { Maps, Stage, TokenMaps } from '../blocks/stages';
import type { BuildOptions, Known, Recognition } from '../family';
import { familyNamed } from '../registry';
import {
  isStandalone,
  type ModelContext,
  type PartContext,
  type PartName,
  type PartOf,
  type Standalone,
  type Whole,
  type WholeModel,
} from '../whole';
import { namesOfWhole, wholeNamed } from '../wholes';

interface GraphOptions {
  /** `[height, width]` in pixels; the recognition's own by default. */
  readonly imageSize?: Size;
  readonly batch?: number;
  /** Which part of a whole model; the first by default. */
  readonly part?: PartName;
  /** Tokens, frames and texts that a part is written for. */
  readonly lengths?: Readonly<Record<string, number>>;
  readonly pass?: Pass;
}

/** A model's graph, and the names of the tensors that it reads; of a whole model all parts do. */
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
  { imageSize, batch = 1, part, lengths = {}, pass = 'whole' }: GraphOptions = {},
): BuiltGraph {
  if (recognition.family === null || !recognition.translation)
    throw new Error(`${checkpoint.path}: there is no graph to build for this file`);
  const { translation, whole, imageSize: own } = recognition;
  const size = imageSize ?? own;
  const isFirst = part === undefined && pass === 'whole' && Object.keys(lengths).length === 0;
  const isNative = isFirst && batch === 1 && String(size) === String(own);
  const known = isNative ? native.get(recognition) : undefined;
  if (known) return known;
  requireSize(recognition, size);
  const options = { ...(size && { imageSize: size }), batch };
  const built = whole
    ? writeWhole(recognition, translation, whole, { ...options, part, lengths, pass })
    : writeGraph(recognition, translation, { ...options, imageSize: ofImages(recognition, size) });
  if (isNative) native.set(recognition, built);
  return built;
}

/** Keeps the native graph of a recognition for another that says more of the same network. */
export function keepGraph(of: Recognition, other: Recognition): void {
  const known = native.get(of);
  if (known) native.set(other, known);
}

/** How far a graph was written before it could not go on. */
interface Progress {
  /** Parameters that were read. */
  readonly read: number;
  /** Tensor of the file that was read last, with the shape that was read of it. */
  readonly last?: { readonly tensor: string; readonly shape: readonly number[] };
}

const progress = new WeakMap<Error, Progress>();

/** How far the graph got whose writing ended in this error. */
export const progressOf = (error: Error): Progress => progress.get(error) ?? { read: 0 };

/** Writes, and keeps with an error how far it got. */
function noting(builder: GraphBuilder, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (error instanceof Error) {
      const { lastParameter: last } = builder;
      const tensor = last?.data.kind === 'parameter' ? last.data.tensor : undefined;
      progress.set(error, {
        read: builder.build().initializers.size,
        ...(last && tensor !== undefined && { last: { tensor, shape: last.shape } }),
      });
    }
    throw error;
  }
}

/** Where the layer stands in the graph that normalises images. */
const imageNormPath = 'image_norm';

function writeGraph(recognition: Known, translation: Translation, options: BuildOptions): BuiltGraph {
  const family = familyNamed(recognition.architecture);
  const { config, ownHead, backboneOnly, imageNorm } = recognition;
  // What lies beside the network may have names that the family asks for.
  let find = (name: string): ParameterView | undefined => translation.source.find(name);
  const builder = new GraphBuilder(recognition.title, { find: (name) => find(name) });
  noting(builder, () => {
    const maps = family.build(builder, config, options);
    family.head?.(builder, maps, config);
  });
  find = (name) =>
    imageNorm && name.startsWith(`${imageNormPath}.`)
      ? imageNorm[name.endsWith('mean') ? 'mean' : 'std']
      : ownHead?.parameters.get(name);
  const written = ownHead ? withOwnHead(builder.build(), builder, ownHead) : builder.build();
  // A buffer of the file's, which counts as that.
  const used = readBy(backboneOnly ? withoutLogits(written) : written);
  const normed = imageNorm ? withImageNorm(written, builder) : written;
  const graph = backboneOnly ? withoutLogits(normed) : normed;
  const probes = graph.probes.map((probe) => inOwnWords(probe, translation));
  return { graph: { ...graph, probes }, used };
}

/** What a part of a whole model is written with; an image size if it reads images. */
interface PartOptions extends ModelContext {
  readonly imageSize?: Size;
  readonly part: PartName | undefined;
}

/** Parts of a recognised model that run by themselves, of a whole model in its order. */
export const partsOf = ({ whole }: Known): readonly PartName[] =>
  whole ? wholeNamed(whole.name).parts.map(({ name }) => name) : [];

/** The size of a model of images. Throws if it is of another kind. */
function ofImages({ title }: Known, size: Size | undefined): Size {
  if (!size) throw new Error(`${title} reads no images`);
  return size;
}

/** Writes a part of a whole model: the one asked for, or the first, with what any of them reads. */
function writeWhole(
  recognition: Known,
  translation: Translation,
  { name, config }: NonNullable<Known['whole']>,
  { part, ...options }: PartOptions,
): BuiltGraph {
  const whole = wholeNamed(name);
  const { imageSize, ...context } = options;
  const graphs = isStandalone(whole)
    ? partsWanted(whole, part).map((each) =>
        writeStandalone(recognition, translation, { whole, part: each, config }, context),
      )
    : partsWanted(whole, part).map((each) =>
        writePart(
          recognition,
          translation,
          { whole, part: each, config },
          { ...context, imageSize: ofImages(recognition, imageSize) },
        ),
      );
  const [graph] = graphs;
  if (!graph) throw new Error(`${recognition.title} has no part ${part ?? ''}`);
  return { graph, used: new Set(graphs.flatMap((each) => [...readBy(each)])) };
}

/** The part that is asked for, or all. */
const partsWanted = <P extends { readonly name: PartName }>(
  { parts }: { readonly parts: readonly P[] },
  part: PartName | undefined,
): readonly P[] => (part === undefined ? parts : parts.filter(({ name }) => name === part));

interface WrittenPart<W extends WholeModel, X extends ModelContext> {
  readonly whole: W;
  readonly part: PartOf<unknown, X>;
  readonly config: unknown;
}

function writeStandalone(
  { title, lengths }: Known,
  { network }: Translation,
  { whole, part, config }: WrittenPart<Standalone, ModelContext>,
  options: ModelContext,
): Graph {
  const names = namesOfWhole(whole, network);
  const read = new Set<string>();
  const find = (parameter: string): ParameterView | undefined => {
    const view = names.get(parameter)?.view;
    if (view) read.add(parameter);
    return view;
  };
  const builder = new GraphBuilder(title, { find });
  noting(builder, () => {
    part.build(builder, config, { ...options, lengths: { ...lengths, ...options.lengths } });
    requireBiases(whole, read, (parameter) => names.has(parameter));
  });
  const graph = builder.build();
  const needed = pruned(graph, graph.outputs);
  const probes = needed.probes.map((probe) => ({ ...probe, layer: ownPath(names, probe.layer) }));
  return { ...needed, inputs: inputsOf(needed, options.pass), probes };
}

/** What a graph is fed: a pass of generation asks for nothing that it does not look at. */
function inputsOf({ inputs, nodes }: Graph, pass: Pass): Graph['inputs'] {
  const read = new Set(nodes.flatMap((node) => node.inputs));
  return inputs.filter(({ name }) => pass === 'whole' || read.has(name));
}

/** The places of a map as tokens lie, if a network hands on no tokens of its own. */
const placesOf = ({ grid, width }: Stage, batch: number): StateShape => ({
  batch,
  count: grid[0] * grid[1],
  width,
  layout: { special: [], grid },
});

function writePart(
  recognition: Known,
  translation: Translation,
  { whole, part, config }: WrittenPart<Whole, PartContext>,
  options: BuildOptions & ModelContext,
): Graph {
  const family = familyNamed(recognition.architecture);
  const names = namesOfWhole(whole, translation.network);
  const asked = new Set<string>();
  const ofWhole = (parameter: string): ParameterView | undefined => {
    const view = names.get(parameter)?.view;
    if (view) asked.add(parameter);
    return view;
  };
  const ofBackbone = (parameter: string): ParameterView | undefined => translation.source.find(parameter);
  // A norm of the backbone's own may be applied to maps that it does not end with.
  const ofBoth = (parameter: string): ParameterView | undefined =>
    ofWhole(parameter) ?? ofBackbone(parameter);
  let find = ofWhole;
  const builder = new GraphBuilder(recognition.title, { find: (parameter) => find(parameter) });
  const marks = (): readonly [probes: number, outputs: number] => {
    const { probes, outputs } = builder.build();
    return [probes.length, outputs.length];
  };
  let first = marks();
  let end = first;
  const write = (finish: (maps: Maps) => void, how: Partial<BuildOptions> = {}): Maps => {
    first = marks();
    find = ofBackbone;
    const { entering } = how;
    const inWhole: BuildOptions['entering'] =
      entering &&
      ((b, tokens, block) => {
        find = ofBoth;
        const entered = entering(b, tokens, block);
        find = ofBackbone;
        return entered;
      });
    const own = { ...options, ...how, ...(inWhole && { entering: inWhole }) };
    const maps = family.build(builder, recognition.config, own);
    finish(maps);
    find = ofBoth;
    end = marks();
    return maps;
  };
  const imageTokens = (): StateShape => {
    const aside = new GraphBuilder(recognition.title, { find: ofBackbone });
    const maps = family.build(aside, recognition.config, options) as Maps & Partial<TokenMaps>;
    if (!maps.tokens) return placesOf(last(maps.stages), options.batch);
    const { batch, count, layout, value } = maps.tokens;
    return { batch, count, layout, width: at(value.shape, 1) };
  };
  const context: PartContext = {
    ...options,
    imageTokens,
    lengths: { ...recognition.lengths, ...options.lengths },
    backbone: (how) => write(() => undefined, how),
    answered: () => {
      write((maps) => family.head(builder, maps, recognition.config));
      const { outputs, values } = builder.build();
      return new Map(
        outputs.slice(first[1], end[1]).map(({ name, value }) => [name, valueOf({ values }, value)]),
      );
    },
  };
  noting(builder, () => {
    part.build(builder, config, context);
    requireBiases(whole, asked, (parameter) => names.has(parameter));
  });
  const graph = builder.build();
  const own = graph.outputs.filter((_, index) => index < first[1] || index >= end[1]);
  const needed = pruned(graph, own);
  return {
    ...needed,
    inputs: inputsOf(needed, options.pass),
    probes: needed.probes.map((probe, index) =>
      index >= first[0] && index < end[0]
        ? inOwnWords(probe, translation)
        : { ...probe, layer: ownPath(names, probe.layer) },
    ),
  };
}

/**
 * The file's own path of a module of a whole model: of a parameter below it whose name ends alike
 * in both.
 */
function ownPath(names: ReadonlyMap<string, Translated>, path: string): string {
  const starts = `${path}.`;
  for (const [name, { tensor }] of names) {
    if (!name.startsWith(starts)) continue;
    const inside = name.slice(path.length);
    if (tensor.name.endsWith(inside)) return tensor.name.slice(0, -inside.length);
  }
  return listedAlike(names, path) ?? path;
}

/** Of a member of a list the file's own path up to the same index, if a parameter's name has it. */
function listedAlike(names: ReadonlyMap<string, Translated>, path: string): string | undefined {
  const index = /\.\d+$/.exec(path)?.[0];
  if (index === undefined) return undefined;
  for (const [name, { tensor }] of names) {
    const end = name.startsWith(`${path}.`) ? tensor.name.indexOf(`${index}.`) : -1;
    if (end >= 0) return tensor.name.slice(0, end + index.length);
  }
  return undefined;
}

/** Throws if a module that the whole model reads lacks a bias that its library always stores. */
function requireBiases(
  { hasNoBias }: WholeModel,
  read: ReadonlySet<string>,
  has: (name: string) => boolean,
): void {
  if (!hasNoBias) return;
  for (const name of read) {
    const path = /^(.*)\.(?:weight|running_mean)$/.exec(name)?.[1];
    if (path === undefined) continue;
    const isNorm = has(`${path}.running_mean`);
    const wanted = isNorm ? ['weight', 'bias'] : ['bias'];
    const lost = wanted.find((leaf) => !has(`${path}.${leaf}`));
    if (lost !== undefined && (isNorm || !hasNoBias(path, has)))
      throw new ParameterError(`${path}.${lost}`, 'not in the checkpoint');
  }
}

/** Names of the file's tensors that a graph reads. */
function readBy({ initializers }: Graph): ReadonlySet<string> {
  const used = new Set<string>();
  for (const { data } of initializers.values()) if (data.kind === 'parameter') used.add(data.tensor);
  return used;
}

/** The graph with the user's own head behind the pooled vector. */
function withOwnHead(graph: Graph, b: GraphBuilder, head: OwnHead): Graph {
  const features = graph.outputs.find(({ means }) => means === 'features');
  if (!features) return graph;
  const tokens = graph.outputs.find(({ means }) => means === 'tokens');
  const vector = headVector(
    b,
    head.input,
    valueOf(graph, features.value),
    tokens && valueOf(graph, tokens.value),
  );
  ownHeads(b, vector, head);
  return b.build();
}

/** The graph behind a layer that normalises its images, which `b` wrote and goes on with. */
function withImageNorm(graph: Graph, b: GraphBuilder): Graph {
  const pixels = valueOf(graph, 'pixel_values');
  const perChannel = [1, at(pixels.shape, 1), 1, 1];
  const own = [...graph.nodes];
  const normed = b.scope(
    imageNormPath,
    () => {
      const [mean, std] = [b.parameter('mean', perChannel), b.parameter('std', perChannel)];
      return b.add('Div', [b.add('Sub', [pixels, mean]), std]);
    },
    { title: 'Normalisation of images' },
  );
  const { nodes, ...grown } = b.build();
  const rename = (name: string): string => (name === pixels.name ? normed.name : name);
  const behind = own.map((node) => ({ ...node, inputs: node.inputs.map(rename) }));
  return { ...grown, nodes: [...nodes.slice(own.length), ...behind] };
}

/** The graph without its scores of classes, and without the operators that only they need. */
const withoutLogits = (graph: Graph): Graph =>
  pruned(
    graph,
    graph.outputs.filter(({ means }) => means !== 'logits'),
  );

/** The graph with these outputs, and without operators that neither they nor the maps need. */
function pruned(graph: Graph, outputs: Graph['outputs']): Graph {
  const probed = graph.probes.map(({ value }) => value);
  const nodes = neededNodes(graph, [...outputs.map(({ value }) => value), ...probed]);
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  const initializers = new Map([...graph.initializers].filter(([name]) => read.has(name)));
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const isKept = (name: string): boolean =>
    made.has(name) || initializers.has(name) || graph.inputs.some((input) => input.name === name);
  const values = new Map([...graph.values].filter(([name]) => isKept(name)));
  return { ...graph, outputs, nodes, initializers, values };
}

/**
 * Refuses sizes that hold not one patch, and names the nearest ones that divide evenly; a step of 0
 * allows the model's own size alone.
 */
function requireSize({ title, sizeStep, imageSize }: Known, size: Size | undefined): void {
  if (!size) return;
  if (!sizeStep || !imageSize) throw new Error(`${title} reads no images, which have a size`);
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
