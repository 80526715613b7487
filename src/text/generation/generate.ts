import { at, smallest } from '../../domain/lists';
import { TextError } from '../errors';
import { drawIndex, drawsFrom, type Draw } from './draws';
import { likelihoods, logSoftmax, processes, type Process } from './logits';
import type { GenerationSettings } from './settings';

/**
 * Runs the decoder one step for every row.
 *
 * @param ids tokens of each row, prompt included; the step's input is the last one of each (all of
 *   them in the first step).
 * @param order for each row the row of the step before whose keys and values it goes on from; all 0
 *   in the first two steps, as the first has one row.
 * @returns raw logits of each row's next token, one per token of the vocabulary.
 */
export type NextLogits = (
  ids: readonly (readonly number[])[],
  order: readonly number[],
) => Promise<readonly Float32Array[]>;

/** A generated token. */
export interface GeneratedToken {
  readonly id: number;
  /** Logarithm of its probability among those that the settings let through. */
  readonly score: number;
  /** Row of the step that chose it: where its attention is. */
  readonly row: number;
}

/** Why a sequence goes no further. */
export type Ending = 'end' | 'length' | 'stopped';

export interface GeneratedSequence {
  /** Prompt and new tokens, the end token included. */
  readonly ids: readonly number[];
  readonly tokens: readonly GeneratedToken[];
  /** For beams: the sum of the scores over the length to the power of the length penalty. */
  readonly score?: number;
  readonly ending: Ending;
}

export interface GenerateOptions {
  /** Tokens that the encoder reads. */
  readonly encoderIds?: readonly number[];
  /** Ends the search with what there is. */
  readonly signal?: AbortSignal;
  /** Gets the likeliest sequence after every step. */
  readonly onStep?: (ids: readonly number[]) => void;
}

/** A sequence that is being written. */
interface Row {
  readonly ids: readonly number[];
  readonly tokens: readonly GeneratedToken[];
}

/** What the loop keeps beside the settings. */
interface Search {
  readonly settings: GenerationSettings;
  readonly promptLength: number;
  readonly steps: readonly Process[];
  readonly next: NextLogits;
  readonly options: GenerateOptions;
  readonly draw: Draw;
}

/**
 * Writes on from a prompt as transformers' `generate` does: greedily, by beams, or by draws from
 * the stated seed. The loop is here, the model behind `next`. Best sequence first.
 *
 * Throws `TextError` for a prompt that leaves no room for a token.
 */
export async function generate(
  prompt: readonly number[],
  settings: GenerationSettings,
  next: NextLogits,
  options: GenerateOptions = {},
): Promise<readonly GeneratedSequence[]> {
  if (prompt.length === 0) throw new TextError('there is no token to write on from');
  if (prompt.length >= settings.maxLength)
    throw new TextError(
      `the prompt has ${prompt.length} tokens; ${settings.maxLength} is the most that fits`,
    );
  const search: Search = {
    settings,
    promptLength: prompt.length,
    steps: processes(settings, prompt.length, options.encoderIds),
    next,
    options,
    draw: drawsFrom(settings.seed),
  };
  return settings.beams > 1 ? searchBeams(prompt, search) : searchRows(prompt, search);
}

const ends = ({ end, maxLength }: GenerationSettings, ids: readonly number[]): Ending | undefined => {
  if (end.includes(ids.at(-1) ?? -1)) return 'end';
  return ids.length >= maxLength ? 'length' : undefined;
};

const extended = (row: Row, token: GeneratedToken): Row => ({
  ids: [...row.ids, token.id],
  tokens: [...row.tokens, token],
});

