import { softmaxes } from '../find/softmax';
import type { Graph, GraphOutput, Node, OutputMeaning, ValueInfo } from '../graph';
import { factorsOf, keepsElements, operatorOf } from '../operators';
import { producers } from '../order';
import { isPlane, type Size } from '../../domain/size';

type Parts = Pick<Graph, 'nodes' | 'values' | 'initializers'>;

/** What the outputs of a file are, and why. */
export interface NamedOutputs {
  readonly outputs: readonly GraphOutput[];
  /** What was chosen where several outputs could be meant, for people. */
  readonly notes: readonly string[];
}

/** Published names of outputs and ours. */
const ours: Readonly<Record<string, string>> = {
  last_hidden_state: 'tokens',
  pooler_output: 'features',
};
const isOurs = (name: string): name is 'logits' | 'features' | 'tokens' =>
  name === 'logits' || name === 'features' || name === 'tokens';

/** Names by which exporters call scores of classes, and those of what is no such. */
const scoreNames = /logit|score|prob|pred|class|softmax|output/i;
const tokenNames = /hidden|token|embed|state/i;
/** Weights of attention, tokens × tokens, which the graph's own probes show. */
const attentionNames = /attentions?[._]?\d*$|attn/i;
const otherNames = /embed|feature|pool|hidden|token|state|attention|proj/i;

/** Operators from scores of classes back to the product that makes them. */
const longestWay = 12;
const activations: Readonly<Record<string, NonNullable<GraphOutput['activation']>>> = {
  Softmax: 'softmax',
  Sigmoid: 'sigmoid',
};

/** How an output `[batch, n]` is made. */
interface Head {
  /** The value before softmax or sigmoid. */
  readonly scores: string;
  readonly activation?: GraphOutput['activation'];
  /** Place of the product with a stored weight among the nodes; -1 if no such product makes it. */
  readonly place: number;
  /** Operator that the way back ends at, if it is no product. */
  readonly stop?: string;
}

/**
 * Names the outputs of a file `values` by name and shape, and chooses the classifier's: a single
 * `[batch, n]`, one called logits, or of several the one that the last linear layer makes, names of
 * scores first and raw scores before their softmax. Scores whose softmax is inside of the graph are
 * read before it. What has rows and columns of the image is a map, with a batch or channels or
 * without.
 */
export function nameOutputs(graph: Parts, values: readonly ValueInfo[], image?: Size): NamedOutputs {
  const reader = new HeadReader(graph);
  const rows = values.map((value) => ({ value, head: reader.headOf(value) }));
  const named = rows.filter(
    ({ value }) =>
      !(value.name in ours) && isFloat(value) && value.shape.length === 2 && !isMap(value, image),
  );
  const chosen = choose(named, values.length);
  const others = named.filter((row) => row !== chosen && isClassifier(row));
  const outputs = rows.map((row) => output(row, row === chosen, values.length, image));
  const used = new Set(outputs.map(({ name }) => name));
  const inside = chosen && chosen.head.scores !== chosen.value.name;
  const scores = inside ? [scoresOf(chosen, used)] : [];
  const rivals = others.filter((row) => row.head.scores !== chosen?.head.scores);
  return {
    outputs: [...outputs, ...scores],
    notes: chosen && rivals.length > 0 ? [shownFirst(chosen, rivals)] : [],
  };
}

interface Row {
  readonly value: ValueInfo;
  readonly head: Head;
}

const isFloat = ({ dtype }: ValueInfo): boolean => /^(F|BF)/.test(dtype);
const isClassifier = ({ value, head }: Row): boolean => head.place >= 0 && !otherNames.test(value.name);

/** Whether an output is a token, a mean or a norm: what a model without a head ends in. */
const poolsTokens = ({ head }: Row): boolean => poolers.has(head.stop ?? '');
const poolers: ReadonlySet<string> = new Set([
  ...['LayerNormalization', 'Gather', 'Slice', 'ReduceMean', 'Concat', 'Tanh', 'Div', 'Split'],
]);

function choose(rows: readonly Row[], count: number): Row | undefined {
  const [only] = rows;
  const exact = rows.find(({ value }) => value.name === 'logits');
  if (exact) return exact;
  if (count === 1) return !only || isOurs(only.value.name) || poolsTokens(only) ? undefined : only;
  const found = rows.filter(isClassifier);
  const called = found.filter(({ value }) => scoreNames.test(value.name));
  const of = called.length > 0 ? called : found;
  const rank = ({ head }: Row): number => head.place + (head.activation ? 0 : 0.5);
  return of.reduce<Row | undefined>((best, row) => (best && rank(best) >= rank(row) ? best : row), undefined);
}

