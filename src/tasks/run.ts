import type { PreprocessingLine } from '../preprocessing/line';
import type { Pixels } from '../domain/pixels';
import type { Probe } from '../domain/probes';
import type { Share } from '../domain/share';
import type { Size } from '../domain/size';
import type { TaskName } from '../domain/taskName';
import type { Answer } from './answer';

/** Sizes of a model's input, `[height, width]` in pixels. */
export interface InputSize {
  readonly current: Size;
  /** What the checkpoint was made for: the default. */
  readonly native: Size;
  /** Steps by which the sides may grow; 0 if no other size fits. */
  readonly step: Size;
}

/** Where an execution provider stands. */
export interface ProviderView {
  readonly name: string;
  readonly title: string;
  readonly state: 'used' | 'available' | 'refused' | 'unchecked' | 'missing';
  /** Why it is or is not used: error text, `agrees, but 3.1× slower than the CPU`. */
  readonly reason: string;
  /** What can be done about it, if something can. */
  readonly next?: string;
}

/** Where a model ran, and how the machine's other providers stand. */
export interface ProviderFacts {
  /** Name of the provider that answered: `cpu`. */
  readonly used: string;
  readonly all: readonly ProviderView[];
}

/** A rectangle of the decoded image, in its full-size pixels. */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** An image as it was decoded, and what the model saw of it. */
export interface SeenImage {
  /** Path of the file. */
  readonly image: string;
  /** As decoded (orientation applied unless as stored), reduced for display if it is large. */
  readonly pixels: Pixels;
  /** Full size of the decoded image. */
  readonly size: readonly [width: number, height: number];
  /** What the model saw, before normalisation. */
  readonly seen: Pixels;
  /** What the input covers; reaches outside of the image if padding was added. */
  readonly region: Region;
  readonly orientation: { readonly exif: number; readonly applied: boolean };
  /** Of a clip, each frame that the model read, in order; `pixels` is the first. */
  readonly frames?: readonly SeenFrame[];
}

/** A frame of a clip. */
export interface SeenFrame {
  /** Its place among all frames that were given, from 0. */
  readonly number: number;
  readonly pixels: Pixels;
}

/** Milliseconds that the steps of a run took. */
export interface RunTimes {
  readonly decode: number;
  readonly preprocess: number;
  readonly run: number;
  readonly load: number;
}

/** One run of a model on an image, whatever its task. */
export interface Run<A extends Answer = Answer> {
  /** Identifies the run whose attention maps are kept; 0 if none were asked for. */
  readonly run: number;
  readonly checkpoint: string;
  readonly modelTitle: string;
  /** What was asked of it: `classify`, `detect`. */
  readonly task: TaskName;
  /** How much of the model runs; absent if all of it does. */
  readonly share?: Share;
  readonly seen: SeenImage;
  readonly answer: A;
  /** The answers of `RunOptions.posts`, by their names. */
  readonly answers: Readonly<Record<string, A>>;
  readonly probes: readonly Probe[];
  /** What the file itself calls the layer of each probe: `vit.encoder.layer.3`. */
  readonly layers: readonly string[];
  readonly provider: ProviderFacts;
  readonly times: RunTimes;
  readonly preprocessing: readonly PreprocessingLine[];
  readonly inputSize: InputSize;
  /** What was given beside the image; not to be given to another one if it is about this one. */
  readonly given?: Given;
  readonly givenIsOfImage?: true;
  readonly warnings: readonly string[];
}

/** What may be changed from one run to the next. */
export interface RunOptions {
  /** Leave the EXIF orientation unapplied. */
  readonly asStored?: boolean;
  /** Preprocessing set by the user, by `PreprocessingLine.key`. */
  readonly preprocessing?: Readonly<Record<string, string>>;
  readonly imageSize?: Size;
  /** `auto`, `cpu`, `webgpu` … */
  readonly provider?: string;
  /** How answers are computed, by the names they go by; the task's own way without any. */
  readonly posts?: readonly NamedPost[];
  /** What the user gives beside the image: texts, points, a question. */
  readonly given?: Given;
}

/** What a user gives beside the image, by the names of `predict --spec`: texts, a question. */
export type Given = Readonly<Record<string, unknown>>;

/** A way of computing an answer, with its name and the library's words for its settings. */
export interface NamedPost {
  readonly name: string;
  readonly [setting: string]: unknown;
}
