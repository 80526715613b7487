import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors, type NamedTensor } from '../checkpoint/formats/safetensorsWriter';
import { pushAll } from '../domain/lists';
import { formatMilliseconds } from '../domain/units';
import type { TaskName } from '../domain/taskName';
import type { Answer } from '../tasks/answer';
import type { NamedPost, Run, SeenImage } from '../tasks/run';
import type { AnswerFiles, IdMap, OutputTensor } from '../tasks/task';
import { textsIn } from '../tasks/words';
import type { PathRunner } from '../useCases/run';
import { answerFiles, answerFormats, answerLines, answerName, answerNameOf, whyNot } from '../tasks/tasks';
import { baseName } from '../tasks/formats';
import { idPng } from '../tasks/post/png';
import { requireFolder } from './output';
import type { Outcome, Session } from './session';
import { textsGiven, UsageError, type Options } from './usage';

/** What a `--spec` may say: what a user gives, and how answers are computed. */
interface Spec {
  readonly given?: Readonly<Record<string, unknown>>;
  readonly post?: readonly NamedPost[];
}

/** What is said if a task is asked for without the words that it needs. */
const neededWords: Partial<Readonly<Record<TaskName, string>>> = {
  'zero-shot': '--label is missing: say what an image may show, once or several times',
  ask: '--question is missing: say what is to be known of the image',
};

/** `vitrine predict`: whatever the model is for; `vitrine detect` and the like: one task alone. */
export async function predict(
  session: Session,
  [checkpoint = '', ...images]: readonly string[],
  task?: TaskName,
): Promise<void> {
  const { spec: file, out } = session.options;
  const spec: Spec = { ...specOf(session.options, task), ...(file !== undefined && (await readSpec(file))) };
  const lacking = task && !spec.given ? neededWords[task] : undefined;
  if (lacking !== undefined) throw new UsageError(lacking);
  if (out !== '') await requireFolder(out);
  const kind = await reads(session, checkpoint);
  if (kind === 'texts' && images.length === 0) return askAboutTexts(session, checkpoint, spec);
  if (images.length === 0)
    throw new UsageError('no image is named: what the model is asked about is missing');
  let count = 0;
  const answer = async (image: string, frames: readonly string[]): Promise<Outcome> => {
    const { imageSize, provider, asStored, top } = session.options;
    const runner = await session.runner();
    const run = await runner.classify({
      checkpoint,
      model: await session.settings(),
      image,
      frames,
      options: {
        imageSize,
        provider,
        asStored,
        ...(spec.post && { posts: spec.post }),
        ...(spec.given && { given: spec.given }),
      },
      topK: top,
      displaySide: 0,
    });
    if (task && run.task !== task) throw new Error(await otherTask(session, checkpoint, task, run));
    const answers =
      Object.keys(run.answers).length > 0 ? run.answers : { [answerName(run.answer)]: run.answer };
    const files = Object.entries(answers).map(([name, each]) => [name, answerFiles(each)] as const);
    const index = count++;
    const written = await session.heeding(() => writeAnswers(out, index, files));
    const { files: others, warnings } = await session.heeding(() =>
      writeFormats(out, index, answers, run.seen),
    );
    const json = {
      path: checkpoint,
      images: frames,
      task: run.task,
      provider: run.provider.used,
      milliseconds: run.times,
      answers: written,
      ...generationOf(files),
      ...(others.length > 0 && { files: others }),
      warnings: [...run.warnings, ...warnings],
    };
    return { json, text: predictText(image, { ...run, warnings: json.warnings }) };
  };
  // All images are the frames of one clip, if the model reads such.
  const isClip = kind === 'clips';
  const framesOf = (image: string): readonly string[] => (isClip ? images : [image]);
  await session.each(
    isClip ? images.slice(0, 1) : images,
    (image) => answer(image, framesOf(image)),
    (image) => ({ path: checkpoint, images: framesOf(image) }),
  );
}

/** What a checkpoint reads; one that cannot be opened is told of with its first image. */
async function reads(session: Session, checkpoint: string): ReturnType<PathRunner['reads']> {
  const model = await session.settings();
  const runner = await session.runner();
  return runner.reads({ checkpoint, model }).catch(() => 'images' as const);
}

/** Asks a model that reads no image about the texts that are given. */
async function askAboutTexts(session: Session, checkpoint: string, spec: Spec): Promise<void> {
  const { given = {} } = spec;
  const texts = textsIn(given, 'text');
  if (texts.length === 0) throw new UsageError('--text is missing: say what the model is to read');
  const { predictTexts } = await import('./texts');
  await predictTexts(session, checkpoint, { texts, given });
}

/** What the command's own options say. */
function specOf(
  { threshold, labels, template, prompt, question, texts, as }: Options,
  task: TaskName = 'detect',
): Spec {
  const given = {
    ...textsGiven({ labels, template }),
    ...(prompt !== undefined && { prompt }),
    ...(question !== undefined && { question }),
    ...(texts.length > 0 && { text: texts, as: as ?? 'usual' }),
  };
  return {
    ...(threshold !== undefined && { post: [{ name: answerNameOf(task), threshold }] }),
    ...(Object.keys(given).length > 0 && { given }),
  };
}

