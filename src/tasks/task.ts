import type { Graph, GraphOutput, OutputMeaning } from '../graph/graph';
import type { Checkpoint } from '../checkpoint/checkpoint';
import type { GraphSize, Model, Part } from '../models/model';
import type { Answer } from './answer';
import type { Size } from '../domain/size';
import type { SeenImage } from './run';

/** What a task asks of a model: runs of its parts, one after the other. */
export interface Program {
  readonly steps: readonly Step[];
}

/** One run of a part. */
export interface Step {
  readonly part: Part['name'];
  /** Where each of its inputs comes from, by the input's name. */
  readonly inputs: Readonly<Record<string, 'image'>>;
  /** Names of the outputs that are read. */
  readonly outputs: readonly string[];
}

/** An output of a step, row-major, with what it stands for. */
export interface OutputValues {
  readonly name: string;
  readonly means: OutputMeaning;
  readonly activation?: GraphOutput['activation'];
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** What reading an answer needs beside the outputs. */
export interface ReadContext {
  /** The checkpoint's config.json, which may hold names of classes. */
  readonly config: Readonly<Record<string, unknown>> | undefined;
  /** Lists of class names beside the weights or in their file. */
  readonly classNames?: Checkpoint['classNames'];
  /** Number of classes to name. */
  readonly topK: number;
  /** Sides of the image that the model was given. */
  readonly imageSize: Size;
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

/**
 * Returns the program that gives an image to the part that `choose` finds outputs in, and reads
 * those. Throws if no part has one, or if it takes more than an image.
 */
export function imageProgram(
  { parts }: Model,
  size: GraphSize,
  choose: (outputs: readonly GraphOutput[]) => readonly GraphOutput[],
): Program {
  for (const { name, graph } of parts) {
    const { inputs, outputs } = graph(size);
    const chosen = choose(outputs);
    const [input] = inputs;
    if (chosen.length === 0 || !input) continue;
    if (inputs.length > 1)
      throw new Error(`the model has ${inputs.length} inputs; an image can be given to models with one`);
    return {
      steps: [
        { part: name, inputs: { [input.name]: 'image' }, outputs: chosen.map((output) => output.name) },
      ],
    };
  }
  throw new Error('no part of the model has such an output');
}

/** Returns why nothing of a model can be run; undefined if something can. */
export function cannotRun({ parts, recognition }: Model): string | undefined {
  return parts.length === 0 && recognition.family === null ? recognition.reason : undefined;
}

/** Returns the graph of a step's part. */
export function graphOf({ parts }: Model, { part }: Step, size?: GraphSize): Graph {
  const found = parts.find(({ name }) => name === part);
  if (!found) throw new Error(`the model has no part ${part}`);
  return found.graph(size);
}

/** Returns the first output of a meaning. */
export const outputOf = <T extends { readonly means: OutputMeaning }>(
  outputs: readonly T[],
  means: OutputMeaning,
): T | undefined => outputs.find((output) => output.means === means);