function output({ value, head }: Row, isChosen: boolean, count: number, image?: Size): GraphOutput {
  const { name } = value;
  const isRaw = head.scores === name;
  if (isChosen && isRaw) return { name: count === 1 ? 'logits' : name, value: name, means: 'logits' };
  if (isChosen) return { name, value: name, means: 'probabilities' };
  const own = ours[name] ?? name;
  return { name: own, value: name, means: isMap(value, image) ? 'maps' : meaningOf(own, value.shape) };
}

/** Rows × columns of the image, where tokens × width or batch × classes would stand. */
function isMap({ name, shape }: ValueInfo, image: Size | undefined): boolean {
  const [rows, columns] = shape.slice(-2);
  const isFlat = shape.length === 2 || shape.length === 3;
  const isTokens = name in ours || tokenNames.test(name);
  return isFlat && !isTokens && image !== undefined && isPlane([rows ?? 0, columns ?? 0], image);
}

function meaningOf(name: string, shape: readonly number[]): OutputMeaning {
  if (isOurs(name) && name !== 'logits') return name;
  if (shape.length === 3) return 'tokens';
  if (attentionNames.test(name) && shape.at(-1) === shape.at(-2)) return 'attention';
  return shape.length <= 2 ? 'features' : 'maps';
}

function scoresOf({ head }: Row, used: ReadonlySet<string>): GraphOutput {
  const name = used.has('logits') ? 'scores_before_activation' : 'logits';
  return {
    name,
    value: head.scores,
    means: 'logits',
    ...(head.activation && { activation: head.activation }),
  };
}

const shownFirst = ({ value }: Row, rivals: readonly Row[]): string =>
  `several outputs look like classifiers: ${value.name} is read, ${rivals.map((row) => row.value.name).join(', ')} not`;

class HeadReader {
  private readonly from: ReadonlyMap<string, Node>;
  private readonly softmax: ReadonlyMap<Node, string>;
  private readonly places: ReadonlyMap<Node, number>;

  constructor(private readonly graph: Parts) {
    this.from = producers(graph);
    this.softmax = new Map(softmaxes(graph).map(({ node, input }) => [node, input]));
    this.places = new Map(graph.nodes.map((node, place) => [node, place]));
  }

  headOf({ name }: ValueInfo): Head {
    let value = name;
    let before: Pick<Head, 'scores' | 'activation'> = { scores: name };
    for (let step = 0; step < longestWay; step++) {
      const node = this.from.get(value);
      if (!node) break;
      const activation = this.softmax.has(node) ? 'softmax' : activations[node.op];
      const [first = ''] = node.inputs;
      if (activation && !before.activation) {
        value = this.softmax.get(node) ?? first;
        before = { scores: value, activation };
      } else if (isProduct(node)) {
        const stored = factorsOf(node).some((factor) => this.isStored(factor));
        return { ...before, place: stored ? (this.places.get(node) ?? -1) : -1 };
      } else if (this.isPassed(node)) value = this.computed(node);
      else return { ...before, place: -1, stop: node.op };
    }
    return { ...before, place: -1 };
  }

  private isPassed(node: Node): boolean {
    const divides = node.op === 'Div' && this.graph.initializers.has(node.inputs[1] ?? '');
    return divides || keepsElements(node) || scaling.has(node.op);
  }

  /** The input that is no stored value: a bias and scales lie beside it. */
  private computed({ inputs }: Node): string {
    return inputs.find((name) => name !== '' && !this.graph.initializers.has(name)) ?? '';
  }

  private isStored(name: string, depth = 0): boolean {
    if (this.graph.initializers.has(name)) return true;
    const node = this.from.get(name);
    if (!node || depth > 4) return false;
    return (keepsElements(node) || node.op === 'Transpose') && this.isStored(node.inputs[0] ?? '', depth + 1);
  }
}

const isProduct = (node: Node): boolean => ['product', 'conv'].includes(operatorOf(node)?.kind ?? '');
/** What adds a bias, scales integers back or makes log-probabilities: softmax leaves them alone. */
const scaling: ReadonlySet<string> = new Set(['Add', 'Mul', 'LogSoftmax', 'QLinearAdd', 'Identity']);
