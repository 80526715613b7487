import { at, increase } from '../domain/lists';
import { intOf, outputName, valueOf, type Node } from '../graph/graph';
import { operatorOf } from '../graph/operators';
import { changingWith, madeOf } from '../graph/order';
import { gradientNames, withGradients } from '../graph/rewrite/backward';
import { cutAt } from '../graph/rewrite/splice';
import { isAllOf, outputWith, runOn } from './behind';
import { filled, onlyOutputs, valuesIn, type Explained, type Values } from './explained';
import { streamOf } from './stream';

/**
 * The one norm between the residual stream and the explained output, through which all of it goes;
 * else why there is none.
 */
export function finalNorm(explained: Explained): Node | string {
  const { graph, output } = explained;
  const { last } = streamOf(explained);
  const [behind, needed] = [changingWith(graph, [last]), madeOf(graph, [output.value])];
  const norms = graph.nodes.filter((node) => {
    const value = outputName(node);
    return (
      operatorOf(node)?.kind === 'normalisation' && behind.has(value) && needed.has(value) && value !== last
    );
  });
  const [norm, ...more] = norms;
  if (!norm || more.length > 0) return `${norms.length} norms stand in front of the head: one is needed`;
  const rank = valueOf(graph, at(norm.inputs, 0)).shape.length;
  const axis = intOf(norm, 'axis', -1);
  if (norm.op !== 'LayerNormalization' || (axis !== -1 && axis !== rank - 1))
    return `the final norm is ${norm.op}: a layer norm over channels is needed`;
  return isAllOf(explained, outputName(norm)) ? norm : 'its head reads more than the final norm';
}

/** The value as a linear function of the last stream, at this image. */
export interface Linearised {
  /** How much each element of the stream counts, of the stream's shape. */
  readonly slope: Values;
  /** What the value is without the stream: biases of norm and head. */
  readonly constant: number;
}

/**
 * With the norm's own mean and deviation, c(u) = Σ (u − mean u)/σ · γ · g is linear in u, g the
 * derivative by what the norm makes (Elhage et al. 2021).
 */
export function linearised(explained: Explained): Promise<Linearised> {
  return explained.once('linearised', async () => {
    const norm = finalNorm(explained);
    if (typeof norm === 'string') throw new Error(norm);
    const [from = '', scale = '', shift = ''] = norm.inputs;
    const { gradient } = await explained.derivedBy(outputName(norm));
    const found = await explained.values([from, scale, ...(shift === '' ? [] : [shift])]);
    const beta = found[2];
    const epsilon = norm.attributes['epsilon'];
    const own = throughNorm(
      { input: at(found, 0), gradient, scale: at(found, 1).data },
      epsilon?.type === 'float' ? epsilon.value : 1e-5,
    );
    const without = await outputWith(explained, outputName(norm), filled(gradient.shape, 0));
    const width = at(gradient.shape, gradient.shape.length - 1);
    const bias = gradient.data.reduce((sum, g, place) => sum + g * (beta?.data[place % width] ?? 0), 0);
    return {
      slope: await beforePooling(explained, from, own),
      constant: at(without, explained.question.target) + bias,
    };
  });
}

interface AtNorm {
  readonly input: Values;
  readonly gradient: Values;
  readonly scale: Float32Array;
}

/** The derivative by what goes into a layer norm whose mean and deviation stay. */
function throughNorm({ input, gradient, scale }: AtNorm, epsilon: number): Values {
  const width = scale.length;
  const rows = input.data.length / width;
  const data = new Float32Array(input.data.length);
  for (let row = 0; row < rows; row++) {
    const own = Float64Array.from(input.data.subarray(row * width, (row + 1) * width));
    const mean = own.reduce((sum, value) => sum + value, 0) / width;
    const variance = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    const deviation = Math.sqrt(variance + epsilon);
    const scaled = own.map(
      (_, place) => ((gradient.data[row * width + place] ?? 0) * at(scale, place)) / deviation,
    );
    const middle = scaled.reduce((sum, value) => sum + value, 0) / width;
    scaled.forEach((value, place) => increase(data, row * width + place, value - middle));
  }
  return { shape: input.shape, data };
}

/** The derivative by the stream, where the norm is of what was pooled from it. */
async function beforePooling(explained: Explained, value: string, gradient: Values): Promise<Values> {
  const { graph } = explained;
  const { last } = streamOf(explained);
  if (value === last) return gradient;
  const derived = withGradients(graph, { of: [value], by: [last] });
  const wanted = derived.outputs.filter(({ name }) => name === gradientNames.gradient(0));
  const given = { [gradientNames.seed(0)]: gradient, [last]: at(await explained.values([last]), 0) };
  const found = await runOn(explained, 'pooling', cutAt(onlyOutputs(derived, wanted), [last]), given);
  return valuesIn(found, gradientNames.gradient(0));
}
