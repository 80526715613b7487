import type { Graph } from '../graph/graph';
import type { GraphSize, Model } from '../models/model';
import type { GivenTensor, InputSource, Prepared, Program, Step } from './task';

type Lengths = Readonly<Record<string, number>>;

/** Texts and tokens of given ids `[texts, tokens]`; the model's own if none are given. */
export function lengthsOfIds(ids: GivenTensor | undefined): Lengths {
  const [texts = 1, text = 1] = ids?.shape ?? [];
  return ids ? { texts, text } : {};
}

/** A part whose inputs are all there. */
interface Fed extends Pick<Step, 'part' | 'inputs' | 'lengths'> {
  readonly graph: Graph;
}

/**
 * Returns a program that runs every part of a model in its order: the first part takes the image
 * (its input of four axes, if several are inputs), others are what is given or what an earlier part
 * answers. It ends before a part that lacks an input, as a text tower does beside a lone image.
 * Outputs are read that later parts take, and those that are no inner states.
 *
 * @param lengths what parts that read more than the image are written for: texts and their tokens.
 */
export function partsProgram(
  { parts }: Model,
  size: GraphSize,
  { tensors }: Pick<Prepared, 'tensors'>,
  lengths: Lengths,
): Program {
  const sources = new Map<string, InputSource>(Object.entries(tensors));
  const fed: Fed[] = [];
  for (const [step, { name: part, graph: at }] of parts.entries()) {
    const isOfImage = step === 0 && at(size).inputs.length === 1;
    const graph = isOfImage ? at(size) : at({ ...size, lengths });
    const pixels = graph.inputs.find(({ shape }) => shape.length >= 4) ?? graph.inputs[0];
    if (step === 0 && pixels) sources.set(pixels.name, 'image');
    const inputs = graph.inputs.flatMap(({ name }) => {
      const source = sources.get(name);
      return source ? [[name, source] as const] : [];
    });
    if (inputs.length < graph.inputs.length) break;
    fed.push({ part, graph, inputs: Object.fromEntries(inputs), ...(!isOfImage && { lengths }) });
    for (const { name } of graph.outputs) sources.set(name, { step, output: name });
  }
  const taken = new Set(fed.flatMap(({ inputs }) => Object.keys(inputs)));
  // What the image alone becomes is read whole: a text that is given later goes on from the same.
  const isRead = (step: number, { name, means }: Graph['outputs'][number]): boolean =>
    (step === 0 && parts.length > 1) || taken.has(name) || means !== 'state';
  return {
    steps: fed.map(({ graph: { outputs }, ...step }, index) => ({
      ...step,
      outputs: outputs.filter((output) => isRead(index, output)).map(({ name }) => name),
    })),
  };
}
