/**
 * Holds the sizes that config.json states to those that the weights have. The weights are followed:
 * a config of another model, or of another version of this one, would go unnoticed.
 */
import type { Checkpoint } from '../../checkpoint/checkpoint';
import { last } from '../../domain/lists';
import { configuredArchitecture, configValue, imageConfig } from '../config';
import { configDefaults, sameValue } from '../configKeys';
import { numbersIn } from '../evidence';
import type { ConfigValue, Evidence, EvidenceRecord } from '../family';

/** One number of a list that has one for each stage: the first or the last. */
type End = 'first' | 'last';

/** What a key states, in the words of the evidence. */
interface Stated {
  readonly evidence: string;
  /** Which of several stages one number is of; such a number is not compared without it. */
  readonly end?: End;
  /** The evidence is a ratio to the width of the tokens. */
  readonly perWidth?: true;
  /** Keys beside which this one has no effect. */
  readonly unless?: readonly string[];
}

/** The hidden layer of an MLP as a number, beside which its ratio is read by nothing. */
const hiddenLayers = ['intermediate_size', 'mlp_dim'];
const ratio: Stated = { evidence: 'mlp_ratio', end: 'first', unless: hiddenLayers };
const depth: Stated = { evidence: 'depth' };
const channels: Stated = { evidence: 'channels' };
const classes: Stated = { evidence: 'classes' };
const patch: Stated = { evidence: 'patch', end: 'first' };
const hiddenLayer: Stated = { evidence: 'mlp_ratio', perWidth: true };
const firstWidth: Stated = { evidence: 'dim', end: 'first' };
const registers: Stated = { evidence: 'registers' };

/** Keys of transformers and of timm alike. */
const sizes: Readonly<Record<string, Stated>> = {
  hidden_size: { evidence: 'dim', end: 'last' },
  hidden_sizes: firstWidth,
  embed_dim: firstWidth,
  embed_dims: firstWidth,
  dims: firstWidth,
  num_hidden_layers: depth,
  depth,
  depths: depth,
  intermediate_size: hiddenLayer,
  mlp_dim: hiddenLayer,
  mlp_ratio: ratio,
  mlp_ratios: ratio,
  patch_size: patch,
  patch_sizes: patch,
  num_channels: channels,
  in_chans: channels,
  num_register_tokens: registers,
  reg_tokens: registers,
  num_labels: classes,
  num_classes: classes,
};

/** Keys that a family's libraries read nothing of, or mean otherwise than its evidence does. */
const otherwise: Readonly<Record<string, readonly string[]>> = {
  convit: ['embed_dim'],
  crossvit: ['mlp_ratio', 'depth', 'patch_size'],
  efficientvit_mit: ['depths'],
  focalnet: ['hidden_sizes'],
  // The first stage's width, where Hiera's own key is the last one's.
  hieradet: ['hidden_size'],
  metaformer: ['patch_size', 'mlp_ratios'],
  'vit-hybrid': ['patch_size'],
  visformer: ['embed_dim'],
};

/** What config.json states, and where: only keys that its class or timm's constructors have. */
function statements(
  checkpoint: Checkpoint,
): readonly (readonly [place: string, key: string, said: unknown])[] {
  const { config = {} } = checkpoint.sidecars;
  if (configuredArchitecture(checkpoint) !== undefined) {
    const { model_args: own, num_classes: count } = config;
    const given = Object.entries(typeof own === 'object' && own !== null ? own : {});
    const isGiven = given.some(([key]) => key === 'num_classes');
    return [
      ...given.map(([key, said]) => [`model_args.${key}`, key, said as unknown] as const),
      ...(isGiven ? [] : [['num_classes', 'num_classes', count] as const]),
    ];
  }
  const found = imageConfig(checkpoint);
  const type = found?.modelType ?? '';
  const known = configDefaults(type);
  if (!found || !known) return [];
  return Object.entries(found.values)
    .filter(([key]) => key in known || key === 'num_labels')
    .map(([key, said]) => [`${found.at ? `${found.at}.` : ''}${key}`, key, said] as const);
}

