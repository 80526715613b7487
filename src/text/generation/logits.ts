import type { GenerationSettings } from './settings';

/** Changes the scores of the next token, in place, given the tokens so far. */
export type Process = (ids: readonly number[], scores: Float32Array) => void;

const forbid = (scores: Float32Array, id: number): void => {
  if (id >= 0 && id < scores.length) scores[id] = -Infinity;
};

/** Logarithms of probabilities, in place: x - log(sum(exp(x))). */
export function logSoftmax(scores: Float32Array): void {
  let most = -Infinity;
  for (const score of scores) most = Math.max(most, score);
  let total = 0;
  for (const score of scores) total += Math.exp(score - most);
  // The largest goes first: beside 3e38 a logarithm would be lost.
  const rest = Math.log(total);
  for (let id = 0; id < scores.length; id++) scores[id] = (scores[id] ?? 0) - most - rest;
}

/**
 * The steps that the settings ask for, in transformers' order: each sees what those before it left.
 *
 * @param promptLength tokens that are there before the first new one.
 * @param encoderIds tokens that the encoder reads, for what must not be copied from them.
 */
export function processes(
  settings: GenerationSettings,
  promptLength: number,
  encoderIds: readonly number[] = [],
): readonly Process[] {
  const { end, samples, beams } = settings;
  const list: (Process | false)[] = [
    settings.encoderRepetitionPenalty !== 1 &&
      ((_, scores) => penalise(encoderIds, scores, 1 / settings.encoderRepetitionPenalty)),
    settings.repetitionPenalty !== 1 && ((ids, scores) => penalise(ids, scores, settings.repetitionPenalty)),
    settings.noRepeatNgram > 0 && ((ids, scores) => forbidNgrams(ids, ids, settings.noRepeatNgram, scores)),
    settings.encoderNoRepeatNgram > 0 &&
      ((ids, scores) => forbidNgrams(encoderIds, ids, settings.encoderNoRepeatNgram, scores)),
    settings.badWords.length > 0 && badWords(settings.badWords, end),
    settings.minLength > 0 &&
      ((ids, scores) => ids.length < settings.minLength && end.forEach((id) => forbid(scores, id))),
    settings.minNewTokens > 0 &&
      ((ids, scores) =>
        ids.length - promptLength < settings.minNewTokens && end.forEach((id) => forbid(scores, id))),
    settings.forcedFirst !== undefined &&
      ((ids, scores) => ids.length === 1 && force(scores, [settings.forcedFirst ?? 0])),
    settings.forcedLast.length > 0 &&
      ((ids, scores) => ids.length === settings.maxLength - 1 && force(scores, settings.forcedLast)),
    settings.removesInvalid && ((_, scores) => removeInvalid(scores)),
    settings.suppressed.length > 0 &&
      ((_, scores) => settings.suppressed.forEach((id) => forbid(scores, id))),
    settings.suppressedAtBegin.length > 0 && atBegin(settings, promptLength),
    ...(samples ? warps(settings, beams > 1 ? end.length + 1 : 1) : []),
    settings.renormalizes && ((_, scores) => logSoftmax(scores)),
  ];
  return list.filter((each) => each !== false);
}

/** Steps that only draws take; at least `keep` tokens stay. */
function warps({ temperature, topK, topP, minP }: GenerationSettings, keep: number): (Process | false)[] {
  return [
    temperature !== 1 &&
      ((_, scores) => scores.forEach((score, id) => (scores[id] = score / Math.fround(temperature)))),
    topK > 0 && ((_, scores) => keepTop(scores, Math.max(topK, keep))),
    topP < 1 && ((_, scores) => keepMass(scores, topP, keep)),
    minP > 0 && ((_, scores) => keepLikely(scores, minP, keep)),
  ];
}

/** Keskar et al. 2019, section 4.1: a token that is there already becomes less likely. */
function penalise(ids: readonly number[], scores: Float32Array, penalty: number): void {
  const factor = Math.fround(penalty);
  for (const id of new Set(ids)) {
    const score = scores[id];
    if (score !== undefined) scores[id] = score < 0 ? score * factor : score / factor;
  }
}

/** Forbids tokens that would repeat a run of `size` tokens of `seen` (Paulus et al. 2017). */
function forbidNgrams(
  seen: readonly number[],
  ids: readonly number[],
  size: number,
  scores: Float32Array,
): void {
  if (ids.length + 1 < size) return;
  const tail = ids.slice(ids.length + 1 - size);
  for (let at = 0; at + size <= seen.length; at++)
    if (tail.every((id, index) => seen[at + index] === id)) forbid(scores, seen[at + size - 1] ?? -1);
}

function badWords(words: readonly (readonly number[])[], end: readonly number[]): Process {
  // A word that is an end token alone is let through: a sequence could not end.
  const bad = words.filter((word) => word.length > 1 || !end.includes(word[0] ?? -1));
  return (ids, scores) => {
    for (const word of bad) {
      const before = word.length - 1;
      const fits =
        before <= ids.length && word.slice(0, -1).every((id, at) => ids[ids.length - before + at] === id);
      if (fits) forbid(scores, word.at(-1) ?? -1);
    }
  };
}

function atBegin({ suppressedAtBegin, forcedFirst }: GenerationSettings, promptLength: number): Process {
  const begin = promptLength > 1 || forcedFirst === undefined ? promptLength : promptLength + 1;
  return (ids, scores) => ids.length === begin && suppressedAtBegin.forEach((id) => forbid(scores, id));
}

function force(scores: Float32Array, ids: readonly number[]): void {
  scores.fill(-Infinity);
  for (const id of ids) if (id < scores.length) scores[id] = 0;
}

function removeInvalid(scores: Float32Array): void {
  const most = 3.4028234663852886e38;
  for (const [id, score] of scores.entries())
    scores[id] = Number.isNaN(score) ? 0 : Math.max(-most, Math.min(most, score));
}

function keepTop(scores: Float32Array, count: number): void {
  const least = Float32Array.from(scores).sort().at(-Math.min(count, scores.length)) ?? -Infinity;
  for (const [id, score] of scores.entries()) if (score < least) scores[id] = -Infinity;
}

/** Ids from the least likely to the most likely, and the probability of each. */
function ascending(scores: Float32Array) {
  const ids = Array.from(scores.keys()).sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0) || a - b);
  return { ids, likelihoods: likelihoods(scores) };
}

/** Probabilities of scores. */
export function likelihoods(scores: Float32Array): Float64Array {
  let most = -Infinity;
  for (const score of scores) most = Math.max(most, score);
  const out = Float64Array.from(scores, (score) => Math.exp(score - most));
  const total = out.reduce((sum, each) => sum + each, 0);
  return out.map((each) => each / total);
}

/** Holtzman et al. 2020, section 3.1: the likeliest tokens that hold a share of the mass. */
function keepMass(scores: Float32Array, share: number, keep: number): void {
  const { ids, likelihoods: all } = ascending(scores);
  let mass = 0;
  for (const [index, id] of ids.entries()) {
    mass += all[id] ?? 0;
    if (mass <= 1 - share && index < ids.length - keep) scores[id] = -Infinity;
  }
}

/** Tokens at least so likely as a share of the likeliest. */
function keepLikely(scores: Float32Array, share: number, keep: number): void {
  const { ids, likelihoods: all } = ascending(scores);
  const least = share * (all[ids.at(-1) ?? 0] ?? 0);
  for (const id of ids.slice(0, Math.max(0, ids.length - keep)))
    if ((all[id] ?? 0) < least) scores[id] = -Infinity;
}
