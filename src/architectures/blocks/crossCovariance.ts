import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from './convolution';
import { unitVectors } from './cosine';
import { residual, type Tokens } from './layers';
import { gridOf } from './maps';
import { queryKeyValue } from './transformer';
import { room } from '../../graph/limits';

/**
 * Sines and cosines of the places of a grid `[1, 2 · width, rows, columns]`, rows first (Vaswani et
 * al. 2017, §3.5, over both axes): places are scaled to 0 … 2π, frequencies fall to 1/10000, sines
 * and cosines take turns.
 */
function fourierPositions(width: number, [rows, columns]: Grid): Float32Array {
  const wave = (place: number, size: number, index: number): number => {
    const angle = ((place + 1) / (size + 1e-6)) * 2 * Math.PI;
    const scaled = angle / 10000 ** ((2 * Math.floor(index / 2)) / width);
    return index % 2 === 0 ? Math.sin(scaled) : Math.cos(scaled);
  };
  const table = new Float32Array(room(2 * width * rows * columns));
  for (let channel = 0; channel < 2 * width; channel++)
    for (let place = 0; place < rows * columns; place++)
      table[channel * rows * columns + place] =
        channel < width
          ? wave(Math.floor(place / columns), rows, channel)
          : wave(place % columns, columns, channel - width);
  return table;
}

/** A map and the projection of its Fourier positions, if one is stored under `name`. */
export function withFourierPositions(b: GraphBuilder, map: ValueInfo, name: string): ValueInfo {
  if (!b.has(`${name}.token_projection.weight`)) return map;
  const positions = b.scope(
    name,
    () => {
      const width = at(b.shapeOf('token_projection.weight'), 1) / 2;
      const grid = gridOf(map);
      const waves = b.constant('/waves', 'F32', [1, 2 * width, ...grid], fourierPositions(width, grid));
      return convolution(b, waves, 'token_projection');
    },
    { title: 'Fourier positions' },
  );
  return residual(b, map, positions);
}

/**
 * Cross-covariance attention (El-Nouby et al. 2021, XCiT, eq. 3) over `[batch · count, dim]`:
 * channels of a head attend to each other, by the cosine of their rows over all tokens, times a
 * temperature per head. The map is `[batch, heads, d, d]`.
 */
export function crossCovarianceAttention(
  b: GraphBuilder,
  tokens: Tokens,
  name: string,
  layer: string,
): ValueInfo {
  return b.scope(
    name,
    () => {
      const { batch, count, value } = tokens;
      const dim = at(value.shape, 1);
      const temperature = b.parameter('temperature');
      const heads = at(temperature.shape, 0);
      const channels = { special: [], channels: b.headWidth(dim, heads) };
      const parts = queryKeyValue(b, value).map((x) =>
        b.transpose(b.reshape(x, [batch, count, heads, dim / heads]), [0, 2, 3, 1]),
      );
      const [q, k, v] = [at(parts, 0), at(parts, 1), at(parts, 2)];
      const mixed = b.attention(b.add('Mul', [unitVectors(b, q), temperature]), unitVectors(b, k), v, {
        scale: 1,
        probe: { layer, kind: 'channel', queries: channels, keys: channels },
      });
      return b.linear(b.reshape(b.transpose(mixed, [0, 3, 1, 2]), [batch * count, dim]), 'proj');
    },
    { title: 'Cross-covariance attention', formula: 'softmax(τ·Q̂ᵀK̂)·Vᵀ' },
  );
}
