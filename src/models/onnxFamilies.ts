import type { Checkpoint } from '../checkpoint/checkpoint';
import type { OnnxModel } from '../checkpoint/formats/onnxModel';
import { elementCount } from '../checkpoint/tensors';
import { mapOf as mapMadeBy, orderedBy } from '../graph/find/attentionGeometry';
import { patchStride } from '../graph/find/attentionPattern';
import { at, last } from '../domain/lists';
import type { Size } from '../domain/size';
import { GraphError, intOf, intsOf, outputName, valueOf, type Graph, type Node } from '../graph/graph';
import { factorsOf, operatorOf } from '../graph/operators';
import { tokenCount, type Probe } from '../domain/probes';
import type { Evidence, EvidenceRecord, Described, ImageInput, TaskName } from '../architectures/family';
import { numbersIn, sideOrPair } from '../architectures/evidence';
import { pvtSizes, pyramidSizes } from '../architectures/groups/pyramids';
import { swinSizes } from '../architectures/groups/shiftedWindows';
import { vitSize } from '../architectures/names';
import { sizeTitle, type Sizes } from '../architectures/sizes';

/**
 * What an imported graph shows of itself, or the family it comes nearest to and what it lacks for
 * it.
 */
type OnnxDescription =
  | { readonly family: string; readonly recognised: Described & ImageInput }
  | { readonly family: string; readonly missing: readonly string[] };

/** What the file says of its images besides its graph at one size. */
export interface ImageFacts {
  /** What the graph itself does to pixels. */
  readonly inside?: ImageInput['inside'];
  /** Where the image size comes from. */
  readonly size: Pick<Evidence, 'source' | 'assumed'>;
  /** Whether the graph takes another size. */
  readonly takes: (size: Size) => boolean;
  readonly quantisation?: Evidence;
}

/** The convolutions of a graph by what they do. */
interface Parts {
  readonly graph: Graph;
  readonly probes: readonly Probe[];
  /** First convolution: patches, overlapping or not. */
  readonly embedding: Node | undefined;
  readonly patches: Node | undefined;
  readonly convolutions: readonly Node[];
}

/** A family by the structure of its graph; `missing` names what a graph lacks for it. */
interface Structure {
  readonly family: string;
  readonly label: (parts: Parts) => string;
  readonly name: string;
  /** Published sizes; plain transformers go by their own. */
  readonly sizes?: Sizes;
  readonly missing: (parts: Parts) => readonly string[];
}

const lacking = (there: boolean, what: string): readonly string[] => (there ? [] : [what]);

function isDepthwise(graph: Graph, node: Node): boolean {
  const group = intOf(node, 'group', 1);
  const [, weight] = factorsOf(node);
  return group > 1 && group === graph.values.get(weight)?.shape[0];
}
const isOverlapping = (node: Node | undefined): boolean =>
  node !== undefined && patchStride(node) === undefined;
const hasKind = ({ probes }: Parts, kind: Probe['kind']): boolean =>
  probes.some((probe) => probe.kind === kind);
const allAre = ({ probes }: Parts, ...kinds: readonly Probe['kind'][]): boolean =>
  probes.length > 0 && probes.every(({ kind }) => kinds.includes(kind));
const hasCosineScores = ({ graph }: Parts): boolean =>
  graph.nodes.some(({ op }) => op === 'ReduceL2' || op === 'LpNormalization');
const hasDepthwise = ({ graph, convolutions }: Parts): boolean =>
  convolutions.some((node) => isDepthwise(graph, node));

const shiftedWindows = (parts: Parts): readonly string[] => [
  ...lacking(allAre(parts, 'window'), 'attention in windows in every layer'),
  ...lacking(!parts.probes.some(({ window }) => window?.dilated), 'windows of neighbours alone'),
  ...lacking(parts.convolutions.length <= 1, `${parts.convolutions.length - 1} fewer convolutions`),
];
const reducedKeys = (parts: Parts): readonly string[] => [
  ...lacking(allAre(parts, 'reduced', 'self') && hasKind(parts, 'reduced'), 'attention to reduced keys'),
  ...lacking(
    parts.probes.every(({ queries }) => queries.grid !== undefined),
    'one token per patch in the attention',
  ),
];

/**
 * The structures that a graph is compared with, the more particular ones first; the last is the one
 * that others are measured by.
 */