const rounded = (value: number): number => Number(value.toPrecision(6));

/** A stored size as the key states it: the hidden layer of an MLP in channels, not as a ratio. */
function asStated(
  { perWidth }: Stated,
  value: ConfigValue,
  width: ConfigValue | undefined,
): ConfigValue | undefined {
  if (!perWidth) return value;
  return typeof value === 'number' && typeof width === 'number' ? Math.round(value * width) : undefined;
}

/** Whether a ratio comes to another whole number of channels. */
const otherChannels = (said: ConfigValue, stored: ConfigValue, width: ConfigValue): boolean => {
  const [ratios, widths] = [numbersIn(said), numbersIn(width)];
  return numbersIn(stored).some((each, index) => {
    const wanted = ratios[index] ?? ratios[0] ?? each;
    return Math.abs(each - wanted) * (widths[index] ?? 1) >= 1;
  });
};

/** Whether both are of one kind and differ; undefined stands for what cannot be compared. */
function differs(said: ConfigValue, stored: ConfigValue, end: End | undefined): boolean | undefined {
  if (typeof said === 'string' || typeof stored === 'string') return undefined;
  const [left, right] = [[said].flat().map(Number), [stored].flat().map(Number)];
  if (left.length === right.length)
    return !left.every((each, index) => rounded(each) === rounded(right[index] ?? NaN));
  if (sameValue(said, stored)) return false;
  if (Array.isArray(said)) return Array.isArray(stored) ? true : undefined;
  if (end === undefined || right.length === 0) return undefined;
  return rounded(Number(said)) !== rounded((end === 'first' ? right[0] : last(right)) ?? NaN);
}

const text = (value: ConfigValue): string =>
  [value]
    .flat()
    .map((each) => (typeof each === 'number' ? String(rounded(each)) : String(each)))
    .join(', ');

/**
 * The hidden layer's ratio to the width as the library builds it: of SwiGLU two thirds, in
 * multiples of 8 (transformers, Dinov2SwiGLUFFN).
 */
function gatedRatio(
  checkpoint: Checkpoint,
  json: unknown,
  width: Evidence | undefined,
): ConfigValue | undefined {
  const said = configValue(json);
  const isGated = imageConfig(checkpoint)?.values['use_swiglu_ffn'] === true;
  if (!isGated || typeof said !== 'number' || typeof width?.value !== 'number') return said;
  const hidden = Math.floor((Math.floor(width.value * said) * 2) / 3);
  return (Math.ceil(hidden / 8) * 8) / width.value;
}

/**
 * A warning of each size in config.json that the weights contradict, with both values.
 *
 * @param family whose evidence it is
 * @param evidence what the weights have, `channels` among it
 */
export function contradictedSizes(
  checkpoint: Checkpoint,
  family: string,
  evidence: EvidenceRecord,
): readonly string[] {
  const told = statements(checkpoint);
  const keys = new Set(told.map(([, key]) => key));
  return told.flatMap(([place, key, json]) => {
    const stated = Object.hasOwn(sizes, key) ? sizes[key] : undefined;
    const said = stated === ratio ? gatedRatio(checkpoint, json, evidence['dim']) : configValue(json);
    const stored: Evidence | undefined = stated && evidence[stated.evidence];
    if (!stated || said === undefined || !stored || otherwise[family]?.includes(key)) return [];
    if (stated.unless?.some((other) => keys.has(other))) return [];
    const width = evidence['dim']?.value;
    const value = asStated(stated, stored.value, width);
    if (value === undefined || !isContradicted(stated, said, value, width)) return [];
    return [
      `config.json: ${place} is ${text(said)}, the weights have ${text(value)} (${stored.source}); the weights were followed.`,
    ];
  });
}

function isContradicted(
  stated: Stated,
  said: ConfigValue,
  value: ConfigValue,
  width: ConfigValue | undefined,
): boolean {
  // A network without a classifier keeps the number of classes that it was trained for.
  if (stated === classes && (value === 0 || said === 0)) return false;
  if (differs(said, value, stated.end) !== true) return false;
  return stated !== ratio || width === undefined || otherChannels(said, value, width);
}
