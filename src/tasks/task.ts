import type { Graph, GraphOutput, OutputMeaning } from '../graph/graph';
import type { GraphSize, Model } from '../models/model';
import type { Answer } from './answer';
import type { SeenImage } from './run';

/** What a task asks of a model: one run of its graph. */
export interface Program {
  readonly steps: readonly Step[];
}

/** One run of a graph. */
export interface Step {
  /** Where each of its inputs comes from, by the input's name. */
  readonly inputs: Readonly<Record<string, 'image'>>;
  /** Names of the outputs that are read. */
  readonly outputs: readonly string[];
}

/** An output of a step, row-major, with what it stands for. */
export interface OutputValues {
  readonly name: string;
  readonly means: OutputMeaning;
  readonly values: Float32Array;
}

/** What reading an answer needs beside the outputs. */
export interface ReadContext {
  /** The checkpoint's config.json, which may hold names of classes. */
  readonly config: Readonly<Record<string, unknown>> | undefined;
  /** Number of classes to name. */
  readonly topK: number;
}

/** What can be asked of a model. */
export interface Task<A extends Answer = Answer> {
  /** Returns why this cannot be asked of the model, for people; undefined if it can. */
  serves(model: Model): string | undefined;
  /** Returns what to run. Throws if the graph takes what the task cannot give. */
  program(model: Model, size: GraphSize): Program;
  /** Returns the answer that the outputs hold. Throws if they hold no numbers. */
  read(outputs: readonly OutputValues[], seen: SeenImage, context: ReadContext): A;
  /** Returns the keys of the answer in the command line's JSON. */
  json(answer: A): object;
}

/** Returns the only step of a program that feeds an image and reads one output. */
export function imageStep({ inputs }: Graph, output: GraphOutput): Step {
  const [input] = inputs;
  if (!input || inputs.length > 1)
    throw new Error(`the model has ${inputs.length} inputs; a picture can be given to models with one`);
  return { inputs: { [input.name]: 'image' }, outputs: [output.name] };
}

/** Returns the first output of a meaning. */
export const outputOf = <T extends { readonly means: OutputMeaning }>(
  outputs: readonly T[],
  means: OutputMeaning,
): T | undefined => outputs.find((output) => output.means === means);