const structures: readonly Structure[] = [
  {
    family: 'swinv2',
    label: () => 'swinv2',
    name: 'Swin V2',
    sizes: swinSizes,
    missing: (parts) => [...shiftedWindows(parts), ...lacking(hasCosineScores(parts), 'cosine attention')],
  },
  { family: 'swin', label: () => 'swin', name: 'Swin', sizes: swinSizes, missing: shiftedWindows },
  {
    family: 'pvt_v2',
    label: () => 'pvt_v2',
    name: 'PVT v2',
    sizes: pyramidSizes,
    missing: (parts) => [
      ...reducedKeys(parts),
      ...lacking(isOverlapping(parts.embedding), 'overlapping patches'),
      ...lacking(hasDepthwise(parts), 'depthwise convolutions'),
    ],
  },
  {
    family: 'pvt',
    label: () => 'pvt',
    name: 'PVT',
    sizes: pvtSizes,
    missing: (parts) => [
      ...reducedKeys(parts),
      ...lacking(!isOverlapping(parts.embedding), 'patches that do not overlap'),
      ...lacking(!hasDepthwise(parts), 'MLPs without convolutions'),
    ],
  },
  {
    family: 'vit',
    label: ({ probes: [first] }) => plainLabel(first?.queries.special ?? []),
    name: 'ViT',
    missing: ({ patches, probes: [first, ...others], convolutions }) => [
      ...lacking(patches !== undefined, 'a patch embedding (a convolution whose stride is its kernel)'),
      ...lacking(first !== undefined, 'attention (a softmax between two products)'),
      ...lacking(
        convolutions.length <= 1,
        `no convolution but the patch embedding, not ${convolutions.length - 1} more`,
      ),
      ...lacking(!first || first.queries.grid !== undefined, 'one token per patch in the attention'),
      ...lacking(
        first === undefined || others.every((probe) => isAlike(probe, first)),
        'attention of one shape in every layer',
      ),
      ...lacking(first?.window === undefined, 'attention to all tokens'),
    ],
  },
];

function plainLabel(special: readonly string[]): string {
  if (special.includes('dist')) return 'deit-distilled';
  return special.some((name) => name.startsWith('reg')) ? 'vit-registers' : 'vit';
}

/**
 * Reads a family off an imported graph: plain Vision Transformers by one token layout in every
 * layer, Swin by its windows, PVT by its reduced keys. Nothing is assumed: the graph states all of
 * it. A graph of none of these structures is measured by the one of which it lacks least.
 */
export function describeOnnx(graph: Graph, facts: ImageFacts): OnnxDescription {
  const convolutions = graph.nodes.filter((node) => operatorOf(node)?.kind === 'conv');
  const parts: Parts = {
    graph,
    probes: graph.probes,
    embedding: convolutions[0],
    patches: convolutions.find((node) => patchStride(node) !== undefined),
    convolutions,
  };
  const compared = structures.map((structure) => ({ structure, missing: structure.missing(parts) }));
  const fitting = compared.find(({ missing }) => missing.length === 0)?.structure;
  if (fitting) return { family: fitting.family, recognised: recognised(parts, fitting, facts) };
  const nearest = compared.reduceRight((best, each) =>
    each.missing.length < best.missing.length ? each : best,
  );
  return { family: nearest.structure.family, missing: nearest.missing };
}

const pixelWords = { bytes: '0 … 255', unit: '0 … 1' } as const;
const stated = (value: Evidence['value'], source: string): Evidence => ({ value, source, assumed: false });

/** `ViT-B/16`, `Swin-T`: without windows and tokens, which a checkpoint's name may have. */
function titleOf({ name, sizes }: Structure, evidence: EvidenceRecord): string {
  const numbers = (key: string): readonly number[] => numbersIn(evidence[key]?.value ?? []);
  const [depths, dims, patch] = [numbers('depth'), numbers('dim'), numbers('patch').join('×')];
  return sizes ? sizeTitle(name, sizes, depths, dims) : vitSize(at(depths, 0), at(dims, 0), patch);
}

function recognised(parts: Parts, structure: Structure, facts: ImageFacts): Described & ImageInput {
  const { graph, probes } = parts;
  const [, channels = 3, height = 0, width = 0] = valueOf(graph, 'pixel_values').shape;
  const plain = structure.family === 'vit';
  const embedding = plain ? parts.patches : parts.embedding;
  if (!embedding) throw new GraphError(`${graph.name}: no convolution makes patches`);
  const dim = mapMadeBy(embedding, graph)?.channels ?? 0;
  const [rows = 0, columns = 0] = intsOf(embedding, 'kernel_shape');
  const { classes, task, output } = headOf(graph);
  const step: Size = plain ? [rows, columns] : stride([height, width], probes);
  const evidence: EvidenceRecord = {
    dim: stated(dim, `${embedding.name}: output channels`),
    ...(plain ? plainEvidence(probes) : stagedEvidence(graph)),
    patch: stated(sideOrPair([rows, columns]), `${embedding.name}: kernel`),
    image_size: { ...facts.size, value: [height, width] },
    ...(channels !== 3 && { channels: stated(channels, `${embedding.name}: input channels`) }),
    classes: stated(
      classes,
      classes > 0 ? `last axis of ${output}` : 'no output is made by a classifier of its own',
    ),
    ...(facts.inside && {
      pixels: stated(pixelWords[facts.inside.takes], `${facts.inside.source}: the rest is done inside`),
    }),
    ...(facts.quantisation && { quantisation: facts.quantisation }),
  };
  const grown: Size = [height + step[0], width + step[1]];
  return {
    label: structure.label(parts),
    title: titleOf(structure, evidence),
    task,
    imageSize: [height, width],
    evidence,
    candidates: [],
    warnings: [],
    pixels: plain ? 'half' : 'imagenet',
    ...(facts.inside && { inside: facts.inside }),
    sizeStep: facts.takes(grown) ? step : [0, 0],
  };
}

