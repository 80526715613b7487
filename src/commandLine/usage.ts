import type { Size } from '../domain/size';
import type { TaskName } from '../domain/taskName';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import type { ConfigValue } from '../architectures/family';
import { parseValue } from '../architectures/valueText';
import { parseSize } from '../domain/units';
import { lengthNames } from '../domain/lengths';
import type { Given } from '../tasks/run';

/** The command line was not understood; exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A message as the single line that standard error has for it. */
export function oneLine(message: string): string {
  return message.replace(/\s*\n\s*/g, ' ');
}

/** Options of all commands; each command reads its own. */
export interface Options {
  readonly json: boolean;
  readonly assume: Readonly<Record<string, ConfigValue>>;
  readonly stateDict?: string;
  readonly byStructure: boolean;
  /** A file that says what each tensor is taken for. */
  readonly mapping?: string;
  readonly adapter?: string;
  readonly classes?: string;
  readonly imageSize?: Size;
  readonly provider: string;
  readonly asStored: boolean;
  readonly batch: number;
  /** Texts, tokens, frames and prompts that a model is counted for; its own without them. */
  readonly lengths: Readonly<Record<string, number>>;
  /** The only part of a model that is exported. */
  readonly part?: string;
  readonly top: number;
  readonly format: 'markdown' | 'csv';
  readonly layer: string;
  readonly head: string;
  readonly query?: string;
  /** Folder whose images are compared with one. */
  readonly among?: string;
  /** How attention is read, or which methods explain an answer. */
  readonly method: string;
  /** The class that is explained, by number or name, and one that it is held against. */
  readonly target?: string;
  readonly contrast?: string;
  readonly inputs: string;
  readonly out: string;
  /** A JSON file that says what is given to the model, and how answers are computed. */
  readonly spec?: string;
  /** Score above which a box counts; the task's own without it. */
  readonly threshold?: number;
  /** What an image may show, and what each is put into. */
  readonly labels: readonly string[];
  readonly template?: string;
  /** Words that a text goes on from. */
  readonly prompt?: string;
  /** What is to be known of an image. */
  readonly question?: string;
  /** Texts that a model is to read, each by itself. */
  readonly texts: readonly string[];
  /** Which of several things a model is to make of them. */
  readonly as?: string;
}

export interface Invocation {
  readonly command: CommandName;
  readonly paths: readonly string[];
  readonly options: Options;
}

interface CommandUsage {
  readonly synopsis: string;
  readonly purpose: string;
  /** Number of paths: at least, and at most if there is a limit. */
  readonly paths: readonly [number, number?];
  readonly options: readonly (keyof typeof optionTypes)[];
  readonly required?: readonly string[];
  /** What is asked of the model, whatever else it is for. */
  readonly task?: TaskName;
}

