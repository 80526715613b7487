import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors, type NamedTensor } from '../checkpoint/formats/safetensorsWriter';
import { pushAll } from '../domain/lists';
import { formatMilliseconds } from '../domain/units';
import type { NamedPost, Run } from '../tasks/run';
import type { AnswerFiles, IdMap, OutputTensor } from '../tasks/task';
import { answerFiles, answerLines, answerName } from '../tasks/tasks';
import { requireFolder } from './output';
import type { Outcome, Session } from './session';

/** What a `--spec` may say: what a user gives, and how answers are computed. */
interface Spec {
  readonly given?: Readonly<Record<string, unknown>>;
  readonly post?: readonly NamedPost[];
}

/** `vitrine predict`: whatever the model is for. */
export async function predict(
  session: Session,
  [checkpoint = '', ...images]: readonly string[],
): Promise<void> {
  const { spec: file, out } = session.options;
  const spec = file === undefined ? {} : await readSpec(file);
  if (out !== '') await requireFolder(out);
  let count = 0;
  const answer = async (image: string): Promise<Outcome> => {
    const { imageSize, provider, asStored, top } = session.options;
    const runner = await session.runner();
    const run = await runner.classify({
      checkpoint,
      model: await session.settings(),
      image,
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
    const answers =
      Object.keys(run.answers).length > 0 ? run.answers : { [answerName(run.answer)]: run.answer };
    const files = Object.entries(answers).map(([name, each]) => [name, answerFiles(each)] as const);
    const written = await session.heeding(() => writeAnswers(out, count++, files));
    const json = {
      path: checkpoint,
      images: [image],
      task: run.task,
      provider: run.provider.used,
      milliseconds: run.times,
      answers: written,
      warnings: run.warnings,
    };
    return { json, text: predictText(image, run) };
  };
  await session.each(images, answer, (image) => ({ path: checkpoint, images: [image] }));
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
  const { given, post } = spec as Readonly<Record<string, unknown>>;
  const isNamed = (each: unknown): each is NamedPost =>
    typeof each === 'object' && each !== null && typeof (each as NamedPost).name === 'string';
  if (post !== undefined && !(Array.isArray(post) && post.every(isNamed)))
    throw new Error(`${file}: post is a list of objects with a name`);
  return {
    ...(typeof given === 'object' && given !== null && { given: given as Spec['given'] }),
    ...(post !== undefined && { post: post as readonly NamedPost[] }),
  } as Spec;
}

function parsed(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
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

/** Writes a map of ids as an 8-bit grey PNG; without a folder it is only named. */
async function writeMap(folder: string, name: string, { width, height, ids }: IdMap): Promise<string> {
  if (folder === '') return '';
  const { default: sharp } = await import('sharp');
  await mkdir(folder, { recursive: true });
  const file = join(folder, name);
  await sharp(ids, { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toFile(file);
  return file;
}

function predictText(image: string, run: Run): string {
  const { times, provider } = run;
  const time = formatMilliseconds(times.decode + times.preprocess + times.run);
  return [
    `${image}: ${run.modelTitle}, ${provider.used}, ${time} (loading ${formatMilliseconds(times.load)})`,
    ...answerLines(run.answer).map((line) => `  ${line}`),
    ...run.warnings.map((warning) => `  warning: ${warning}`),
    '',
  ].join('\n');
}
