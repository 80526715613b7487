/** Fits a preprocessing, which libraries state for red, green and blue, to a model's channels. */
import type { Sourced } from '../domain/evidence';
import type { Preprocessing, SettingRecord, SettingValue, Step } from './steps';

type Values = readonly number[];
type Key = 'mean' | 'std';

/** One value per channel, or undefined if nobody can say which channel has which. */
function perChannel(values: Values, channels: number): Values | undefined {
  const [first] = values;
  if (values.length === channels) return values;
  if (first === undefined || values.some((value) => value !== first)) return undefined;
  return Array.from({ length: channels }, () => first);
}

const average = (values: Values): number =>
  Math.round((values.reduce((sum, value) => sum + value, 0) / values.length) * 1e6) / 1e6;

/** Values of every channel, and why others than those found stand in. */
interface Fitted {
  readonly values: Values;
  readonly why?: string;
}

/** Of grey the average of the colours stands in; of bands nothing is done. */
function fitted(values: Values, key: Key, channels: number): Fitted {
  const own = perChannel(values, channels);
  if (own) return { values: own };
  const value = channels === 1 ? average(values) : key === 'mean' ? 0 : 1;
  const found = values.slice(0, 4).join(', ');
  const why =
    channels === 1
      ? `the average over the channels of ${found}`
      : `${values.length} values are stated (${found}), and the model takes ${channels} channels`;
  return { values: Array.from({ length: channels }, () => value), why };
}

function evidenceOf(record: SettingRecord, key: Key, { values, why }: Fitted): SettingRecord {
  const own = record[key];
  if (!own) return {};
  const found: Sourced<SettingValue> = {
    value: values,
    source: why === undefined ? own.source : `assumed: ${why}`,
  };
  return { [key]: found };
}

function warningOf(key: Key, { values, why }: Fitted): readonly string[] {
  return why === undefined ? [] : [`assumed: ${key} ${values[0] ?? 0} for every channel; ${why}`];
}

const channelsText = (channels: number): string =>
  channels === 1 ? 'grey: 0.299 red + 0.587 green + 0.114 blue' : `${channels} bands, as they are stored`;

/**
 * The same preprocessing for a model of so many channels: every channel has its mean and deviation,
 * an order of colours is left out, and what had to be assumed is said. What is stated for three
 * channels stays as it is for three.
 */
export function forChannels(found: Preprocessing, channels: number): Preprocessing {
  const normalize = found.steps.find((step) => step.kind === 'normalize');
  const isOfThree =
    normalize === undefined || [normalize.mean, normalize.std].every(({ length }) => length === 3);
  if (channels === 3 && isOfThree) return found;
  const mean = fitted(normalize?.mean ?? [0], 'mean', channels);
  const std = fitted(normalize?.std ?? [1], 'std', channels);
  const steps = found.steps.flatMap((step): readonly Step[] => {
    if (step.kind === 'normalize') return [{ ...step, mean: mean.values, std: std.values }];
    return step.kind === 'flip' && channels !== 3 ? [] : [step];
  });
  const evidence: SettingRecord = {
    ...found.evidence,
    ...evidenceOf(found.evidence, 'mean', mean),
    ...evidenceOf(found.evidence, 'std', std),
    ...(channels !== 3 && {
      channels: { value: channelsText(channels), source: `the model takes ${channels}` },
    }),
  };
  const warnings = [...found.warnings, ...warningOf('mean', mean), ...warningOf('std', std)];
  return { ...found, steps, evidence, warnings, ...(channels !== 3 && { channels }) };
}