/** Pixels of the image that become one patch of the last map. */
function stride([height, width]: Size, probes: readonly Probe[]): Size {
  const [rows = 1, columns = 1] = gridOf(last(probes));
  return [Math.round(height / rows), Math.round(width / columns)];
}

function plainEvidence(probes: readonly Probe[]): EvidenceRecord {
  const probe = at(probes, 0);
  return {
    depth: stated(probes.length, `${probes.length} softmaxes between two products`),
    heads: stated(probe.heads, `${probe.value}: first axis after the batch`),
    special_tokens: stated(
      probe.queries.special ?? [],
      `${tokenCount(probe.queries)} tokens, ${(probe.queries.grid ?? []).join(' × ')} patches`,
    ),
  };
}

/** Stages are layers on one map, one after another. */
function stagedEvidence(graph: Graph): EvidenceRecord {
  const stages = graph.probes.reduce<[Probe, ...Probe[]][]>((found, probe) => {
    const stage = found.at(-1);
    if (stage && mapOf(stage[0]) === mapOf(probe)) stage.push(probe);
    else found.push([probe]);
    return found;
  }, []);
  const first = stages.map(([probe]) => probe);
  const window = first[0]?.window;
  const maps = first.map(mapOf).join(', ');
  return {
    depth: stated(
      stages.map(({ length }) => length),
      `softmaxes between two products, on maps of ${maps}`,
    ),
    heads: stated(
      first.map(({ heads }) => heads),
      'first axis of the attention after batch and windows',
    ),
    ...(window && { window: stated(window.size ?? 0, 'sides of what attends to itself') }),
    ...(first.some(({ reduction }) => reduction) && {
      dim: stated(
        first.map((probe) => widthOf(graph, probe)),
        'heads × last axis of what the attention weights sum up',
      ),
      reduction: stated(
        first.map(({ reduction }) => Number(reduction ?? 1)),
        'rows of queries over rows of keys',
      ),
    }),
  };
}

/** Width of an attention: heads times the width of the values that it mixes. */
function widthOf(graph: Graph, { value, heads }: Probe): number {
  const mix = graph.nodes.find((node) => operatorOf(node)?.kind === 'product' && node.inputs[0] === value);
  return heads * (mix ? last(valueOf(graph, outputName(mix)).shape) : 0);
}

const gridOf = ({ queries, window }: Probe): readonly number[] => window?.map ?? queries.grid ?? [];
const mapOf = (probe: Probe): string => gridOf(probe).join(' × ');

function headOf(graph: Graph): { classes: number; task: TaskName; output: string } {
  const logits = graph.outputs.find(({ means }) => means === 'logits');
  const classes = logits ? last(valueOf(graph, logits.value).shape) : 0;
  const drawn = graph.outputs.some(({ means }) => means === 'maps') ? 'outputs' : 'features';
  return { classes, task: logits ? 'classify' : drawn, output: logits?.name ?? '' };
}

const isAlike = (probe: Probe, first: Probe): boolean =>
  probe.heads === first.heads &&
  tokenCount(probe.queries) === tokenCount(first.queries) &&
  probe.kind === first.kind;

/** Names that exporters give to numbers of their own: a single one is a scale or an epsilon. */
const exporterNames = /^val_\d+$|^onnx::|constant|^const|scalar/i;

/**
 * Initializers that are parameters: stored arrays of numbers that operators work on. Shapes,
 * indices and single constants that the exporter wrote down are not, nor are scales and zero points
 * of a quantised file.
 */
