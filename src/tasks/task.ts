import type { Graph, GraphOutput, OutputMeaning } from '../graph/graph';
import type { Checkpoint } from '../checkpoint/checkpoint';
import type { GraphSize, Model, Part } from '../models/model';
import type { PassLengths } from '../domain/pass';
import type { Answer } from './answer';
import type { Reading } from '../domain/reading';
import type { Size } from '../domain/size';
import type { FileFormat } from './formats';
import type { GeneratedSequence } from '../text/generation/generate';
import type { GenerationSettings } from '../text/generation/settings';
import type { Given, SeenImage } from './run';

/** What a task asks of a model: runs of its parts, one after the other. */
export interface Program {
  readonly steps: readonly Step[];
}

/** One run of a part. */
export interface Step {
  readonly part: Part['name'];
  /** Where each of its inputs comes from, by the input's name. */
  readonly inputs: Readonly<Record<string, InputSource>>;
  /** Names of the outputs that are read. */
  readonly outputs: readonly string[];
  /** Tokens, frames and texts that the part's graph is written for. */
  readonly lengths?: Readonly<Record<string, number>>;
  /** The part writes a text token by token, and its inputs are what it looks at. */
  readonly generation?: Generation;
}

/** How a text is begun, and how its tokens are chosen. */
export interface Generation {
  /** What the text goes by where several are asked for: `greedy`. */
  readonly name: string;
  /** Token ids that are there before the first one is chosen. */
  readonly prompt: readonly number[];
  readonly settings: GenerationSettings;
  /** Tokens that an encoder has read, for rules that look at them. */
  readonly encoderIds?: readonly number[];
}

/** The texts that a step has written, the best first. */
export interface Written {
  readonly generation: Generation;
  readonly sequences: readonly GeneratedSequence[];
}

/**
 * The image, numbers that are there before anything runs, an output of an earlier step, or numbers
 * that depend on how the image was brought to the model's size.
 */
export type InputSource =
  | 'image'
  | GivenTensor
  | { readonly step: number; readonly output: string }
  | ((seen: SeenImage) => GivenTensor);

