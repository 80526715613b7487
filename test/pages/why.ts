// Explanations as they were recorded (`recordWhy.ts`), asked for with the delays and failures of a
// model that takes its time.
import type { Beside, Explainable, Faithfulness, Shown, Walk } from '../../src/domain/explanation';
import type { CallContext } from '../../src/protocol/channel';
import type { ImagePanelApi } from '../../src/protocol/image';
import type { Region } from '../../src/tasks/run';
import places from '../fixtures/pages/why-places.json';
import walked from '../fixtures/pages/why-walk.json';
import sample from '../fixtures/pages/why-sample.json';
import { failure, shownCase } from './host';

type Recorded = typeof places | typeof sample;

const recorded: Recorded = shownCase === 'why-sample' ? sample : places;
/** Another model, where one stands beside the panel's own. */
const otherRecorded: Recorded = shownCase === 'why-sample' ? places : sample;

const recordedOf = ({ checkpoint }: Beside): Recorded =>
  checkpoint === undefined ? recorded : otherRecorded;

/** The maps of another image are those of the first, turned over from left to right. */
function turnedOver(shown: Shown): Shown {
  if (!shown.map) return shown;
  const { values, grid } = shown.map;
  const [, columns] = grid;
  const over = values.map((_, at) => values[at - (at % columns) + columns - 1 - (at % columns)] ?? NaN);
  return { ...shown, map: { ...shown.map, values: over } };
}

/** What the model of known places sees: shorter side to 71, the middle 64 × 64 of it. */
export const placesRegion: Region = {
  x: 320 - (32 * 480) / 71,
  y: 240 - (32 * 480) / 71,
  width: (64 * 480) / 71,
  height: (64 * 480) / 71,
};

/** The class of a name, as it was recorded. */
export const indexOfSample = (label: string): number => sample.explainable.labels.indexOf(label);

/** Lists of numbers as the arrays that they were. */
const withArrays = <T>(value: unknown, keys: readonly string[]): T => {
  if (Array.isArray(value)) return value.map((each: unknown) => withArrays(each, keys)) as T;
  if (typeof value !== 'object' || value === null) return value as T;
  const entries = Object.entries(value).map(([key, each]: [string, unknown]) => [
    key,
    keys.includes(key) && Array.isArray(each) ? Float32Array.from(each as number[]) : withArrays(each, keys),
  ]);
  return Object.fromEntries(entries) as T;
};

/** Milliseconds of a slow method: long enough to ask for another one meanwhile. */
const slowTime = 1500;

/** A model that takes its time, and tells how far it is until nobody wants it any more. */
export async function slowly(what: string, { signal, progress }: CallContext): Promise<void> {
  progress(`${what}, 3 of 50`);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, slowTime);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      window.demo.calls.push({ method: 'explain ended', values: [what] });
      reject(failure('cancelled', 'cancelled'));
    });
  });
}

/** Methods that take long in the slow case. */
const slow = /occlusion|smooth|integrated/;

export const whyApi: Pick<
  ImagePanelApi,
  'explainable' | 'explain' | 'walk' | 'faithfulness' | 'saveTensors'
> = {
  explainable: async (_, about) => {
    if (!shownCase.startsWith('why') || shownCase === 'why-none')
      throw failure('it has no scores of classes and no vector of the image to be explained', 'refused');
    return withArrays<Explainable>(recordedOf(about).explainable, ['scores']);
  },
  explain: async (_, { method, target }, about, call) => {
    if (shownCase === 'why-slow' && slow.test(method)) await slowly(method, call);
    const found = (recordedOf(about).shown as Readonly<Record<string, unknown>>)[`${method} ${target}`];
    if (found === undefined)
      throw failure(`${method}: nothing is recorded of class ${target}. Choose another.`, 'refused');
    const shown = withArrays<Shown>(found, ['values', 'scores']);
    return about.image === undefined ? shown : turnedOver(shown);
  },
  walk: async (_, question) => {
    if (shownCase !== 'why-sample')
      throw failure('No patch can be followed: it has no attention.', 'refused');
    return { ...withArrays<Walk>(walked, ['values']), question };
  },
  faithfulness: async (_, __, ___, call) => {
    if (shownCase === 'why-slow') await slowly('deletion', call);
    return withArrays<Faithfulness>(recorded.faithfulness, ['scores']);
  },
  saveTensors: async () => true,
};
