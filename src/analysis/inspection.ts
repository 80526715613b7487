import { percentOf } from '../domain/share';
import { largest } from '../domain/lists';
import { basename } from 'node:path';
import type { ConfigValue, Evidence } from '../architectures/family';
import { ownLengths } from '../models/lengths';
import { graphsOfParts, hasGraph, namedGraphs, type Model } from '../models/model';
import { readsTexts } from '../models/reads';
import { labelOf, valueText } from '../architectures/hyperparameters';
import { titleOfFamily } from '../architectures/recognise/recognise';
import type { Known } from '../architectures/recognise/recognise';
import { byteLength, elementCount, isPlain, type DType, type Tensor } from '../checkpoint/tensors';
import { queryGrid } from '../attention/reading';
import type { Graph } from '../graph/graph';
import { tapNames } from '../graph/rewrite/tapNames';
import { type Probe, type TokenLayout, isGate, tokenCount } from '../domain/probes';
import type { Addable, EvidenceView, InspectorModel } from '../protocol/inspector';
import type { TensorRow } from '../domain/report';
import { formatBytes, formatCount, formatExact, quantity } from '../domain/units';
import { countAllMacs } from './complexity';
import { moduleTree, moduleTreeByName } from './moduleTree';
import { namesOf, withOwnNames } from './ownNames';
import { laneJoins, laneStations, partsBeside } from './stations';
import { structureJson, structureLines, structureView } from './structure';
import { countedMacs, mixingScope } from './work';

/** Names of the classes: where they come from, and what does not go together. */
export interface LabelsFound {
  readonly source: string;
  readonly assumed: boolean;
  readonly warnings: readonly string[];
}

/** What the inspector shows besides the model. */
export interface InspectionContext {
  /** Keys of hyper-parameters the user set. */
  readonly set: ReadonlySet<string>;
  readonly labels?: LabelsFound | undefined;
  /** Paths of what the user has read with the checkpoint. */
  readonly added?: Readonly<Partial<Record<Addable, string>>>;
  /** Why the model cannot be run here; empty if it can. */
  readonly notRunnable?: string;
  /** Texts, tokens, frames and prompts that it is counted for; its own by default. */
  readonly lengths?: Readonly<Record<string, number>> | undefined;
}

/** Stored types as people write them. */
const dtypeWords: Partial<Record<DType, string>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F8_E4M3: 'float8 (e4m3)',
  F8_E5M2: 'float8 (e5m2)',
};

/**
 * Stored types of the tensors, the one with the most bytes first: `float32`, `bfloat16 + float32`.
 */
export function precision(tensors: readonly Tensor[]): string {
  const bytes = new Map<DType, number>();
  for (const tensor of tensors) bytes.set(tensor.dtype, (bytes.get(tensor.dtype) ?? 0) + byteLength(tensor));
  const order = [...bytes].filter(([, size]) => size > 0).sort(([, a], [, b]) => b - a);
  const weights = order.filter(([dtype]) => dtype in dtypeWords || order.length === 1);
  return (weights.length > 0 ? weights : order).map(([dtype]) => dtypeWords[dtype] ?? dtype).join(' + ');
}

/** What is no library's naming: none was recognised, or the exporter's own. */
const unnamedDialects: ReadonlySet<string> = new Set(['unknown', 'onnx']);

/** What the inspector shows of a file without a look at each of its modules. */
type Overview = Omit<
  InspectorModel,
  | 'modules'
  | 'tensors'
  | 'stations'
  | 'joins'
  | 'attention'
  | 'imageSize'
  | 'notCounted'
  | 'runnable'
  | 'readsTexts'
  | 'notRunnable'
>;

/** Everything the checkpoint inspector shows first. */
export function inspectorModel(model: Model, context: InspectionContext): InspectorModel {
  const { checkpoint, counts } = model;
  const { tensors } = checkpoint.selected;
  const graph = hasGraph(model) ? model.graph() : undefined;
  const parts = graph ? namedGraphs(model) : [];
  const modules = graph ? moduleTree(parts, tensors, counts.roles) : moduleTreeByName(tensors, counts.roles);
  const notRunnable = context.notRunnable ?? '';
  return {
    ...overview(model, context),
    modules: withOwnNames(modules, namesOf(model)),
    tensors: tensorRows(model),
    stations: graph ? [...laneStations(parts), ...partsBeside(model)] : [],
    joins: laneJoins(parts),
    attention: parts.flatMap((part) => attentionModules(part.graph)),
    imageSize: model.imageSize ?? null,
    notCounted: graph ? '' : notCounted(model),
    runnable: graph !== undefined && notRunnable === '',
    readsTexts: readsTexts(model),
    notRunnable,
  };
}

