import { dtypes, type DType } from '../../checkpoint/tensors';
import { at, last } from '../../domain/lists';
import { float, int, ints, type Attribute, type ValueInfo } from '../graph';

/** The model asks for something that cannot be opened as a graph. */
export class ImportError extends Error {
  override readonly name = 'ImportError';
}

/** What a lowering may do: look at values and write plain operators in place of the fused one. */
export interface Emitter {
  /** Type and shape of a value; an empty name is an input left out. */
  info(name: string): ValueInfo | undefined;
  /**
   * Writes one operator and returns its output's name: `output` if the fused operator's own
   * result is made.
   */
  add(
    op: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, Attribute>>,
    output?: string,
  ): string;
  /** Writes a Split along `axis` into equal parts. */
  split(input: string, parts: number, axis: number): readonly string[];
  /** A constant int64 vector. */
  indices(values: readonly number[]): string;
  /** A constant scalar of a floating-point type. */
  scalar(value: number, dtype: DType): string;
}

/** A fused operator with its inputs by position (empty if left out) and its attributes. */
export interface FusedNode {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** Writes plain operators for a fused one; a reason if this use of it has no plain form. */
export type Lowering = (node: FusedNode, emit: Emitter) => string | void;

const number = (node: FusedNode, name: string, otherwise: number): number => {
  const attribute = node.attributes[name];
  return attribute?.type === 'int' || attribute?.type === 'float' ? attribute.value : otherwise;
};
const given = (node: FusedNode, index: number): string => node.inputs[index] ?? '';
/** Name of what the fused operator makes. */
const made = (node: FusedNode): string => at(node.outputs, 0);

/** `[batch, tokens, heads · d]` as `[batch, heads, tokens, d]`. */
function splitHeads(emit: Emitter, value: string, heads: number): string {
  const rows = emit.add('Reshape', [value, emit.indices([0, 0, heads, -1])]);
  return emit.add('Transpose', [rows], { perm: ints([0, 2, 1, 3]) });
}

function mergeHeads(emit: Emitter, value: string, output: string): void {
  const rows = emit.add('Transpose', [value], { perm: ints([0, 2, 1, 3]) });
  emit.add('Reshape', [rows, emit.indices([0, 0, -1])], {}, output);
}

/**
 * Type and shape of a value that a fused operator reads. Throws `ImportError` if no node makes it.
 */
function infoOf(emit: Emitter, name: string): ValueInfo {
  const info = emit.info(name);
  if (!info) throw new ImportError(`${name || 'an input that is left out'} is read and made by no node`);
  return info;
}

/** Queries, keys and values, by value names. */
type Triple = readonly [q: string, k: string, v: string];

/** The same for each of queries, keys and values, one after the other. */
const triple = (of: (index: number) => string): Triple => [of(0), of(1), of(2)];

interface Scores {
  /** Added to the scaled scores; empty for nothing. */
  readonly bias: string;
  /** 0 stands for 1/√d. */
  readonly scale: number;
}

/**
 * softmax(q·kᵀ·scale + bias)·v over `[batch, heads, tokens, d]`; the last product is written when
 * it is asked for.
 */
function plainAttention(
  emit: Emitter,
  [q, k, v]: Triple,
  { bias, scale }: Scores,
): (output?: string) => string {
  const { shape, dtype } = infoOf(emit, q);
  const factor = scale === 0 ? 1 / Math.sqrt(last(shape)) : scale;
  const keys = emit.add('Transpose', [k], { perm: ints([0, 1, 3, 2]) });
  const scores = emit.add('Mul', [emit.add('MatMul', [q, keys]), emit.scalar(factor, dtype)]);
  const biased = bias === '' ? scores : emit.add('Add', [scores, bias]);
  const map = emit.add('Softmax', [biased], { axis: int(-1) });
  return (output) => emit.add('MatMul', [map, v], {}, output);
}

/**
 * Attention over projected queries, keys and values `[batch, tokens, heads · d]`, as
 * com.microsoft's operators have it.
 */
function overHeads(node: FusedNode, emit: Emitter, projected: (index: number) => string): void {
  const heads = number(node, 'num_heads', 0);
  const parts = triple((index) => splitHeads(emit, projected(index), heads));
  const mix = plainAttention(emit, parts, { bias: given(node, 5), scale: number(node, 'scale', 0) });
  mergeHeads(emit, mix(), made(node));
}

/** com.microsoft.Attention: x·W + b makes [q | k | v], then attention. */
const fusedProjection: Lowering = (node, emit) => {
  if ([3, 4].some((index) => given(node, index) !== '')) return 'a mask or cached keys';
  if (number(node, 'unidirectional', 0) !== 0) return 'unidirectional = 1';
  if (node.attributes['qkv_hidden_sizes']) return 'qkv_hidden_sizes';
  const [x = '', weight = '', offset = ''] = node.inputs;
  const product = emit.add('MatMul', [x, weight]);
  const projected = offset === '' ? product : emit.add('Add', [product, offset]);
  const parts = emit.split(projected, 3, -1);
  overHeads(node, emit, (index) => at(parts, index));
};

/** com.microsoft.QAttention: the same projected in integers, scaled back before the bias. */
const quantisedProjection: Lowering = (node, emit) => {
  if ([5, 8].some((index) => given(node, index) !== '')) return 'a mask or cached keys';
  if (number(node, 'unidirectional', 0) !== 0) return 'unidirectional = 1';
  const [x = '', weight = '', offset = '', inputScale = '', weightScale = ''] = node.inputs;
  const product = emit.add('MatMulInteger', [x, weight, given(node, 6), given(node, 7)]);
  const scaled = emit.add('Mul', [
    emit.add('Cast', [product], { to: int(dtypes.F32.onnx) }),
    emit.add('Mul', [inputScale, weightScale]),
  ]);
  const parts = emit.split(emit.add('Add', [scaled, offset]), 3, -1);
  const heads: FusedNode = { ...node, inputs: [] };
  overHeads(heads, emit, (index) => at(parts, index));
};

/** softmax(x + bias), the bias repeated or broadcast to x. */
const biasSoftmax: Lowering = (node, emit) => {
  const [x = '', bias = ''] = node.inputs;
  const [shape, own] = [infoOf(emit, x).shape, infoOf(emit, bias).shape];
  const rank = shape.length;
  const fits = own.every((size, axis) => size === 1 || size === shape[axis - own.length + rank]);
  const axis = number(node, 'axis', 1);
  if (!fits || own.length > rank || (axis !== -1 && axis !== rank - 1)) return 'rows that do not broadcast';
  emit.add('Softmax', [emit.add('Add', [x, bias])], { axis: int(-1) }, made(node));
};

/** com.microsoft.MultiHeadAttention: projected q, k, v with a common bias. */
const multiHead: Lowering = (node, emit) => {
  if ([4, 6, 7].some((index) => given(node, index) !== '')) return 'a mask or cached keys';
  if (number(node, 'unidirectional', 0) !== 0) return 'unidirectional = 1';
  if ([0, 1, 2].some((index) => emit.info(given(node, index))?.shape.length !== 3)) return 'packed q, k, v';
  const offset = given(node, 3);
  const offsets = offset === '' ? [] : emit.split(offset, 3, 0);
  overHeads(node, emit, (index) => {
    const own = given(node, index);
    return offsets.length > 0 ? emit.add('Add', [own, at(offsets, index)]) : own;
  });
};

/**
 * Attention of ai.onnx 23: q, k, v as `[batch, heads, tokens, d]` or `[batch, tokens, heads · d]`,
 * an additive or boolean mask.
 */
const attention23: Lowering = (node, emit) => {
  if ([4, 5].some((index) => given(node, index) !== '')) return 'cached keys';
  if (number(node, 'is_causal', 0) !== 0) return 'is_causal = 1';
  if (number(node, 'softcap', 0) !== 0) return 'softcap';
  const [queryHeads, keyHeads] = [number(node, 'q_num_heads', 0), number(node, 'kv_num_heads', 0)];
  const flat = emit.info(given(node, 0))?.shape.length === 3;
  if (flat && queryHeads !== keyHeads) return 'grouped queries';
  const parts = triple((index) =>
    flat ? splitHeads(emit, given(node, index), queryHeads) : given(node, index),
  );
  const { shape, dtype } = infoOf(emit, parts[0]);
  if (shape[1] !== infoOf(emit, parts[1]).shape[1]) return 'grouped queries';
  const bias = additiveMask(emit, given(node, 3), dtype);
  const mix = plainAttention(emit, parts, { bias, scale: number(node, 'scale', 0) });
  if (flat) mergeHeads(emit, mix(), made(node));
  else mix(made(node));
};

/** A boolean mask (true = may attend) as 0 and −∞. */
function additiveMask(emit: Emitter, mask: string, dtype: DType): string {
  if (mask === '' || emit.info(mask)?.dtype !== 'BOOL') return mask;
  return emit.add('Where', [mask, emit.scalar(0, dtype), emit.scalar(-Infinity, dtype)]);
}

/** LayerNorm(x + skip (+ bias)); the sum is the fourth output. */
const skipLayerNorm: Lowering = (node, emit) => {
  const [x = '', skip = '', scale = '', offset = '', bias = ''] = node.inputs;
  const total = node.outputs[3];
  const sum = bias === '' ? skip : emit.add('Add', [skip, bias]);
  const added = emit.add('Add', [x, sum], {}, total === '' ? undefined : total);
  const epsilon = float(number(node, 'epsilon', 1e-12));
  emit.add('LayerNormalization', [added, scale, offset], { axis: int(-1), epsilon }, node.outputs[0]);
};

/** alpha · op(A)·op(B). */
const fusedMatMul: Lowering = (node, emit) => {
  if (number(node, 'transBatchA', 0) || number(node, 'transBatchB', 0)) return 'transBatch';
  const operand = (index: number, flag: string): string => {
    const name = given(node, index);
    if (number(node, flag, 0) === 0) return name;
    const axes = infoOf(emit, name).shape.map((_, axis) => axis);
    return emit.add('Transpose', [name], {
      perm: ints([...axes.slice(0, -2), ...axes.slice(-2).toReversed()]),
    });
  };
  const inputs = [operand(0, 'transA'), operand(1, 'transB')];
  const alpha = number(node, 'alpha', 1);
  if (alpha === 1) return void emit.add('MatMul', inputs, {}, node.outputs[0]);
  const product = emit.add('MatMul', inputs);
  emit.add('Mul', [product, emit.scalar(alpha, infoOf(emit, product).dtype)], {}, node.outputs[0]);
};

/** GELU(x + bias). */
const biasGelu: Lowering = (node, emit) => {
  const x = emit.add('Add', node.inputs.slice(0, 2));
  const { dtype } = infoOf(emit, x);
  const half = emit.scalar(0.5, dtype);
  const one = emit.scalar(1, dtype);
  const erf = emit.add('Erf', [emit.add('Mul', [x, emit.scalar(Math.SQRT1_2, dtype)])]);
  emit.add('Mul', [emit.add('Mul', [x, half]), emit.add('Add', [erf, one])], {}, node.outputs[0]);
};

/**
 * Fused operators by `domain:operator` and the plain ones they stand for (onnxruntime
 * docs/ContribOperators.md; ONNX Operators.md, Attention-23). Plain ones run on every provider, and
 * the map between the two products can be looked at.
 */
export const lowerings: Readonly<Record<string, Lowering>> = {
  'com.microsoft:Attention': fusedProjection,
  'com.microsoft:QAttention': quantisedProjection,
  'com.microsoft:MultiHeadAttention': multiHead,
  'com.microsoft:BiasSoftmax': biasSoftmax,
  ':Attention': attention23,
  'com.microsoft:SkipLayerNormalization': skipLayerNorm,
  'com.microsoft:FusedMatMul': fusedMatMul,
  'com.microsoft:TransposeMatMul': fusedMatMul,
  'com.microsoft:BiasGelu': biasGelu,
};