/** Why a model is not asked what it is not for. */
async function otherTask(
  session: Session,
  checkpoint: string,
  task: TaskName,
  { task: own, modelTitle }: Run,
): Promise<string> {
  const reason = whyNot(task, await session.open(checkpoint)) ?? 'it is not asked that';
  return `${modelTitle} is for another task, ${own}: ${reason}; vitrine predict asks what it is for`;
}

/** Writes answers as files of other tools, and says which, and what is to be said of them. */
async function writeFormats(
  folder: string,
  index: number,
  answers: Readonly<Record<string, Answer>>,
  { image, size: [width, height] }: SeenImage,
): Promise<{ readonly files: readonly string[]; readonly warnings: readonly string[] }> {
  const files: string[] = [];
  const warnings: string[] = [];
  if (folder === '') return { files, warnings };
  const named = { name: baseName(image), size: [height, width] } as const;
  for (const [name, answer] of Object.entries(answers))
    for (const { ending, isMap, content } of answerFormats(answer)) {
      // Maps are written with the answer itself.
      if (isMap) continue;
      const { data, warning } = await content(answer, named);
      const file = join(folder, `${index}-${ending.startsWith(`${name}.`) ? '' : `${name}.`}${ending}`);
      await writeFile(file, data);
      files.push(file);
      if (warning !== undefined) warnings.push(`${file}: ${warning}`);
    }
  return { files, warnings };
}

/** Bytes of a specification, which a person writes. */
const largestSpec = 16e6;

async function readSpec(file: string): Promise<Spec> {
  const bytes = await readFile(file);
  if (bytes.length > largestSpec)
    throw new Error(`${file}: ${bytes.length} bytes found, at most ${largestSpec} are read`);
  const spec: unknown = parsed(file, bytes.toString('utf8'));
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec))
    throw new Error(`${file}: an object with given, post or generation is needed`);
  const { given: stated, post, seed, generation } = spec as Readonly<Record<string, unknown>>;
  const isGiven = typeof stated === 'object' && stated !== null;
  const given =
    isGiven || seed !== undefined || generation !== undefined
      ? {
          ...(isGiven && stated),
          ...(seed !== undefined && { seed }),
          ...(generation !== undefined && { generation }),
        }
      : undefined;
  const isNamed = (each: unknown): each is NamedPost =>
    typeof each === 'object' && each !== null && typeof (each as NamedPost).name === 'string';
  if (post !== undefined && !(Array.isArray(post) && post.every(isNamed)))
    throw new Error(`${file}: post is a list of objects with a name`);
  return {
    ...(given && { given }),
    ...(post !== undefined && { post }),
  };
}

function parsed(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** Generated texts of all answers. */
function generationOf(files: readonly (readonly [name: string, files: AnswerFiles])[]): object {
  const generation = files.flatMap(([, { generation: own = [] }]) => own);
  return generation.length > 0 ? { generation } : {};
}

type Written = Readonly<Record<string, object>>;

/** Writes maps and tensors of an image's answers beside one another, and says which. */
async function writeAnswers(
  folder: string,
  index: number,
  answers: readonly (readonly [name: string, files: AnswerFiles])[],
): Promise<Written> {
  const tensors: OutputTensor[] = [];
  const written = [];
  for (const [name, { list, maps = [], tensors: own = [] }] of answers) {
    const drawn = [];
    for (const [at, map] of maps.entries())
      drawn.push({ file: await writeMap(folder, `${index}-${name}-${at}.png`, map), ids: map.areas });
    pushAll(tensors, own);
    written.push([
      name,
      {
        ...(list && { list }),
        ...(maps.length > 0 && { maps: drawn }),
        ...(own.length > 0 && { tensors: own.map((tensor) => tensor.name) }),
      },
    ] as const);
  }
  if (tensors.length > 0 && folder !== '')
    await writeSafetensors(join(folder, `${index}.safetensors`), tensors.map(asNamed));
  return Object.fromEntries(written);
}

const asNamed = ({ name, shape, values }: OutputTensor): NamedTensor => ({
  name,
  dtype: 'F32',
  shape,
  bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
});

/** Writes a map of ids as a grey PNG; without a folder it is only named. */
async function writeMap(folder: string, name: string, { width, height, ids }: IdMap): Promise<string> {
  if (folder === '') return '';
  await mkdir(folder, { recursive: true });
  const file = join(folder, name);
  await writeFile(file, await idPng({ size: [height, width], ids }));
  return file;
}

function predictText(image: string, run: Run): string {
  const { times, provider } = run;
  const time = formatMilliseconds(times.decode + times.preprocess + times.run);
  return [
    `${image}: ${run.modelTitle}, ${provider.used}, ${time} (loading ${formatMilliseconds(times.load)})`,
    ...answerLines(Object.values(run.answers)[0] ?? run.answer).map((line) => `  ${line}`),
    ...run.warnings.map((warning) => `  warning: ${warning}`),
    '',
  ].join('\n');
}
