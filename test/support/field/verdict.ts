import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readArrays, type NumberArray } from './arrays';
import type { Expectation, ExpectedTensors, Json } from './cases';

/** What a command said. */
export interface Answered {
  readonly status: number;
  /** Its JSON; empty if it printed none. */
  readonly answer: Json;
  readonly stderr: string;
  /** Tensors that it wrote. */
  readonly written?: ReadonlyMap<string, NumberArray> | undefined;
  /** Paths that are no words of the answer, the longest first. */
  readonly paths: readonly string[];
}

/** Largest distance of probabilities and of output tensors if a check states none. */
const probabilityTolerance = 5e-4;
const tensorTolerance = 2e-4;

/** Keys of an answer whose values are names and paths. */
const noWords = ['path', 'image', 'out', 'unused', 'tensors', 'attention', 'picture'];

const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** All the text of an answer but what these keys hold. */
function words(value: unknown, skipped: readonly string[]): string {
  if (Array.isArray(value)) return value.map((item) => words(item, skipped)).join(' ');
  if (!isRecord(value)) return String(value);
  return Object.entries(value)
    .filter(([key]) => !skipped.includes(key))
    .map(([key, item]) => `${key} ${words(item, skipped)}`)
    .join(' ');
}

const has = (text: string, alternatives: string): boolean =>
  alternatives.split('|').some((word) => text.toLowerCase().includes(word.toLowerCase()));

/** Texts of an answer that clauses search, without paths. */
interface Texts {
  readonly said: string;
  readonly warned: string;
  readonly message: string;
}

function textsOf({ answer, stderr, paths }: Answered, { mentions }: Expectation): Texts {
  const bare = (text: string): string => paths.reduce((rest, path) => rest.replaceAll(path, ''), text);
  const { error } = answer;
  const skipped = mentions && mentions.length > 0 ? noWords : [...noWords, 'siblings'];
  const warnings = Array.isArray(answer['warnings']) ? answer['warnings'] : [];
  const message = isRecord(error) ? error['message'] : error;
  return {
    said: bare(`${words(answer, skipped)} ${stderr}`),
    warned: bare(warnings.map(String).join(' ')),
    message: bare(message ? String(message) : '') || bare(stderr).trim(),
  };
}

const short = (text: string): string => text.slice(0, 110);

/** Clauses that only an answer can meet. */
const figures: readonly (keyof Expectation)[] = [
  ...(['family', 'params', 'buffers', 'task', 'classes', 'state_dict', 'image_size'] as const),
  ...(['config', 'part_of', 'top', 'tensors'] as const),
];

/** What of an expectation does not hold; nothing if all does. `folder` is that of the case. */
export function verdict(expect: Expectation, got: Answered, folder: string): readonly string[] {
  const { answer, status } = got;
  const failed = status !== 0 && Object.keys(answer).length === 0;
  const refused = Boolean(answer['error']) || failed || (status !== 0 && status !== 1);
  const texts = textsOf(got, expect);
  const why = [...anyOf(expect, got, folder), ...outcomeOf(expect, refused, texts)];
  if (refused && figures.some((clause) => expect[clause] !== undefined))
    return [...why, `refused: ${short(texts.message)}`];
  return [
    ...why,
    ...figuresOf(expect, answer),
    ...textOf(expect, texts),
    ...shareOf(expect, answer, texts.warned),
    ...topOf(expect, answer),
    ...(expect.tensors ? tensorsOf(expect.tensors, got, folder) : []),
  ];
}

function anyOf({ any }: Expectation, got: Answered, folder: string): readonly string[] {
  const tries = (any ?? []).map((expect) => verdict(expect, got, folder));
  if (!any || tries.some((why) => why.length === 0)) return [];
  return [`none of: ${tries.map((why) => short(why.join('; '))).join(' / ')}`];
}

function outcomeOf({ outcome }: Expectation, refused: boolean, { message }: Texts): readonly string[] {
  if (outcome === undefined || (outcome === 'refused') === refused) return [];
  return [`${refused ? 'refused' : 'opens'} for ${outcome}: ${short(message)}`];
}

const difference = (what: string, found: unknown, right: unknown): string =>
  `${what} ${JSON.stringify(found)} for ${JSON.stringify(right)}`;

