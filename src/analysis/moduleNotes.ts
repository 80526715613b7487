import { attentionTitles } from '../attention/naming';
import { elementCount } from '../checkpoint/tensors';
import { intOf, intsOf, type Graph, type Node } from '../graph/graph';
import { operatorOf } from '../graph/operators';
import { type Probe, isGate } from '../domain/probes';
import type { ModuleRow } from '../domain/report';
import { formatExact, formatShape, quantity } from '../domain/units';
import { outputOf, type Work } from './work';

/** What is said about a module besides its counts. */
export type Note = Pick<ModuleRow, 'title' | 'formula' | 'details'>;

/** What a module is to the one around it, whatever it is called. */
export type ModuleRole = 'attention' | 'mlp' | 'linear' | 'other';

/** A module as its describer sees it: its own operators, not its children's. */
export interface Described {
  readonly path: string;
  readonly own: readonly Work[];
  readonly children: readonly { readonly role: ModuleRole; readonly own: readonly Work[] }[];
}

interface Description extends Note {
  readonly role: ModuleRole;
}

const noDetails: Note['details'] = [];

/**
 * Title, formula and further lines of a module: the graph's own note if the family wrote one,
 * else read off its operators.
 */
export function describeModule(graph: Graph, module: Described, probe: Probe | undefined): Description {
  const written = graph.modules.get(module.path);
  const derived =
    (probe && describeAttention(graph, module, probe)) ??
    (module.children.some(({ own }) => own.length > 0) ? undefined : describeOperator(module.own)) ??
    describeContainer(module, graph);
  return {
    title: written?.title ?? derived?.title ?? '',
    formula: written?.formula ?? derived?.formula ?? '',
    details: derived?.details ?? noDetails,
    role: derived?.role ?? 'other',
  };
}

function describeAttention(graph: Graph, { own }: Described, probe: Probe): Description | undefined {
  const map = graph.values.get(probe.value)?.shape;
  if (map?.length !== 4) return undefined;
  const [lead = 1, heads = 1, queries = 1, keys = 1] = map;
  const mix = own.find(({ node, kind }) => kind === 'attention' && node.inputs[0] === probe.value);
  const depth = mix?.outputs[0]?.shape.at(-1);
  const scores = `${formatShape([heads, queries, keys])} = ${formatExact(heads * queries * keys)}`;
  const details = [
    ...(depth === undefined
      ? []
      : [
          { label: 'Q', value: formatShape([heads, queries, depth]) },
          { label: 'K, V', value: formatShape([heads, keys, depth]) },
        ]),
    { label: isGate(probe) ? 'Gates' : 'Scores', value: scores },
    ...(lead > 1 ? [{ label: probe.kind === 'window' ? 'Windows' : 'Batch', value: formatExact(lead) }] : []),
    ...(probe.reduction ? [{ label: 'Keys reduced by', value: formatExact(probe.reduction) }] : []),
  ];
  const heading = quantity(heads, 'head');
  const formula = depth === undefined ? heading : `softmax(QKᵀ/√${depth})·V, ${heading}`;
  return { title: attentionTitles[probe.kind], formula, details, role: 'attention' };
}

/**
 * Layers and convolutions, and modules of one other operator; further operators around it only move
 * elements.
 */
function describeOperator(own: readonly Work[]): Description | undefined {
  const products = own.filter(({ macs }) => macs > 0);
  const busy =
    products.length > 0 ? products : own.filter(({ kind }) => kind !== 'layout' && kind !== 'other');
  const [main] = busy;
  // Exporters of older operator sets write GELU as x · (1 + erf(x / √2)) / 2.
  if (products.length === 0 && busy.some(({ node }) => node.op === 'Erf'))
    return simple({ op: 'Gelu', domain: '' }, noDetails);
  if (!main || busy.length > 1) return undefined;
  if (main.kind === 'conv') return describeConv(main);
  if (main.kind === 'linear') return describeLinear(main, own);
  const details = [{ label: 'Elements touched', value: formatExact(main.elements) }, ...epsilon(main.node)];
  return simple(main.node, details);
}

/** A module that is one operator alone, by its row. */
function simple(operator: Pick<Node, 'op' | 'domain'>, details: Note['details']): Description | undefined {
  const { title, formula = '' } = operatorOf(operator) ?? {};
  return title === undefined ? undefined : { title, formula, details, role: 'other' };
}

const epsilon = ({ attributes }: Node): Note['details'] =>
  attributes['epsilon']?.type === 'float'
    ? [{ label: 'ε', value: String(Number(attributes['epsilon'].value.toPrecision(6))) }]
    : noDetails;