export function onnxParameters(graph: Graph, checkpoint: Checkpoint): ReadonlySet<string> {
  const scales = new Set<string>();
  const dequantised = new Set<string>();
  for (const node of graph.nodes) {
    const row = operatorOf(node);
    for (const index of row?.scales ?? []) scales.add(node.inputs[index] ?? '');
    // Biases of integers' products are integers.
    const integers = node.op === 'DequantizeLinear' ? 0 : row?.bias;
    if (integers !== undefined) dequantised.add(node.inputs[integers] ?? '');
  }
  const isWeight = (dtype: string, name: string): boolean =>
    /^(F|BF|I8|U8|I4|U4)/.test(dtype) || (dtype === 'I32' && dequantised.has(name));
  const parameters = checkpoint.selected.tensors.filter(
    ({ name, dtype, shape }) =>
      shape.length > 0 &&
      elementCount(shape) > 0 &&
      !(elementCount(shape) === 1 && exporterNames.test(name)) &&
      isWeight(dtype, name) &&
      !scales.has(name) &&
      !/_(scale|zero_point)$/.test(name),
  );
  return new Set(parameters.map(({ name }) => name));
}

/**
 * Counts the parameters behind stored arrays that hold others than they are: rows that an exporter
 * repeated for each image of a batch, zeros that fill up blocks of channels, several weights packed
 * into a byte.
 */
export function packedParameters(graph: Graph): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const { name, shape, data } of graph.initializers.values())
    if (data.kind === 'parameter' && data.tensor !== name) found.set(data.tensor, elementCount(shape));
  for (const node of graph.nodes) {
    const [, weight = '', bias = ''] = node.inputs;
    const ordered =
      node.op === 'Conv' && node.domain.endsWith('.nchwc') ? orderedBy(node, graph.nodes) : undefined;
    const shape = graph.values.get(weight)?.shape;
    if (ordered && shape) {
      const channels = intOf(ordered, 'channels', shape[0] ?? 0);
      found.set(weight, elementCount([channels, ...shape.slice(1)]));
      found.set(bias, channels);
    }
    if (node.op === 'MatMulNBits') found.set(weight, intOf(node, 'K', 0) * intOf(node, 'N', 0));
  }
  return found;
}

type QuantisedRow = readonly [pattern: RegExp, way: string];

const pairs: QuantisedRow = [
  /^DequantizeLinear$/,
  'QDQ: integers are turned into floats before each operator',
];

/** Operators of each way to run integers, as onnxruntime's documentation calls it. */
const quantisedOperators: readonly QuantisedRow[] = [
  [/^(MatMulNBits|MatMulBnb4|GatherBlockQuantized)$/, 'weights of a few bits, unpacked when they are read'],
  [/^(QLinear\w+|QGemm|QAttention)$/, 'operators on integers (QOperator)'],
  [
    /^(DynamicQuantizeLinear|DynamicQuantizeMatMul|MatMulInteger\w*|ConvInteger)$/,
    'dynamic: activations are quantised as they come',
  ],
  pairs,
];

const operatorsIn = ({ nodes }: OnnxModel['graph']): readonly string[] => [
  ...new Set(nodes.map(({ opType }) => opType)),
];

const quantisedBy = (operators: readonly string[]): QuantisedRow | undefined =>
  quantisedOperators.find(([pattern]) => operators.some((name) => pattern.test(name)));

const integerWords: Readonly<Record<string, string>> = { I8: 'int8', U8: 'uint8', I4: 'int4', U4: 'uint4' };

/** Says how a file is quantised; undefined if its weights are floats. */
export function quantisationOf({ graph }: OnnxModel, { selected }: Checkpoint): Evidence | undefined {
  const operators = operatorsIn(graph);
  const row = quantisedBy(operators);
  if (!row) return undefined;
  const [pattern, way] = row;
  const elements = new Map<string, number>();
  for (const { dtype, shape } of selected.tensors)
    if (dtype in integerWords) elements.set(dtype, (elements.get(dtype) ?? 0) + elementCount(shape));
  const [[dtype = ''] = []] = [...elements].sort(([, a], [, b]) => b - a);
  const used = operators.filter((name) => pattern.test(name)).join(', ');
  return stated([integerWords[dtype] ?? 'integers', way].join(', '), `operators ${used}`);
}

/**
 * Says that activations written as integers between operators on floats (QDQ) are rounded in two
 * ways: a session that hands out maps keeps these operators, and one without lets the runtime fuse
 * them into kernels on integers.
 */
export function roundingNotes({ graph }: OnnxModel): readonly string[] {
  const operators = operatorsIn(graph);
  return quantisedBy(operators) === pairs && operators.includes('QuantizeLinear')
    ? [
        'int8 activations (QDQ): with attention maps the operators run as they are written; without, onnxruntime fuses them, which rounds differently. Answers may differ by a few steps of the quantisation.',
      ]
    : [];
}