/** What is said of the whole file, without its modules and tensors one by one. */
function overview(model: Model, context: InspectionContext): Overview {
  const { checkpoint, recognition } = model;
  const known = recognition.family !== null;
  const graph = hasGraph(model) ? model.graph() : undefined;
  const evidence = known ? recognition.evidence : {};
  const assumable = known ? recognition.assumable : [];
  const choices = (known ? recognition.choices : undefined) ?? {};
  const notRunnable = context.notRunnable ?? '';
  const views = Object.entries(evidence).map(([key, found]) =>
    evidenceView(key, found, {
      editable: assumable.includes(key),
      set: context.set.has(key),
      choices: choices[key],
    }),
  );
  const undecided = views.some((row) => row.assumed);
  return {
    fileName: basename(checkpoint.path),
    folder: '',
    path: checkpoint.path,
    familyTitle: known ? recognition.familyTitle : 'Architecture not known',
    title: known ? recognition.title : '',
    facts: [
      ...(unnamedDialects.has(recognition.dialect) ? [] : [`${recognition.dialect} names`]),
      checkpoint.format,
      precision(checkpoint.selected.tensors),
      formatBytes(checkpoint.size),
    ],
    known,
    unknown: known
      ? undefined
      : {
          reason: recognition.reason,
          nearest: recognition.nearest && titleOfFamily(recognition.nearest.family),
          missing: recognition.nearest?.missing ?? [],
        },
    structure: structureView(model),
    headline: headline(model, graph, context),
    evidence: [...views, ...classNames(context)],
    candidates: known && undecided ? recognition.candidates : [],
    warnings: [
      ...checkpoint.warnings,
      ...(known ? recognition.warnings : []),
      ...(context.labels?.warnings ?? []),
    ].filter((warning) => warning !== `${notRunnable}.`),
    stateDicts: checkpoint.stateDicts.map(({ name, tensors: own }) => ({ name, tensors: own.length })),
    stateDict: checkpoint.selected.name,
    extras: checkpoint.extras,
    metadata: checkpoint.metadata,
    siblings: checkpoint.siblings,
    unused: model.unused,
  };
}

/** Modules that apply attention, in execution order, with the layers' names. */
function attentionModules(graph: Graph): InspectorModel['attention'] {
  return graph.probes.map((probe) => ({ path: mixingScope(graph, probe), layer: probe.layer }));
}

const notCounted = ({ recognition }: Model): string =>
  recognition.family === null
    ? 'The architecture of this file is not known: without it there are no operators to count or to export.'
    : 'No graph can be written of this model: there are no operators to count or to export.';

