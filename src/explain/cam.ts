import { at, increase } from '../domain/lists';
import { principal } from './principal';
import type { Values } from './explained';

/** Activation and gradient `[channels, rows, columns]` of one layer. */
export interface Activations {
  readonly activation: Values;
  readonly gradient: Values;
}

/** Σ over channels of a weight times the activation, place by place. */
function summed({ shape, data }: Values, weight: (channel: number, place: number) => number): Float64Array {
  const channels = at(shape, 0);
  const places = data.length / channels;
  const result = new Float64Array(places);
  for (let channel = 0; channel < channels; channel++)
    for (let place = 0; place < places; place++)
      increase(result, place, weight(channel, place) * at(data, channel * places + place));
  return result;
}

/** What `compute` gives for each channel. */
function perChannel(
  { shape, data }: Values,
  compute: (values: Float32Array, channel: number) => number,
): Float64Array {
  const channels = at(shape, 0);
  const places = data.length / channels;
  return Float64Array.from({ length: channels }, (_, channel) =>
    compute(data.subarray(channel * places, (channel + 1) * places), channel),
  );
}

const total = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0);

/** Σ_c mean(G_c)·A_c (Selvaraju et al. 2017, eq. 1–2). */
export function gradCam({ activation, gradient }: Activations): Float64Array {
  const weights = perChannel(gradient, (own) => total(own) / own.length);
  return summed(activation, (channel) => at(weights, channel));
}

/** A small number that keeps the weights of Grad-CAM++ finite, as pytorch-grad-cam has it. */
const steadying = 1e-6;

/** Weights by second and third powers of the gradient (Chattopadhyay et al. 2018, eq. 19). */
export function gradCamPlusPlus({ activation, gradient }: Activations): Float64Array {
  const sums = perChannel(activation, total);
  const weights = perChannel(gradient, (own, channel) =>
    own.reduce((sum, g) => {
      if (g <= 0) return sum;
      const alpha = g ** 2 / (2 * g ** 2 + at(sums, channel) * g ** 3 + steadying);
      return sum + g * alpha;
    }, 0),
  );
  return summed(activation, (channel) => at(weights, channel));
}

/** Σ_c max(0, G_c)·A_c, place by place (Jiang et al. 2021). */
export const layerCam = ({ activation, gradient }: Activations): Float64Array =>
  byPlace(activation, gradient, (g) => Math.max(0, g));

/** Σ_c G_c·A_c, place by place (Draelos & Carin 2020). */
export const hiResCam = ({ activation, gradient }: Activations): Float64Array =>
  byPlace(activation, gradient, (g) => g);

function byPlace(activation: Values, gradient: Values, weigh: (g: number) => number): Float64Array {
  const places = activation.data.length / at(activation.shape, 0);
  return summed(activation, (channel, place) => weigh(at(gradient.data, channel * places + place)));
}

/** The centred places on their first principal component (Muhammad & Yeasin 2020). */
export function eigenCam({ shape, data }: Values): Float64Array {
  const channels = at(shape, 0);
  const places = data.length / channels;
  const rows = new Float64Array(data.length);
  for (let channel = 0; channel < channels; channel++)
    for (let place = 0; place < places; place++)
      rows[place * channels + channel] = at(data, channel * places + place);
  return principal(rows, channels, 1).scores;
}

/** A map with negative values as 0, scaled to 0 … 1; all 0 if it is. */
export function scaled(map: Float64Array): Float64Array {
  const above = map.map((value) => Math.max(0, value));
  const [low, high] = above.reduce<[number, number]>(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Infinity, -Infinity],
  );
  return above.map((value) => (high > low ? (value - low) / (high - low) : 0));
}
