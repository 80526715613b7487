import { at, last } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import { continuousTable, logarithm } from '../blocks/relativePosition';
import type { TokenMaps } from '../blocks/stages';
import type { BuildOptions, ConfigValue, Evidence, Family, Found, Recognised } from '../family';
import { stored } from '../evidence';
import { postNormBlock } from '../groups/cosineWindows';
import {
  isWindow,
  recognisedShifted,
  shiftedAssumable,
  shiftedConfig,
  shiftedEvidence,
  shiftedHead,
  shiftedMaps,
  shiftedStages,
  windowsByStage,
  type ShiftedConfig,
  type ShiftedPlace,
  type WindowValue,
} from '../groups/shiftedWindows';
import { decide, sourcesOf } from '../decide';
import { swinv2CrNames } from './names';
import { room } from '../../graph/limits';

/**
 * Log-spaced coordinates of every pair of tokens, `[n · n, 2]`: this model's network reads each
 * pair, not each distance once.
 */
function pairCoordinates([rows, columns]: Grid): Float32Array {
  const count = rows * columns;
  const pairs = new Float32Array(room(2 * count * count));
  for (let query = 0; query < count; query++)
    for (let key = 0; key < count; key++) {
      const at = 2 * (query * count + key);
      pairs[at] = logarithm(Math.floor(query / columns) - Math.floor(key / columns));
      pairs[at + 1] = logarithm((query % columns) - (key % columns));
    }
  return pairs;
}

/** Continuous position bias `[heads, n, n]`. */
function positionBias(b: GraphBuilder, window: Grid): ValueInfo {
  const count = window[0] * window[1];
  const coordinates = b.shared(`pairs of ${window.join(' × ')}`, () =>
    b.constant('/coordinates', 'F32', [count * count, 2], pairCoordinates(window)),
  );
  const table = continuousTable(b, ['meta_mlp.fc1', 'meta_mlp.fc2'], coordinates);
  const [, heads = 0] = table.shape;
  return b.reshape(b.transpose(table, [1, 0]), [heads, count, count]);
}

interface Swinv2CrConfig extends ShiftedConfig {
  /**
   * Window of each stage, if it is stated; else it is a part of the patches, by `windowRatio`.
   */
  readonly window: readonly Grid[] | undefined;
  /** Windows along a side of the first map. */
  readonly windowRatio: number;
}

const isCount = (value: ConfigValue): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value > 0;

/** Parameter of an attention's temperature: its logarithm, or, in the first files, itself. */
const temperatureOf = ({ tensors }: Found, path: string): string =>
  [`${path}.tau`].find((name) => tensors.has(name)) ?? `${path}.logit_scale`;

function recognise(found: Found): Recognised<Swinv2CrConfig> | undefined {
  const sources = sourcesOf(found);
  const shifted = shiftedEvidence(sources, {
    stages: 'stages',
    heads: (path) => ({ name: temperatureOf(found, `${path}.attn`), axis: 0 }),
  });
  if (!shifted) return undefined;
  const stages = shifted.depth.value.length;
  const byRatio: Evidence<WindowValue> = stored(0, 'the window follows from window_ratio');
  const window = decide(sources, 'window', {
    config: ['window_size'],
    otherwise: byRatio,
    is: (value) => isWindow(value, stages),
    needed: 'a number, rows and columns, or a number for each stage',
  });
  const told = window === byRatio ? undefined : window;
  const ratio = decide(sources, 'window_ratio', {
    config: ['window_ratio'],
    otherwise: stored(8, 'default of timm'),
    is: isCount,
    needed: 'a whole number of windows along a side of the patches',
  });
  const settled = { ...shifted, ...(told && { window: told }), window_ratio: ratio };
  return recognisedShifted(sources, settled, {
    label: 'swinv2_cr',
    name: 'Swin V2 CR',
    config: {
      ...shiftedConfig(shifted, 'each side'),
      window: told && windowsByStage(told.value, stages),
      windowRatio: ratio.value,
    },
    usual: [224, 224],
    windows: [],
  });
}

/**
 * One block with a third norm over its sum: the last of all, in huge models every sixth, in others
 * (`ns`) the last of each stage.
 */
function block(b: GraphBuilder, tokens: Tokens, place: ShiftedPlace): Tokens {
  const mixed = postNormBlock(b, tokens, place, () => positionBias(b, place.windows.size));
  return withValue(mixed, maybeNorm(b, mixed.value, 'norm3', place.eps));
}

function build(b: GraphBuilder, config: Swinv2CrConfig, options: BuildOptions): TokenMaps {
  const part = (side: number): number => Math.max(1, Math.floor(side / config.windowRatio));
  const ends = shiftedStages(b, config, options, {
    list: 'stages',
    window: (stage, [rows, columns]) =>
      config.window ? at(config.window, stage) : [part(rows), part(columns)],
    block: (tokens, place) => block(b, tokens, place),
  });
  return shiftedMaps(ends, last(ends), options.imageSize);
}

/**
 * Swin Transformer V2 as Christoph Reich wrote it for timm before the authors' code came out:
 * windows are a part of the image.
 */
export const swinv2Cr: Family<Swinv2CrConfig, TokenMaps> = {
  name: 'swinv2_cr',
  title: 'Swin Transformer V2 (Christoph Reich)',
  names: swinv2CrNames,
  assumable: [...shiftedAssumable, 'window_ratio'],
  recognise,
  build,
  head: shiftedHead,
};