/** `ImageNet-1k` of `assumed: ImageNet-1k, because …`. */
const shortSource = (source: string): string =>
  source
    .replace(/^assumed: /, '')
    .replace(/[,;(].*$/s, '')
    .trim();

const namesAdvice =
  'To give the names, put classes.txt (one name a line, in the order of the outputs) or labels.json beside the weights, or id2label into config.json. They are read as soon as the file is reloaded.';

/** Where the names of the classes come from, as a row of its own. */
function classNames({ labels }: InspectionContext): readonly EvidenceView[] {
  if (!labels) return [];
  const { source, assumed } = labels;
  return [
    {
      key: 'labels',
      label: 'Class names',
      text: shortSource(source),
      exact: shortSource(source),
      source,
      assumed,
      set: false,
      editable: false,
      advice: namesAdvice,
    },
  ];
}

/** Rows of the tensor table, in the file's order. */
export function tensorRows({ checkpoint, counts }: Model): readonly TensorRow[] {
  return checkpoint.selected.tensors.map((tensor) => ({
    name: tensor.name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    bytes: byteLength(tensor),
    offset: isPlain(tensor) ? tensor.storage.offset + tensor.start : undefined,
    file: tensor.storage.kind === 'file' ? basename(tensor.storage.file) : '',
    role: counts.roles.get(tensor.name) ?? 'parameter',
  }));
}

function headline(
  model: Model,
  graph: Graph | undefined,
  context: InspectionContext,
): readonly EvidenceView[] {
  const { counts, recognition, checkpoint } = model;
  const found = (key: string, label: string, text: string, exact: string, source: string): EvidenceView => {
    return { key, label, text, exact, source, assumed: false, set: false, editable: false };
  };
  const params = found(
    'params',
    'Parameters',
    formatCount(counts.params),
    formatExact(counts.params),
    'elements of the file, buffers left out',
  );
  const count = checkpoint.selected.tensors.length;
  if (!graph)
    return [
      params,
      found('tensors', 'Tensors', formatExact(count), formatExact(count), 'entries of the file'),
    ];
  const lengths = context.lengths ?? ownLengths(model);
  const macs = countedMacs(countAllMacs(graphsOfParts(model, { lengths })));
  const share = recognition.family === null ? undefined : recognition.share;
  const ofTexts = Object.entries(lengths).map(([name, length]) => `${name} ${length}`);
  const size = [...(model.imageSize ? [model.imageSize.join('×')] : []), ...ofTexts].join(', ');
  const what = model.imageSize ? 'one image' : 'one pass';
  const rows = [
    params,
    found(
      'macs',
      `MACs (${size}${share ? ', the part that runs' : ''})`,
      formatCount(macs, 4),
      formatExact(macs),
      share
        ? `conv + linear + attention of what runs, ${what}; of ${share.notRun.join(', ')} none are counted`
        : `conv + linear + attention, ${what}`,
    ),
    ...(share
      ? [
          found(
            'share',
            'Runs',
            percentOf(share),
            `${formatExact(share.run)} of ${formatExact(share.total)}`,
            'parameters that the graph reads, of all of the file',
          ),
        ]
      : []),
  ];
  const longest = longestSequence(graph.probes);
  if (longest)
    rows.push(
      found('tokens', 'Tokens', tokenText(longest), tokenText(longest), 'tokens of the longest attention'),
    );
  if (recognition.family === null) return rows;
  return [...rows, ...adapterView(context), ...statedEvidence(recognition, context)];
}

/** The LoRA adapter that is applied, which can be taken off again. */
function adapterView({ added = {} }: InspectionContext): readonly EvidenceView[] {
  const { adapter: path } = added;
  if (path === undefined) return [];
  const shown = { key: 'adapter', label: 'LoRA adapter', text: basename(path), exact: path };
  const source = 'applied to the weights of the file, which stay as they are';
  return [{ ...shown, source, assumed: false, set: true, editable: false, adds: 'adapter' }];
}

function statedEvidence(
  { evidence, assumable, task, choices = {}, ownHead }: Known,
  context: InspectionContext,
): readonly EvidenceView[] {
  const view = (key: string, label: string, text?: string): readonly EvidenceView[] => {
    const found = evidence[key];
    if (!found) return [];
    const [editable, set] = [assumable.includes(key), context.set.has(key)];
    return [evidenceView(key, found, { editable, set, choices: choices[key], label, text })];
  };
  const [heads, dim] = [evidence['heads']?.value, evidence['dim']?.value];
  const each = typeof heads === 'number' && typeof dim === 'number' ? `${heads} × ${dim / heads}` : undefined;
  const classes = task === 'classify' || task === 'video' ? classesOf(evidence) : [];
  return [
    ...view('depth', 'Depth'),
    ...view('heads', 'Heads', each),
    ...(classes.some((count) => count > 0)
      ? view('classes', 'Labels', labelsText(classes, ownHead)).map((row) => withLabels(row, context))
      : []),
  ];
}

/** Classes of the head, or of each of several. */
export const classesOf = (evidence: Known['evidence']): readonly number[] =>
  [evidence['classes']?.value ?? 0].flat().map(Number);

/** `1,000`, or of several heads `age 1, sex 2`. */
function labelsText(classes: readonly number[], ownHead: Known['ownHead']): string {
  const chains = classes.length > 1 ? (ownHead?.chains ?? []) : [];
  return classes
    .map((count, index) => [chains[index]?.name, formatExact(count)].filter(Boolean).join(' '))
    .join(', ');
}

/** The row of classes with where their names come from, and a way to others. */
function withLabels(row: EvidenceView, { labels, added }: InspectionContext): EvidenceView {
  const chosen = added && { adds: 'classes' as const, set: added.classes !== undefined };
  if (!labels) return { ...row, ...chosen };
  return {
    ...row,
    ...chosen,
    source: `${row.source}; names: ${labels.source}`,
    assumed: row.assumed || labels.assumed,
    ...(labels.assumed && { advice: namesAdvice }),
  };
}

/**
 * The most tokens of a layer that have places on the image; attention between channels has none,
 * nor has a gate.
 */
function longestSequence(probes: readonly Probe[]): TokenLayout | undefined {
  return probes
    .filter((probe) => !isGate(probe))
    .flatMap((probe) => (probe.window ? [allQueries(probe)] : [probe.queries, probe.keys]))
    .filter(({ grid }) => grid !== undefined)
    .toSorted((a, b) => tokenCount(b) - tokenCount(a))[0];
}

/** The tokens that ask in a layer: of windows those of the whole map. */
function allQueries(probe: Probe): TokenLayout {
  const grid = queryGrid(probe);
  return probe.window && grid ? { ...probe.queries, grid } : probe.queries;
}

/** `197 = 1 + 14×14`, `3,136 = 56×56`, `77`. */
export function tokenText(layout: TokenLayout): string {
  const count = formatExact(tokenCount(layout));
  if (!layout.grid) return count;
  const special = layout.special?.length ?? 0;
  return `${count} = ${special > 0 ? `${special} + ` : ''}${layout.grid.join('×')}`;
}

/** What to do about an assumption that no setting changes. */
const settledBy =
  'The weights do not say it. A config.json beside them, as the library of the model writes it, settles it once the file is reloaded.';

const furtherAdvice: Readonly<Record<string, string>> = {
  image_size: ' The complexity report and the image panel take other sizes as well.',
};

interface EvidenceOptions {
  readonly editable: boolean;
  readonly set: boolean;
  readonly choices: readonly ConfigValue[] | undefined;
  readonly label?: string;
  readonly text?: string;
}

function evidenceView(
  key: string,
  { value, source, assumed }: Evidence,
  options: EvidenceOptions,
): EvidenceView {
  const text = valueText(value);
  return {
    key,
    label: options.label ?? labelOf(key),
    text: options.text ?? text,
    exact: text,
    source,
    assumed,
    set: options.set,
    editable: options.editable,
    ...(options.editable && options.choices && { choices: options.choices.map(valueText) }),
    ...(assumed && !options.editable && { advice: `${settledBy}${furtherAdvice[key] ?? ''}` }),
  };
}

/** The attention records of the command line's JSON, in execution order. */
export function attentionRecords(probes: readonly Probe[]): readonly object[] {
  return probes.map(({ value: _, window, places, ...record }, index) => {
    const { rolls: _order, ...layout } = window ?? {};
    return {
      tensor: tapNames.map(index),
      ...record,
      ...(window && { window: layout }),
      ...(places !== undefined && { places: tapNames.places(index) }),
    };
  });
}

/** What the command line is told beside the model. */
type Told = Pick<InspectionContext, 'labels' | 'lengths'>;

/** The object that `vitrine inspect --json` prints, without its path. */
export function inspectionJson(
  model: Model,
  { labels, lengths = ownLengths(model) }: Told = {},
): Readonly<Record<string, unknown>> {
  const { checkpoint, recognition, counts } = model;
  const { selected, format } = checkpoint;
  const common = {
    format,
    dialect: recognition.dialect,
    params: counts.params,
    buffers: counts.buffers,
    bytes: selected.tensors.reduce((sum, tensor) => sum + byteLength(tensor), 0),
    state_dict: selected.name,
    state_dicts: checkpoint.stateDicts.map(({ name }) => name),
    extras: Object.fromEntries(checkpoint.extras.map(({ name, summary }) => [name, summary])),
    siblings: checkpoint.siblings.map((path) => basename(path)),
  };
  const graph = hasGraph(model) ? model.graph() : undefined;
  const graphs = graph ? graphsOfParts(model, { lengths }) : [];
  const macs = countAllMacs(graphs);
  const counted = graph && {
    image_size: model.imageSize ?? [0, 0],
    macs,
    flops: 2 * countedMacs(macs),
    ...(Object.keys(lengths).length > 0 && { lengths }),
    attention: attentionRecords(graphs.flatMap(({ probes }) => probes)),
  };
  const structure = structureJson(model);
  if (recognition.family === null) {
    const tensors = selected.tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
    const { reason, nearest } = recognition;
    return {
      family: null,
      ...common,
      ...counted,
      reason,
      nearest,
      ...structure,
      tensors,
      warnings: [...checkpoint.warnings, `the architecture is not known: ${reason}`],
    };
  }
  const evidence = Object.entries(recognition.evidence);
  return {
    ...common,
    family: recognition.label,
    title: recognition.title,
    task: recognition.task,
    ...counted,
    config: Object.fromEntries(evidence.map(([key, { value }]) => [key, value])),
    evidence: Object.fromEntries(evidence.map(([key, { value, source }]) => [key, { value, source }])),
    candidates: recognition.candidates,
    ...(recognition.share && { part: recognition.share }),
    unused: model.unused,
    ...structure,
    ...(labels && { labels: labels.source }),
    warnings: [...checkpoint.warnings, ...recognition.warnings, ...(labels?.warnings ?? [])],
  };
}

/** What lies in the file and the folder beside what is shown. */
function alsoThere({ stateDicts, stateDict, extras, siblings }: Overview): readonly string[] {
  const others = stateDicts.filter(({ name }) => name !== stateDict);
  return [
    ...others.map(
      ({ name, tensors }) =>
        `in the file: ${name || '(top level)'}: ${quantity(tensors, 'tensor')}, a state dict`,
    ),
    ...extras.map(({ name, summary }) => `in the file: ${name}: ${summary}`),
    ...siblings.map((path) => `in the folder: ${basename(path)}`),
  ];
}

/** Names that are printed of a list; JSON has them all. */
const printedNames = 12;

const shortList = (names: readonly string[]): string =>
  names.length > printedNames
    ? `${names.slice(0, printedNames).join(', ')} and ${names.length - printedNames} more`
    : names.join(', ');

const missingText = (missing: readonly string[]): readonly string[] =>
  missing.length > 0 ? [`missing: ${missing.join('; ')}`] : [];

/**
 * What `vitrine inspect` prints for people: header, evidence, what is assumed and what is left
 * over.
 */
export function inspectionText(model: Model, told: Told = {}): string {
  const view = overview(model, { set: new Set(), ...told });
  const width = largest([0, ...view.evidence.map(({ key }) => key.length)]);
  const candidates = model.recognition.family === null ? [] : model.recognition.candidates;
  const elements = model.checkpoint.selected.tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const head = view.known
    ? `${view.familyTitle} · ${view.title}`
    : `${view.familyTitle}: ${view.unknown?.reason ?? ''}`;
  const nearest = view.unknown?.nearest
    ? [`nearest: ${[view.unknown.nearest, ...missingText(view.unknown.missing)].join('; ')}`]
    : [];
  return [
    `${view.path}: ${head}`,
    `  ${view.facts.join(' · ')}${view.stateDict ? ` · ${view.stateDict}` : ''}`,
    ...nearest.map((line) => `  ${line}`),
    ...view.headline.map(
      ({ label, exact, text }) => `  ${label}: ${exact}${text === exact ? '' : ` (${text})`}`,
    ),
    `  Elements in the file: ${formatExact(elements)}`,
    ...view.evidence.map(
      ({ key, exact, source, assumed }) =>
        `  ${assumed ? '⚠' : ' '} ${key.padEnd(width)}  ${exact}  ${source}`,
    ),
    ...(candidates.length > 0 ? [`  Same names and shapes: ${candidates.join(', ')}`] : []),
    ...alsoThere(view).map((line) => `  also ${line}`),
    ...structureLines(model).map((line) => `  ${line}`),
    ...(view.unused.length > 0 ? [`  unused: ${shortList(view.unused)}`] : []),
    ...view.warnings.map((line) => `  warning: ${line}`),
    '',
  ].join('\n');
}