const optionTypes = {
  json: { type: 'boolean' },
  assume: { type: 'string', multiple: true },
  'state-dict': { type: 'string' },
  'by-structure': { type: 'boolean' },
  mapping: { type: 'string' },
  adapter: { type: 'string' },
  classes: { type: 'string' },
  'image-size': { type: 'string' },
  provider: { type: 'string' },
  'as-stored': { type: 'boolean' },
  batch: { type: 'string' },
  lengths: { type: 'string' },
  part: { type: 'string' },
  top: { type: 'string' },
  markdown: { type: 'boolean' },
  csv: { type: 'boolean' },
  layer: { type: 'string' },
  head: { type: 'string' },
  query: { type: 'string' },
  among: { type: 'string' },
  method: { type: 'string' },
  inputs: { type: 'string' },
  out: { type: 'string' },
  spec: { type: 'string' },
  class: { type: 'string' },
  contrast: { type: 'string' },
  threshold: { type: 'string' },
  label: { type: 'string', multiple: true },
  template: { type: 'string' },
  prompt: { type: 'string' },
  question: { type: 'string' },
  text: { type: 'string', multiple: true },
  as: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsConfig['options'];

const model = [
  'json',
  'assume',
  'state-dict',
  'by-structure',
  'mapping',
  'adapter',
  'image-size',
  'help',
] as const;
const run = [...model, 'provider'] as const;
const predict = [...run, 'as-stored', 'top', 'classes', 'spec', 'out'] as const;

/** Every command; the help text and the checks are read from it. */
export const commands = {
  inspect: {
    synopsis: '<path>... [--lengths texts=4,text=11,decoder=4,frames=16]',
    purpose: 'what the file is, with the evidence',
    paths: [1],
    options: [...model, 'classes', 'lengths'],
  },
  complexity: {
    synopsis: '<path>... [--image-size 224|HxW] [--batch 1] [--lengths text=77,…] [--markdown|--csv]',
    purpose: 'parameters, MACs and memory by part and module',
    paths: [1],
    options: [...model, 'batch', 'lengths', 'markdown', 'csv'],
  },
  classify: {
    synopsis: '<checkpoint> <image>... [--top 5] [--classes FOLDER|FILE]',
    purpose: 'labels of images',
    paths: [2],
    options: [...run, 'as-stored', 'top', 'classes'],
  },
  predict: {
    synopsis: '<checkpoint> [<image>...] [--text TEXT] [--spec FILE.json] [--out FOLDER]',
    purpose: 'whatever the model is for: classes, boxes, masks, depth, words; of a clip, its frames in order',
    paths: [1],
    options: [...predict, 'text', 'as'],
  },
  detect: {
    task: 'detect',
    synopsis: '<checkpoint> <image>... [--threshold 0.5] [--label TEXT]... [--out FOLDER]',
    purpose:
      'boxes of objects, of what the labels say if the model reads words; in a folder as COCO JSON, CSV and YOLO text',
    paths: [2],
    options: [...predict, 'threshold', 'label', 'template'],
  },
  segment: {
    task: 'segment',
    synopsis: '<checkpoint> <image>... [--out FOLDER]',
    purpose: 'what is where; in a folder as maps of ids, COCO JSON and run lengths',
    paths: [2],
    options: predict,
  },
  depth: {
    task: 'depth',
    synopsis: '<checkpoint> <image>... [--out FOLDER]',
    purpose: 'how far away things are; in a folder as 16-bit PNG, .npy and tensors',
    paths: [2],
    options: predict,
  },
  keypoints: {
    task: 'keypoints',
    synopsis: '<checkpoint> <image>... [--threshold 0.3] [--out FOLDER]',
    purpose:
      'where parts of a body are, the whole image taken for one person; in a folder as COCO JSON and CSV',
    paths: [2],
    options: [...predict, 'threshold'],
  },
  'zero-shot': {
    task: 'zero-shot',
    synopsis: '<checkpoint> <image>... --label TEXT [--label TEXT]... [--template "a photo of a {}"]',
    purpose: 'how well each of several texts fits an image',
    paths: [2],
    options: [...predict, 'label', 'template'],
  },
  caption: {
    task: 'caption',
    synopsis: '<checkpoint> <image>... [--prompt "a photo of"]',
    purpose: 'what an image shows, or what is written on it, in words',
    paths: [2],
    options: [...predict, 'prompt'],
  },
  ask: {
    task: 'ask',
    synopsis: '<checkpoint> <image>... --question TEXT',
    purpose: 'what a model answers to a question about an image',
    paths: [2],
    options: [...predict, 'question'],
  },
  video: {
    task: 'video',
    synopsis: '<checkpoint> <folder|file|frame>...',
    purpose:
      'classes of one clip: a folder of frames, an animated GIF or WebP, a TIFF of several pages, a video (ffmpeg), or its frames in order',
    paths: [2],
    options: predict,
  },
  reconstruct: {
    task: 'reconstruct',
    synopsis: '<checkpoint> <image>... [--spec FILE.json] [--out FOLDER]',
    purpose: 'hidden patches as a model draws them; in a folder as tensors',
    paths: [2],
    options: predict,
  },
  restore: {
    task: 'restore',
    synopsis: '<checkpoint> <image>... [--out FOLDER]',
    purpose: 'the image enlarged or mended, as the model was trained for; in a folder as PNG and tensors',
    paths: [2],
    options: predict,
  },
  translate: {
    task: 'translate',
    synopsis: '<checkpoint> --text TEXT [--text TEXT]... [--as NAME] [--out FOLDER]',
    purpose: 'a text about a text, token by token; in a folder what every token looked at',
    paths: [1, 1],
    options: [...predict, 'text', 'as'],
  },
  attention: {
    synopsis:
      '<checkpoint> <image> [--layer last|all|N] [--head mean|max|all|N] [--query cls|dist|regN|topN|qN|ROW,COL|mean] [--method raw|rollout] --out PICTURE.png',
    purpose: 'where the model looks, as a picture',
    paths: [2, 2],
    options: [...run, 'as-stored', 'layer', 'head', 'query', 'method', 'out'],
    required: ['out'],
  },
  explain: {
    synopsis:
      '<checkpoint> <image>|--inputs TENSORS.safetensors --method NAME[,NAME]|all|nearest [--among FOLDER [--top 5]] [--class N|NAME] [--contrast N|NAME] [--query N] [--label TEXT]... [--layer MODULE] --out TENSORS.safetensors|PICTURE.png|PICTURE.svg',
    purpose: 'why an answer: gradients, relevance, activation maps, heads, tokens, weights, curves',
    paths: [1, 2],
    options: [
      ...run,
      'as-stored',
      'classes',
      'method',
      'class',
      'contrast',
      'layer',
      'query',
      'among',
      'top',
      'label',
      'template',
      'inputs',
      'spec',
      'out',
    ],
    required: ['method', 'out'],
  },
  preprocess: {
    synopsis: '<checkpoint|config.json|preprocessor_config.json> <image> --out TENSORS.safetensors',
    purpose: 'what the model would see',
    paths: [2, 2],
    options: [...model, 'as-stored', 'out'],
    required: ['out'],
  },
  run: {
    synopsis: '<checkpoint> --inputs TENSORS.safetensors --out TENSORS.safetensors',
    purpose: 'outputs and attention maps for given tensors',
    paths: [1, 1],
    options: [...run, 'inputs', 'out'],
    required: ['inputs', 'out'],
  },
  export: {
    synopsis: '<checkpoint> --out MODEL.onnx [--part NAME] [--lengths text=77,…]',
    purpose:
      'a self-contained ONNX file; above 2 GB with MODEL.onnx.data beside it; several parts as MODEL.image.onnx, MODEL.text.onnx …',
    paths: [1, 1],
    options: [...model, 'lengths', 'part', 'out'],
    required: ['out'],
  },
  providers: {
    synopsis: '',
    purpose: 'what can run models on this machine, and what is missing for the rest, by library and package',
    paths: [0, 0],
    options: ['json', 'help'],
  },
} as const satisfies Record<string, CommandUsage>;

export type CommandName = keyof typeof commands;

/** What a command asks of a model; undefined if it asks whatever the model is for. */
export const taskOfCommand = (command: CommandName): TaskName | undefined =>
  (commands[command] as CommandUsage).task;

const commonHelp = [
  '--json                 one JSON object per line, one line per path',
  '--assume KEY=VALUE     a hyper-parameter the weights lack, repeatable: heads=6, window=3,5',
  '--state-dict NAME      which of several in the file',
  '--by-structure         read a file whose names say nothing by shapes and order',
  '--adapter FOLDER       a LoRA adapter of PEFT to apply',
  '--classes FOLDER|FILE  class names: sub-folders as ImageFolder sorts them, or classes.txt, labels.json …',
  '--mapping FILE.json    what tensors are taken for, as inspect --by-structure --json prints it',
  '--image-size N|HxW     in pixels; the model’s own by default',
  '--lengths NAME=N,…     what is counted: texts, text (tokens), decoder (tokens), frames, prompts, points, boxes',
  '--provider NAME        auto (default), cpu, webgpu, cuda, dml, coreml',
  '--spec FILE.json       what is given to the model and how answers are computed: given, post, generation',
  '--as-stored            do not apply the EXIF orientation',
];

/** The help text. */
export function helpText(): string {
  const rows = Object.entries<CommandUsage>(commands).map(
    ([name, { synopsis, purpose }]) => `  vitrine ${name} ${synopsis}\n      ${purpose}`,
  );
  return ['Usage:', ...rows, '', 'Options:', ...commonHelp.map((line) => `  ${line}`), ''].join('\n');
}

/**
 * Understands the arguments after the program's name; undefined if help was asked for. Throws
 * `UsageError`.
 */
export function parseInvocation(argv: readonly string[]): Invocation | undefined {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') return undefined;
  if (!Object.hasOwn(commands, name))
    throw new UsageError(`unknown command ${name}; known are ${Object.keys(commands).join(', ')}`);
  const command = name as CommandName;
  const usage: CommandUsage = commands[command];
  const { values, positionals } = parse(usage, rest);
  if (values.help) return undefined;
  const [least, most = Infinity] = usage.paths;
  if (positionals.length < least || positionals.length > most)
    throw new UsageError(`${positionals.length} paths given; usage: vitrine ${command} ${usage.synopsis}`);
  for (const option of usage.required ?? [])
    if (!(option in values))
      throw new UsageError(`--${option} is missing; usage: vitrine ${command} ${usage.synopsis}`);
  return { command, paths: positionals, options: readOptions(values) };
}

type Values = ReturnType<typeof parse>['values'];

function parse(usage: CommandUsage, argv: readonly string[]) {
  const allowed = Object.fromEntries(
    usage.options.map((option) => [option, optionTypes[option]]),
  ) as typeof optionTypes;
  try {
    return parseArgs({ args: [...argv], options: allowed, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function readOptions(values: Values): Options {
  return {
    json: values.json ?? false,
    assume: Object.fromEntries((values.assume ?? []).map(parseAssumption)),
    stateDict: values['state-dict'],
    byStructure: values['by-structure'] ?? false,
    mapping: values.mapping,
    adapter: values.adapter,
    classes: values.classes,
    imageSize: values['image-size'] === undefined ? undefined : sizeOption(values['image-size']),
    provider: values.provider ?? 'auto',
    asStored: values['as-stored'] ?? false,
    batch: parseCount('batch', values.batch ?? '1'),
    lengths: parseLengths(values.lengths ?? ''),
    part: values.part,
    top: parseCount('top', values.top ?? '5'),
    format: values.csv ? 'csv' : 'markdown',
    layer: values.layer ?? 'last',
    head: values.head ?? 'mean',
    query: values.query,
    among: values.among,
    method: values.method ?? 'raw',
    target: values.class,
    contrast: values.contrast,
    inputs: values.inputs ?? '',
    out: values.out ?? '',
    spec: values.spec,
    ...(values.threshold !== undefined && { threshold: parseShare('threshold', values.threshold) }),
    labels: values.label ?? [],
    template: templateOption(values.template),
    ...(values.prompt !== undefined && { prompt: values.prompt }),
    question: values.question,
    texts: values.text ?? [],
    as: values.as,
  };
}

/** `heads=6`, `activation=quick_gelu`, `window=3,5`. */
function parseAssumption(text: string): readonly [string, ConfigValue] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`--assume ${text}: KEY=VALUE needed`);
  try {
    return [text.slice(0, at), parseValue(text.slice(at + 1))];
  } catch (error) {
    throw new UsageError(`--assume ${text}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** `texts=4,text=11`; bounds are the model's own. */
function parseLengths(text: string): Readonly<Record<string, number>> {
  const entries = text
    .split(',')
    .filter(Boolean)
    .map((item): readonly [string, number] => {
      const [name = '', value = ''] = item.split('=').map((part) => part.trim());
      if (!lengthNames.includes(name) || !/^\d{1,6}$/.test(value))
        throw new UsageError(`--lengths ${item}: NAME=N needed, of ${lengthNames.join(', ')}`);
      return [name, Number(value)];
    });
  return Object.fromEntries(entries);
}

/** `224` or `HEIGHTxWIDTH`. */
function sizeOption(text: string): readonly [number, number] {
  const size = parseSize(text);
  if (!size) throw new UsageError(`--image-size ${text}: N or HxW in pixels needed`);
  return size;
}

function parseCount(option: string, text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1)
    throw new UsageError(`--${option} ${text}: a whole number from 1 needed`);
  return count;
}

function parseShare(option: string, text: string): number {
  const share = Number(text);
  if (text.trim() === '' || !(share >= 0 && share <= 1))
    throw new UsageError(`--${option} ${text}: a number from 0 to 1 needed`);
  return share;
}

/** Texts that an image is compared with, as a task is given them. */
export const textsGiven = ({ labels, template }: Partial<Pick<Options, 'labels' | 'template'>>): Given =>
  labels && labels.length > 0 ? { labels, ...(template !== undefined && { template }) } : {};

function templateOption(text: string | undefined): string | undefined {
  if (text !== undefined && !text.includes('{}'))
    throw new UsageError(`--template ${text}: {} is needed where a label is put`);
  return text;
}

export function oneOf<T extends string>(option: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((value) => value === text);
  if (!found) throw new UsageError(`--${option} ${text}: one of ${allowed.join(', ')} needed`);
  return found;
}
