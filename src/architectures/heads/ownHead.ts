import type { GraphBuilder, ParameterView } from '../../graph/builder';
import { type ValueInfo } from '../../graph/graph';
import { at } from '../../domain/lists';
import { batchNorm, groupNorm } from '../blocks/convolution';
import { activate } from '../blocks/layers';

/** One layer of a head, by its names and shapes. */
export interface HeadLayer {
  /** `classifier.3`, as the file calls it; parameters are read by this name. */
  readonly path: string;
  readonly kind: 'linear' | 'norm' | 'batch norm';
  readonly width: number;
  /** Outputs of a linear layer; the width of a norm. */
  readonly out: number;
  readonly bias: boolean;
}

/** Kinds of a norm without statistics, which have the same tensors. */
export type HeadNorm = 'layer' | 'rms' | `group_${number}`;

/** Whether a word is a kind of norm that `width` values may have. */
export function isHeadNorm(word: string, width: number): word is HeadNorm {
  const [, groups] = /^group_([1-9]\d*)$/.exec(word) ?? [];
  return word === 'layer' || word === 'rms' || (groups !== undefined && width % Number(groups) === 0);
}

/**
 * What is computed one after the other: a stored layer, or a function that no file tells, by its
 * place among those of all heads.
 */
export type HeadStep = HeadLayer | { readonly kind: 'activation'; readonly place: number };

/** A head from the pooled vector to one output. */
export interface HeadChain {
  /** Name of the output: `logits`, or the head's own if there are several. */
  readonly name: string;
  readonly steps: readonly HeadStep[];
}

/**
 * What a head reads: the vector that the model itself pools, the first token behind the last norm,
 * or the mean of all of them.
 */
export type HeadInput = 'pooled' | 'first' | 'mean';

/** Heads that follow from names and shapes, and the parameters that they read. */
export interface OwnHead {
  readonly chains: readonly HeadChain[];
  /** The function at each place. */
  readonly activations: readonly string[];
  /** Last layers, by their paths, that answer cosines. */
  readonly cosine: readonly string[];
  /** Kinds of the norms that no statistics tell, by their paths. */
  readonly norms: ReadonlyMap<string, HeadNorm>;
  /** What the heads read. */
  readonly input: HeadInput;
  readonly parameters: ReadonlyMap<string, ParameterView>;
}

/** Default of torch.nn's LayerNorm, GroupNorm and BatchNorm1d. */
const torchEps = 1e-5;
/** Default of torch.nn's RMSNorm: the ε of float32. */
const rmsEps = 2 ** -23;

/** A norm of vectors `[batch, width]`: over all values, or over those of each group. */
function norm(b: GraphBuilder, x: ValueInfo, path: string, kind: HeadNorm): ValueInfo {
  if (kind === 'layer') return b.layerNorm(x, path, torchEps);
  if (kind === 'rms') return b.rmsNorm(x, path, rmsEps);
  const map = b.reshape(x, [...x.shape, 1, 1]);
  const groups = Number(kind.slice('group_'.length));
  return b.reshape(groupNorm(b, map, path, { groups, eps: torchEps }), x.shape);
}

/** x / ‖x‖ over the last axis. */
function normalised(b: GraphBuilder, x: ValueInfo): ValueInfo {
  const squares = b.add('ReduceSum', [b.add('Mul', [x, x]), b.indices([1])]);
  return b.add('Div', [x, b.add('Sqrt', [squares])]);
}

function step(b: GraphBuilder, x: ValueInfo, layer: HeadStep, head: OwnHead): ValueInfo {
  switch (layer.kind) {
    case 'activation':
      return activate(b, x, at(head.activations, layer.place));
    case 'norm':
      return norm(b, x, layer.path, head.norms.get(layer.path) ?? 'layer');
    case 'batch norm':
      return batchNorm(b, x, layer.path, torchEps);
    case 'linear':
      return b.linear(x, layer.path);
  }
}

/** The cosine of the angle between the vector and each class's row, `[batch, classes]`. */
function cosines(b: GraphBuilder, x: ValueInfo, { path }: HeadLayer): ValueInfo {
  const rows = normalised(b, b.parameter(`${path}.weight`));
  return b.add('MatMul', [normalised(b, x), b.transpose(rows, [1, 0])], {}, { name: path });
}

/**
 * The vector that a head reads, `[batch, width]`.
 *
 * @param tokens `[batch, count, width]` behind the last norm
 */
export function headVector(
  b: GraphBuilder,
  input: HeadInput,
  pooled: ValueInfo,
  tokens: ValueInfo | undefined,
): ValueInfo {
  if (input === 'pooled' || tokens?.shape.length !== 3) return pooled;
  const vector = input === 'first' ? b.slice(tokens, 1, 0, 1) : b.mean(tokens, 1);
  return b.reshape(vector, [at(tokens.shape, 0), at(tokens.shape, 2)]);
}

/** Writes heads behind a pooled vector `[batch, width]`, each an output of its name. */
export function ownHeads(b: GraphBuilder, features: ValueInfo, head: OwnHead): void {
  for (const { name, steps } of head.chains) {
    const last = steps.at(-1);
    const cosine = last?.kind === 'linear' && head.cosine.includes(last.path) ? last : undefined;
    const inner = cosine ? steps.slice(0, -1) : steps;
    const vector = inner.reduce((x, layer) => step(b, x, layer, head), features);
    const logits = cosine ? cosines(b, vector, cosine) : vector;
    b.output(name, logits, 'logits');
  }
}