/** Every row for itself: the likeliest token, or one that is drawn. */
async function searchRows(prompt: readonly number[], search: Search): Promise<readonly GeneratedSequence[]> {
  const { settings, options } = search;
  const done: (GeneratedSequence | undefined)[] = Array.from({ length: settings.sequences });
  let open = done.map((_, index) => ({ index, row: { ids: prompt, tokens: [] } as Row }));
  let order: readonly number[] = [0];
  while (open.length > 0) {
    if (options.signal?.aborted) {
      for (const { index, row } of open) done[index] = { ...row, ending: 'stopped' };
      break;
    }
    const isFirst = order.length === 1 && at(open, 0).row.tokens.length === 0;
    const logits = await search.next(isFirst ? [prompt] : open.map(({ row }) => row.ids), order);
    const grown = open.map(({ index, row }, place) => {
      const from = isFirst ? 0 : place;
      return {
        index,
        place: from,
        row: extended(row, { ...chosen(row.ids, at(logits, from), search), row: from }),
      };
    });
    options.onStep?.(at(grown, 0).row.ids);
    for (const { index, row } of grown) {
      const ending = ends(settings, row.ids);
      if (ending !== undefined) done[index] = { ...row, ending };
    }
    const rest = grown.filter(({ index }) => done[index] === undefined);
    order = rest.map(({ place }) => place);
    open = rest.map(({ index, row }) => ({ index, row }));
  }
  return done.filter((each) => each !== undefined);
}

/** The next token of a row and the logarithm of its probability. */
function chosen(ids: readonly number[], logits: Float32Array, { steps, settings, draw }: Search) {
  const scores = Float32Array.from(logits);
  for (const step of steps) step(ids, scores);
  const id = settings.samples ? drawIndex(likelihoods(scores), draw) : likeliest(scores);
  const normal = Float32Array.from(scores);
  logSoftmax(normal);
  return { id, score: at(normal, id) };
}

/** The first of the highest scores. */
function likeliest(scores: Float32Array): number {
  let best = 0;
  for (let id = 1; id < scores.length; id++) if (at(scores, id) > at(scores, best)) best = id;
  return best;
}

/** What a score is lowered by to lose against every other: the library's number. */
const far = -1e9;

/** A continuation of a beam, its score the sum over its new tokens. */
interface Candidate {
  readonly row: Row;
  readonly score: number;
  readonly from: number;
  readonly ending: Ending | undefined;
}

interface Finished {
  readonly row: Row;
  readonly score: number;
  /** Absent for a place that no sequence has taken yet. */
  readonly ending: Ending | undefined;
}

/**
 * Beam search: of all continuations of all beams the best are kept, twice as many as beams so that
 * enough stay open if the best ones end. Scores are 32-bit floats, as the library adds them up.
 */
async function searchBeams(prompt: readonly number[], search: Search): Promise<readonly GeneratedSequence[]> {
  const { settings, options, promptLength } = search;
  const { beams, end } = settings;
  const kept = Math.max(2, 1 + end.length) * beams;
  const first: Row = { ids: prompt, tokens: [] };
  let running = Array.from({ length: beams }, (_, index) => ({
    row: first,
    score: index === 0 ? 0 : far,
    from: 0,
  }));
  let finished: Finished[] = running.map(() => ({ row: first, score: far, ending: undefined }));
  let canImprove = true;
  for (let length = promptLength; ; length++) {
    if (options.signal?.aborted) break;
    const isFirst = length === promptLength;
    const logits = await search.next(
      isFirst ? [prompt] : running.map(({ row }) => row.ids),
      isFirst ? [0] : running.map(({ from }) => from),
    );
    const candidates = bestCandidates(running, logits, isFirst, kept, search);
    finished = finish(finished, candidates, { canImprove, length: length + 1 - promptLength, settings });
    running = best(
      candidates.map(({ row, score, from, ending }) => ({
        row,
        from,
        score: ending === undefined ? score : Math.fround(score + far),
      })),
      beams,
    );
    options.onStep?.(at(running, 0).row.ids);
    canImprove &&= couldImprove(at(running, 0).score, finished, length + 1 - promptLength, search);
    const isFull = settings.earlyStopping === true && finished.every(({ ending }) => ending !== undefined);
    const isOver = candidates.every(({ ending }) => ending !== undefined);
    if (!canImprove || isFull || isOver) break;
  }
  return collect(finished, running, search);
}

