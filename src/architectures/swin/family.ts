import { at, last } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { tableBias } from '../blocks/relativePosition';
import type { TokenMaps } from '../blocks/stages';
import { mlp } from '../blocks/transformer';
import { windowAttention } from '../blocks/windows';
import type { BuildOptions, ConfigValue, Evidence, Family, Found, Recognised } from '../family';
import { assumed, stored } from '../evidence';
import {
  isWindow,
  lastNorm,
  recognisedShifted,
  shiftedAssumable,
  shiftedConfig,
  shiftedEvidence,
  shiftedHead,
  shiftedMaps,
  shiftedStages,
  unfoldsIn,
  windowFitOf,
  windowOfTable,
  windowsByStage,
  windowsOfTable,
  windowValue,
  type ShiftedConfig,
  type ShiftedPlace,
  type WindowFit,
  type WindowValue,
} from '../groups/shiftedWindows';
import { decide, sideOf, sourcesOf, type Sources } from '../decide';
import { swinNames } from './names';
import { quantity } from '../../domain/units';

const table = 'relative_position_bias_table';

const fitOf: Readonly<Partial<Record<string, WindowFit>>> = {
  transformers: 'smaller side',
  'transformers-5': 'smaller side',
  torchvision: 'never',
  // mmpretrain's: a map as small as a window is not shifted; smaller ones are refused there.
  mmpretrain: 'smaller side',
};

/**
 * Windows by name if their tables leave open which of them was clipped to a small map (Chen et al.
 * 2021, S3).
 */
const searched: readonly (readonly [name: RegExp, window: WindowValue])[] = [
  [/^swin_s3_small/, [14, 14, 14, 7]],
  [/^swin_s3_/, [7, 7, 14, 7]],
];

interface SwinConfig extends ShiftedConfig {
  /** Window of each stage, if it is not clipped to a small map. */
  readonly window: readonly Grid[];
}

/**
 * Windows by the tables of the stages. A table smaller than the first was clipped to a small map.
 */
function windowByTables(rows: readonly number[]): Evidence<WindowValue> {
  const found = rows.map((count): Grid => windowsOfTable(count)[0] ?? [0, 0]);
  const [first, firstRows] = [at(found, 0), at(rows, 0)];
  if (found.every(([height, width]) => height === width)) {
    const sides = found.map(([side]) => Math.max(side, first[0]));
    return stored(windowValue(sides), `layers.0.blocks.0.attn.${table}`);
  }
  const all = windowsOfTable(firstRows).map((window) => window.join(' × '));
  return assumed<Grid>(first, `${table} has ${firstRows} rows, which fit windows of ${all.join(', ')}`);
}

/**
 * The window of every stage: given, configured, or by the tables, each of which must have been made
 * for it or for a smaller one.
 */
function windowEvidence(sources: Sources, rows: readonly number[]): Evidence<WindowValue> {
  const holds = (value: ConfigValue): boolean =>
    windowsByStage(value, rows.length).every((window, stage) =>
      windowsOfTable(at(rows, stage)).some((each) => each[0] <= window[0] && each[1] <= window[1]),
    );
  return decide(sources, 'window', {
    config: ['window_size'],
    named: searched,
    otherwise: windowByTables(rows),
    is: (value) => isWindow(value, rows.length) && holds(value),
    needed: `a window whose distances fit tables of ${[...new Set(rows)].join(', ')} rows`,
  });
}

/** The image size whose last map is one window, as all published models were trained. */
function usualSize({ patch, window }: SwinConfig): Evidence<Grid> {
  const side = (axis: 0 | 1): number => patch[axis] * 2 ** (window.length - 1) * last(window)[axis];
  return assumed<Grid>(
    [side(0), side(1)],
    'one window covers the last map; the weights take other sizes as well',
  );
}

function recognise(found: Found): Recognised<SwinConfig> | undefined {
  const sources = sourcesOf(found);
  const shifted = shiftedEvidence(sources, {
    stages: 'layers',
    heads: (path) => ({ name: `${path}.attn.${table}`, axis: 1 }),
  });
  if (!shifted) return undefined;
  const rows = shifted.depth.value.map((_, stage) =>
    sideOf(found.tensors, `layers.${stage}.blocks.0.attn.${table}`, 0),
  );
  const settled = { ...shifted, window: windowEvidence(sources, rows) };
  const config = {
    ...shiftedConfig(shifted, windowFitOf(found, fitOf)),
    unfolds: unfoldsIn(found),
    window: windowsByStage(settled.window.value, rows.length),
  };
  return recognisedShifted(sources, settled, {
    label: 'swin',
    name: 'Swin',
    config,
    usual: usualSize(config),
    windows: windowsOfTable(at(rows, 0)),
  });
}

/** One block: window attention and an MLP, each behind its norm (Liu et al. 2021, eq. 3). */
function block(b: GraphBuilder, tokens: Tokens, place: ShiftedPlace, window: Grid): Tokens {
  const { windows, layer, heads, eps, activation } = place;
  const name = `attn.${table}`;
  const [rows = 0] = b.shapeOf(name);
  const native = windowOfTable(`${layer}.${name}`, rows, [windows.size, window]);
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const attended = b.scope(
    'attn',
    () =>
      windowAttention(b, normed, windows, {
        heads,
        layer,
        bias: tableBias(b, table, windows.size, { native }),
      }),
    { title: `Window attention, ${quantity(heads, 'head')}`, formula: 'softmax(QKᵀ/√d + B)·V' },
  );
  const mixed = residual(b, tokens.value, attended.value);
  return withValue(
    tokens,
    residual(b, mixed, mlp(b, norm(b, mixed, 'norm2', eps), 'mlp', { activation, eps })),
  );
}

function build(b: GraphBuilder, config: SwinConfig, options: BuildOptions): TokenMaps {
  const window = (stage: number): Grid => at(config.window, stage);
  const ends = shiftedStages(b, config, options, {
    list: 'layers',
    window,
    block: (tokens, place) => block(b, tokens, place, window(place.stage)),
  });
  return shiftedMaps(ends, lastNorm(b, last(ends), config.eps), options.imageSize);
}

/**
 * Swin Transformer (Liu et al. 2021), also as found by search (Chen et al. 2021, S3) and trained on
 * masked pixels (Xie et al. 2022, SimMIM).
 */
export const swin: Family<SwinConfig, TokenMaps> = {
  name: 'swin',
  title: 'Swin Transformer',
  names: swinNames,
  idle: /^mask_token$/,
  assumable: shiftedAssumable,
  recognise,
  build,
  head: shiftedHead,
};