function figuresOf(expect: Expectation, answer: Json): readonly string[] {
  const why: string[] = [];
  const config = isRecord(answer['config']) ? answer['config'] : {};
  const hold = (what: string, found: unknown, right: unknown): void => {
    if (right !== undefined && !isDeepStrictEqual(found ?? null, right))
      why.push(difference(what, found, right));
  };
  for (const key of ['family', 'params', 'buffers', 'task', 'state_dict'] as const) {
    const [found, right] = [answer[key] ?? null, expect[key]];
    const isOne = Array.isArray(right) && right.some((each) => isDeepStrictEqual(found, each));
    if (!isOne) hold(key, found, right);
  }
  hold('image_size', answer['image_size'], expect.image_size);
  hold('classes', config['classes'], expect.classes);
  for (const [key, right] of Object.entries(expect.config ?? {})) hold(key, config[key], right);
  return why;
}

function textOf(expect: Expectation, { said, warned, message }: Texts): readonly string[] {
  const { mentions = [], never_mentions: never = [], warns = [] } = expect;
  return [
    ...mentions
      .filter((words) => !has(said, words))
      .map((words) => `does not say ${words}: ${short(message || warned)}`),
    ...never.filter((words) => has(said, words)).map((words) => `says ${words}: ${short(message || warned)}`),
    ...warns
      .filter((words) => !has(warned, words))
      .map((words) => `no warning of ${words}: ${short(warned)}`),
  ];
}

/** All parameters are counted, or a warning names the whole, or the share in percent within 1. */
function shareOf({ part_of: whole }: Expectation, answer: Json, warned: string): readonly string[] {
  if (whole === undefined) return [];
  const params = typeof answer['params'] === 'number' ? answer['params'] : 0;
  const share = (100 * params) / whole;
  const plain = warned.replace(/(?<=\d)[,.\s_'](?=\d{3}(\D|$))/g, '');
  const percents = [...warned.matchAll(/(\d+(?:\.\d+)?)\s*(?:%|per ?cent)/g)].map((match) =>
    Number(match[1]),
  );
  const isNear = percents.some((x) => Math.abs(x - share) <= 1 || Math.abs(x - (100 - share)) <= 1);
  if (params === whole || plain.includes(String(whole)) || isNear) return [];
  return [`counts ${params} of ${whole} elements without a warning of the share: ${short(warned)}`];
}

function topOf(
  { top: right, tolerance = probabilityTolerance }: Expectation,
  answer: Json,
): readonly string[] {
  if (!right) return [];
  const top = (Array.isArray(answer['top']) ? answer['top'] : []) as readonly Json[];
  if (top.length < right.length) return [`top of ${top.length}`];
  for (const [place, expected] of right.entries()) {
    const found = top[place] ?? {};
    const isLabelled = expected.label === undefined || found['label'] === expected.label;
    if (found['index'] !== expected.index || !isLabelled) return [difference('top', found, expected)];
    const score = found['probability'] ?? found['score'] ?? found['value'];
    if (typeof score !== 'number' || !(Math.abs(score - expected.probability) <= tolerance))
      return [difference('probability', score, expected)];
  }
  return [];
}

function tensorsOf(
  { file, names, as, tolerance = tensorTolerance }: ExpectedTensors,
  { written }: Answered,
  folder: string,
): readonly string[] {
  const right = readArrays(join(folder, file));
  return names.flatMap((name) => {
    const [expected, found] = [right?.get(name), written?.get(as ?? name)];
    if (!expected) return [`${file} has no ${name}`];
    if (!found) return [`no ${as ?? name} but ${[...(written?.keys() ?? [])].join()}`];
    if (found.values.length !== expected.values.length)
      return [difference(name, found.shape, expected.shape)];
    const distance = expected.values.reduce((most, value, index) => {
      const each = Math.abs(value - (found.values[index] ?? Number.NaN));
      return Number.isNaN(each) ? Infinity : Math.max(most, each);
    }, 0);
    return distance <= tolerance ? [] : [`${name} off by ${distance.toPrecision(2)}`];
  });
}

/** The file with a run's inputs: that of the tensors which it must answer. */
export const inputsOf = ({ tensors, any }: Expectation): string | undefined =>
  tensors?.file ?? any?.map(inputsOf).find((file) => file !== undefined);