/** The best continuations of all beams, or, if tokens are drawn, so many of them. */
function bestCandidates(
  running: readonly { readonly row: Row; readonly score: number }[],
  logits: readonly Float32Array[],
  isFirst: boolean,
  kept: number,
  { steps, settings, draw }: Search,
): readonly Candidate[] {
  const scored = running.map(({ row, score }, index) => {
    const own = Float32Array.from(at(logits, isFirst ? 0 : index));
    logSoftmax(own);
    for (const step of steps) step(row.ids, own);
    return { own, sums: own.map((each) => each + score) };
  });
  const size = at(scored, 0).own.length;
  const sums = new Float32Array(size * scored.length);
  scored.forEach((each, index) => sums.set(each.sums, index * size));
  const places = settings.samples ? drawn(sums, kept, draw) : highest(sums, kept);
  return places.map((place) => {
    const beam = Math.floor(place / size);
    const id = place % size;
    const from = isFirst ? 0 : beam;
    const token = { id, score: at(at(scored, beam).own, id), row: from };
    const row = extended(at(running, beam).row, token);
    return { row, score: at(sums, place), from, ending: ends(settings, row.ids) };
  });
}

/** Places of the highest values, highest first; the first of equals. */
function highest(values: Float32Array, count: number): number[] {
  const places: number[] = [];
  for (let place = 0; place < values.length; place++) {
    const value = at(values, place);
    if (places.length === count && value <= at(values, at(places, count - 1))) continue;
    let index = places.length;
    while (index > 0 && at(values, at(places, index - 1)) < value) index--;
    places.splice(index, 0, place);
    if (places.length > count) places.pop();
  }
  return places;
}

/** Places drawn one after the other by their probabilities, none twice. */
function drawn(scores: Float32Array, count: number, draw: Draw): number[] {
  const weights = likelihoods(scores);
  return Array.from({ length: Math.min(count, scores.length) }, () => {
    const place = drawIndex(weights, draw);
    weights[place] = 0;
    return place;
  });
}

const best = <T extends { readonly score: number }>(list: readonly T[], count: number): T[] =>
  [...list].sort((a, b) => b.score - a.score).slice(0, count);

/** Takes sequences that ended among the best beams, if they beat those that ended before. */
function finish(
  finished: readonly Finished[],
  candidates: readonly Candidate[],
  {
    canImprove,
    length,
    settings,
  }: { readonly canImprove: boolean; readonly length: number; readonly settings: GenerationSettings },
): Finished[] {
  const { beams, lengthPenalty, earlyStopping } = settings;
  const isFull = earlyStopping === true && finished.every(({ ending }) => ending !== undefined);
  const late = candidates.map(({ row, score, ending }, index) => {
    const counts = ending !== undefined && index < beams;
    let final = Math.fround(score / length ** lengthPenalty);
    for (const isOut of [isFull, !canImprove, !counts]) if (isOut) final = Math.fround(final + far);
    return { row, score: final, ending: counts ? ending : undefined };
  });
  return best([...finished, ...late], beams);
}

/** Whether the best open beam could still beat the worst sequence that ended. */
function couldImprove(
  score: number,
  finished: readonly Finished[],
  length: number,
  { settings, promptLength }: Search,
): boolean {
  const { earlyStopping, lengthPenalty, maxLength } = settings;
  const longest = earlyStopping === 'never' && lengthPenalty > 0 ? maxLength - promptLength : length;
  const possible = Math.fround(score / longest ** lengthPenalty);
  const worst = smallest(finished.map((each) => each.score));
  return finished.some(({ ending }) => possible > (ending === undefined ? far : worst));
}

/** The sequences that are handed back: those that ended, else the open ones. */
function collect(
  finished: readonly Finished[],
  running: readonly { readonly row: Row; readonly score: number }[],
  { settings }: Search,
): readonly GeneratedSequence[] {
  const ended = finished
    .filter(({ ending }) => ending !== undefined)
    .map(({ row, score, ending = 'end' }) => ({ ...row, score, ending }));
  if (ended.length > 0) return ended.slice(0, settings.sequences);
  return running.slice(0, settings.sequences).map(({ row, score }) => ({
    ...row,
    score: Math.fround(score / Math.max(1, row.tokens.length) ** settings.lengthPenalty),
    ending: 'stopped' as const,
  }));
}