/** Numbers for an input, row-major. */
export interface GivenTensor {
  readonly dtype: 'F32' | 'I64';
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

/** An output of a step, row-major, with what it stands for. */
export interface OutputValues {
  readonly name: string;
  readonly means: OutputMeaning;
  readonly activation?: GraphOutput['activation'];
  /** The graph gives whole numbers: indices of classes, not weights. */
  readonly integers?: true;
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
  /** What was taken off the channels of the image and what they were divided by, if anything. */
  readonly normalisation?: { readonly mean: readonly number[]; readonly std: readonly number[] };
  /** How the model's outputs become an answer. */
  readonly reading?: Reading;
  /** How answers are computed, if somebody says otherwise: thresholds and the like. */
  readonly post?: Post;
  /** What the program was given beside the image. */
  readonly given?: Prepared;
  /** What its steps have written, in their order. */
  readonly written?: readonly Written[];
}

/** Numbers that a program is given beside the image, and the words that they stand for. */
export interface Prepared {
  readonly tensors: Readonly<Record<string, GivenTensor>>;
  /** A word or text for each thing that is scored. */
  readonly words?: readonly string[];
  /** The words of tokens at places of the one text that is given. */
  readonly decode?: (places: readonly number[]) => string;
  /** By which chance was had. */
  readonly seed?: number;
  /** It is about this image, as places on it are: it is not given to the next one. */
  readonly ofImage?: true;
  /** Returns the text that generated token ids stand for. */
  readonly textOf?: (ids: readonly number[]) => string;
  /** How token ids are written as text, and those that were read. */
  readonly spelling?: Spelling;
  /** Texts that are to be generated. */
  readonly toWrite?: readonly Generation[];
  /** What is to be said of how it was prepared. */
  readonly remarks?: readonly string[];
}

/** How token ids are written as text. */
export interface Spelling {
  readonly text: (ids: readonly number[]) => string;
  readonly withSpecial: (ids: readonly number[]) => string;
  /** One token as the vocabulary writes it. */
  readonly token: (id: number) => string;
  /** The same as people read it. */
  readonly shown: (id: number) => string;
  /** Tokens that the model has read. */
  readonly source: readonly number[];
}

/** What a program is given if its task prepares nothing. */
export const nothingGiven: Prepared = { tensors: {} };

/** A way of computing an answer, with the library's words for its settings. */
export type Post = Readonly<Record<string, unknown>>;

/** One of several things that a model was trained to make of a text. */
export interface Way {
  /** `translation_en_to_de` of config.json, or a language of the vocabulary: `ro_RO`. */
  readonly name: string;
  /** What stands in front of the text, if the model is told so. */
  readonly prefix?: string;
  /** Settings of generation that go with it, by transformers' names. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** What says so. */
  readonly source: string;
}

/** What can be asked of a model. */
export interface Task<A extends Answer = Answer> {
  /** What its answer goes by where several may stand: `detections`. */
  readonly answerName: string;
  /** Returns why this cannot be asked of the model, for people; undefined if it can. */
  serves(model: Model): string | undefined;
  /** Returns what to run. Throws if the graph takes what the task cannot give. */
  program(model: Model, size: GraphSize, given: Prepared): Program;
  /**
   * Makes what a program is given beside the image of what a user says: token ids of texts. Reads
   * what lies beside the weights. Nothing is made without it.
   */
  prepare?(model: Model, given: Given): Promise<Prepared>;
  /** Returns what a model can be asked to make of what is given, by name, if there are several. */
  ways?(model: Model): Promise<readonly Way[]>;
  /** Returns the answer that the outputs hold. Throws if they hold no numbers. */
  read(outputs: readonly OutputValues[], seen: SeenImage, context: ReadContext): A;
  /** Returns the keys of the answer in the command line's JSON. */
  json(answer: A): object;
  /** Returns what the command line prints of the answer for people, a line each. */
  lines(answer: A): readonly string[];
  /** Returns the answer in the form that all tasks share: a list for each image, maps, tensors. */
  answers(answer: A): AnswerFiles;
  /** Files of other tools that the answer can be written as, those in common use. */
  readonly formats?: readonly FileFormat<A>[];
}

/** An answer as `predict` prints it: lists as JSON; maps and tensors go to files. */
export interface AnswerFiles {
  readonly list?: readonly unknown[];
  readonly maps?: readonly IdMap[];
  readonly tensors?: readonly OutputTensor[];
  /** Generated texts, a search each. */
  readonly generation?: readonly Readonly<Record<string, unknown>>[];
}

/** A map of ids at the image's own size, -1 where nothing is. */
export interface IdMap {
  readonly width: number;
  readonly height: number;
  readonly ids: ArrayLike<number>;
  /** Pixels of each id. */
  readonly areas: Readonly<Record<string, number>>;
}

export interface OutputTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
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
export function graphOf(
  { parts }: Model,
  { part, lengths }: Pick<Step, 'part' | 'lengths'>,
  size?: GraphSize,
): Graph {
  const found = parts.find(({ name }) => name === part);
  if (!found) throw new Error(`the model has no part ${part}`);
  return found.graph(lengths ? { ...size, lengths } : size);
}

/** Places of a cache come in such steps, so that texts of about one length share a session. */
const placesPerStep = 16;

/** Returns the graphs of both passes of a step that generates a text. */
export function graphsOfText(
  model: Model,
  { part, lengths }: Step,
  { prompt, settings }: Generation,
): Readonly<Record<'start' | 'step', Graph>> {
  const { beams, sequences, maxLength } = settings;
  const wanted: PassLengths = {
    prompt: prompt.length,
    rows: Math.max(beams, sequences),
    past: Math.ceil(Math.max(1, maxLength - 1) / placesPerStep) * placesPerStep,
  };
  const graph = (pass: 'start' | 'step', own: Readonly<Record<string, number>>): Graph =>
    graphOf(model, { part, lengths: { ...lengths, ...own } }, { pass });
  return {
    start: graph('start', { prompt: wanted.prompt }),
    step: graph('step', { rows: wanted.rows, past: wanted.past }),
  };
}

/** Returns the first output of a meaning. Throws if there is none. */
export function requireOutput(outputs: readonly OutputValues[], means: OutputMeaning): OutputValues {
  const found = outputOf(outputs, means);
  if (!found) throw new Error(`the model answers no ${means}`);
  return found;
}

/** Returns the first output of a meaning. */
export const outputOf = <T extends { readonly means: OutputMeaning }>(
  outputs: readonly T[],
  means: OutputMeaning,
): T | undefined => outputs.find((output) => output.means === means);