function describeLinear(work: Work, own: readonly Work[]): Description {
  const { node, macs } = work;
  const { shape } = outputOf(work);
  const out = shape.at(-1) ?? 1;
  const rows = elementCount(shape) / out;
  const width = macs / rows / out;
  const biasAt = operatorOf(node)?.bias;
  const biased = biasAt !== undefined && Boolean(node.inputs[biasAt]);
  const bias = biased || own.some((each) => each.node.op === 'Add') ? ' + b' : '';
  return {
    role: 'linear',
    title: 'Linear layer',
    formula: `x·Wᵀ${bias}, ${formatExact(width)} → ${formatExact(out)}`,
    details: [
      { label: 'MACs', value: `${[rows, width, out].map(formatExact).join(' × ')} = ${formatExact(macs)}` },
    ],
  };
}

/** `[filters, channels, …kernel]` of a convolution. */
export function weightShape({ node, inputs }: Work): readonly [number, number, ...number[]] {
  const [, at = 1] = operatorOf(node)?.factors ?? [];
  const [filters = 1, channels = 1, ...kernel] = inputs[at]?.shape ?? [];
  return [filters, channels, ...kernel];
}

/** Rows and columns that a convolution sees at once. */
export const kernelOf = (work: Work): readonly number[] => weightShape(work).slice(2);

function describeConv(work: Work): Description {
  const { node, macs } = work;
  const [filters, channels, ...kernel] = weightShape(work);
  const group = intOf(node, 'group', 1);
  const [batch = 1, , ...sides] = outputOf(work).shape;
  const stride = intsOf(node, 'strides');
  const title = group > 1 && channels === 1 ? 'Depthwise convolution' : 'Convolution';
  const parts = [
    formatShape(kernel),
    stride.some((step) => step > 1) ? `stride ${[...new Set(stride)].join('×')}` : '',
    group > 1 ? `${formatExact(group)} groups` : '',
    `${formatExact(channels * group)} → ${formatExact(filters)}`,
  ];
  const positions = elementCount(sides) * batch;
  const factors = [positions, channels, ...kernel, filters].map(formatExact).join(' × ');
  return {
    role: 'other',
    title,
    formula: parts.filter(Boolean).join(', '),
    details: node.op === 'Conv' ? [{ label: 'MACs', value: `${factors} = ${formatExact(macs)}` }] : noDetails,
  };
}

/** A convolution whose windows lie side by side. */
export const cutsPatches = (work: Work): boolean =>
  work.kind === 'conv' && kernelOf(work).join() === intsOf(work.node, 'strides').join();

/** One whose windows lie side by side on the image. */
const embedsPatches = (work: Work, graph: Graph): boolean =>
  cutsPatches(work) && graph.inputs.some(({ name }) => name === work.node.inputs[0]);

/** Names a module by what it is made of. */
function describeContainer({ path, children, own }: Described, graph: Graph): Description | undefined {
  const embedding = children.flatMap((child) => child.own).find((work) => embedsPatches(work, graph));
  if (embedding && path !== '')
    return { ...describeConv(embedding), title: 'Patch embedding', details: noDetails };
  const count = (role: ModuleRole): number => children.filter((child) => child.role === role).length;
  const common = { details: noDetails };
  if (count('attention') > 0 && count('mlp') > 0)
    return { ...common, title: 'Transformer block', formula: blockFormula(own, children), role: 'other' };
  const activated = [...own, ...children.flatMap((child) => child.own)].some(
    ({ kind }) => kind === 'activation',
  );
  if (count('linear') === 2 && children.length <= 5 && activated)
    return { ...common, title: 'MLP', formula: 'activation(x·W₁ᵀ + b₁)·W₂ᵀ + b₂', role: 'mlp' };
  return undefined;
}

/** Pre-norm blocks begin with a norm, post-norm blocks end with one. */
function blockFormula(own: Described['own'], children: Described['children']): string {
  const isNorm = (child: Described['children'][number] | undefined): boolean =>
    child?.own.some(({ kind }) => kind === 'normalisation') ?? false;
  const adds = own.filter(({ node }) => node.op === 'Add').length;
  if (adds < 2) return '';
  if (isNorm(children[0])) return 'x + attention(norm(x)), then x + MLP(norm(x))';
  return isNorm(children.at(-1)) ? 'norm(x + attention(x)), then norm(x + MLP(x))' : '';
}
