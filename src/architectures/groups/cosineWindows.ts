import type { Grid } from '../../domain/size';
import { quantity } from '../../domain/units';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import {
  boundedBias,
  continuousTable,
  distances,
  gatheredBias,
  logCoordinates,
} from '../blocks/relativePosition';
import { mlp } from '../blocks/transformer';
import { windowAttention } from '../blocks/windows';
import { sideOrPair, stored } from '../evidence';
import type { Evidence, Found } from '../family';
import type { ShiftedPlace, WindowValue } from './shiftedWindows';

const coordinates = 'relative_coords_table';

/** The window whose coordinates the file keeps as a buffer of a block. */
export function storedWindow({ tensors }: Found, block: string): Evidence<WindowValue> | undefined {
  const name = `${block}.attn.${coordinates}`;
  const shape = tensors.get(name)?.shape;
  if (shape?.length !== 4) return undefined;
  const [, down = 1, right = 1] = shape;
  return stored<WindowValue>(sideOrPair([(down + 1) / 2, (right + 1) / 2]), name);
}

/**
 * Continuous position bias `[heads, n, n]` (Liu et al. 2022, §3.3): of the coordinates in the file,
 * or made anew for another window; `trained` is the side of the window in the training, 0 if it is
 * the window itself.
 */
export function continuousBias(b: GraphBuilder, window: Grid, trained = 0): ValueInfo {
  const rows = distances(window);
  const kept = b.has(coordinates) && b.shapeOf(coordinates)[1] === 2 * window[0] - 1;
  const inFile = kept && b.shapeOf(coordinates)[2] === 2 * window[1] - 1;
  const places = inFile
    ? b.parameter(coordinates, [rows, 2])
    : b.constant(
        '/coordinates',
        'F32',
        [rows, 2],
        logCoordinates(window, 'swin', trained > 0 ? [trained, trained] : window),
      );
  const table = continuousTable(b, ['cpb_mlp.0', 'cpb_mlp.2'], places);
  return boundedBias(b, gatheredBias(b, table, window));
}

/**
 * The norms of Swin v2 stand behind attention and MLP (Liu et al. 2022, §3.2); a third one over the
 * sum is timm's (`swinv2_cr`).
 */
export function postNormBlock(
  b: GraphBuilder,
  tokens: Tokens,
  { windows, layer, heads, eps, activation }: ShiftedPlace,
  bias: () => ValueInfo,
): Tokens {
  const attended = b.scope(
    'attn',
    () => windowAttention(b, tokens, windows, { heads, layer, bias: bias() }),
    {
      title: `Window attention by cosines, ${quantity(heads, 'head')}`,
      formula: 'softmax(τ·cos(Q, K) + B)·V',
    },
  );
  const mixed = residual(b, tokens.value, norm(b, attended.value, 'norm1', eps));
  const value = residual(b, mixed, norm(b, mlp(b, mixed, 'mlp', { activation, eps }), 'norm2', eps));
  return withValue(tokens, value);
}
