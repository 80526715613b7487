import type { ColourMap } from '../../../src/attention/colourMaps';
import type {
  Beside,
  Explainable,
  ExplainQuestion,
  OfferedMethod,
  Shown,
} from '../../../src/domain/explanation';
import { formatBytes, formatMilliseconds, formatNumber } from '../../../src/domain/units';
import type { Run, RunOptions } from '../../../src/tasks/run';
import { baseName } from '../../../src/tasks/formats';

/** What one column explains; what nobody chose is the first that can be. */
export interface ColumnChoice extends Beside {
  readonly method: string | null;
  readonly target: number | null;
}

/** How explanations are looked at; kept with the panel. */
export interface WhySettings {
  /** One column, or two beside one another. */
  readonly columns: readonly ColumnChoice[];
  readonly opacity: number;
  /** Values between the centres of cells are interpolated. */
  readonly smooth: boolean;
  /** Low values let the image through. */
  readonly fade: boolean;
  /** Colours end at the 99th percentile. */
  readonly clipped: boolean;
  /** The map of the user's settings if it is null. */
  readonly colourMap: ColourMap | null;
  /** Methods whose maps were drawn, and whether they are to be tested. */
  readonly tested: Readonly<Record<string, boolean>>;
}

export const initialWhy: WhySettings = {
  columns: [{ method: null, target: null }],
  opacity: 0.85,
  smooth: true,
  fade: true,
  clipped: false,
  colourMap: null,
  tested: {},
};

/** One image and one model that are explained. */
export interface Subject {
  readonly about: Beside;
  readonly options: RunOptions;
  readonly view: Run;
  readonly explainable: Explainable;
  /** `cat.jpg × vitrine-sample` */
  readonly title: string;
}

/** What of a column's choice is not the panel's own. */
export const aboutOf = ({ image, checkpoint }: Beside): Beside => ({
  ...(image !== undefined && { image }),
  ...(checkpoint !== undefined && { checkpoint }),
});

export const isSameSubject = (one: Beside, other: Beside): boolean =>
  one.image === other.image && one.checkpoint === other.checkpoint;

/** A checkpoint as lists name it. */
export interface NamedCheckpoint {
  readonly path: string;
  readonly label: string;
}

/** What a column is about, by its files. */
export const titleOf = (image: string, checkpoint: string, checkpoints: readonly NamedCheckpoint[]): string =>
  `${baseName(image)} × ${checkpoints.find(({ path }) => path === checkpoint)?.label ?? baseName(checkpoint)}`;

/** What a run of other files is asked with: what was set of the panel's model is its own. */
export const besideOptions = (options: RunOptions, { checkpoint }: Beside): RunOptions => {
  const { asStored } = options;
  return checkpoint === undefined ? options : { ...(asStored !== undefined && { asStored }) };
};

/** A drawn explanation under its own name, while a newer one is on its way. */
export interface Drawn {
  readonly subject: Subject;
  readonly question: ExplainQuestion;
  readonly shown: Shown;
}

/** Letters of a class's name on a button. */
const shortName = 24;

/** The first of a class's names, cut if it is long: the whole stands in the tooltip. */
export function shortLabel(label: string): string {
  const [first = label] = label.split(',');
  return first.length > shortName ? `${first.slice(0, shortName - 1)}…` : first;
}

/** Indices of the output's values, the largest first; those that are no numbers at the end. */
export const rankedClasses = ({ scores }: Pick<Explainable, 'scores'>): readonly number[] => {
  const value = (index: number): number => {
    const score = scores[index] ?? NaN;
    return Number.isNaN(score) ? -Infinity : score;
  };
  return Array.from(scores, (_, index) => index).sort((one, other) => {
    const [first, second] = [value(one), value(other)];
    return first === second ? one - other : second > first ? 1 : -1;
  });
};

/** What a column asks, if any method serves: what it chose as far as the model has it. */
export function questionOf(
  { method, target }: ColumnChoice,
  { methods, scores }: Explainable,
  ranked: readonly number[],
): ExplainQuestion | undefined {
  const served = methods.filter(({ whyNot }) => whyNot === undefined);
  const chosen = served.find(({ name }) => name === method) ?? served[0];
  const index = target !== null && target < scores.length ? target : ranked[0];
  return chosen && index !== undefined ? { method: chosen.name, target: index } : undefined;
}

/** The method after another, or before it, among those that serve, going round. */
export function nextMethod(
  methods: readonly OfferedMethod[],
  current: string,
  step: 1 | -1,
): string | undefined {
  const served = methods.filter(({ whyNot }) => whyNot === undefined);
  const at = served.findIndex(({ name }) => name === current);
  return served[(at + step + served.length) % served.length]?.name;
}

/** `2.2 forwards, about 31 ms, 466 MB` */
export const costText = (forwards: number, perForward: number, bytes?: OfferedMethod['bytes']): string => {
  const time = perForward > 0 ? `, about ${formatMilliseconds(forwards * perForward)}` : '';
  const memory = bytes ? `, ${formatBytes(bytes.weights + bytes.kept)}` : '';
  return `${formatNumber(forwards)} ${forwards === 1 ? 'forward' : 'forwards'}${time}${memory}`;
};

/** What a session with derivatives takes; undefined if none is asked for. */
export const memoryText = (bytes: OfferedMethod['bytes']): string | undefined =>
  bytes &&
  `${formatBytes(bytes.weights)} of weights and ${formatBytes(bytes.kept)} of activations, kept for the derivatives.`;

/** What is shown of a class whose place among all is known. */
export interface RankedClass {
  readonly index: number;
  /** Place among all, from 1. */
  readonly rank: number;
}

/** Classes that are listed at once; a search finds the others. */
export const listedClasses = 50;

/**
 * Classes that a search means, the likeliest first: of a number its rank and its index, of words
 * every label that holds them.
 */
export function foundClasses(
  text: string,
  { labels }: Pick<Explainable, 'labels'>,
  ranked: readonly number[],
): readonly RankedClass[] {
  const all = ranked.map((index, place): RankedClass => ({ index, rank: place + 1 }));
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return all;
  const number = /^#?\d+$/.test(wanted) ? Number(wanted.replace('#', '')) : undefined;
  const isMeant = ({ index, rank }: RankedClass): boolean =>
    number !== undefined && (index === number || (rank === number && !wanted.startsWith('#')));
  const byNumber = all.filter(isMeant);
  const byName = all.filter(
    (each) => !isMeant(each) && (labels[each.index] ?? '').toLowerCase().includes(wanted),
  );
  return [...byNumber, ...byName];
}
