import { bilinear } from '../../attention/upsampling';
import { at, increase, largest, smallest } from '../../domain/lists';
import { probabilities } from '../../labels/labels';
import { outputWith } from '../behind';
import { asMap, usualCamLayer, type CamLayer } from '../camLayer';
import { scaled } from '../cam';
import type { Explained, Values } from '../explained';
import type { Explanation, ExplainOptions, Method } from '../method';
import { layerFor, whyNoMap } from './cams';
import { float32 } from './common';

/** Keeps the scale of a constant channel finite, as pytorch-grad-cam has it. */
const steadying = 1e-8;

/** Σ over channels of a weight times the activation, as a map. */
function weightedSum({ shape, data }: Values, weights: ArrayLike<number>): Float64Array {
  const places = data.length / at(shape, 0);
  const map = new Float64Array(places);
  data.forEach((value, index) =>
    increase(map, index % places, value * at(weights, Math.floor(index / places))),
  );
  return map;
}

const activationAt = (explained: Explained, { value }: CamLayer): Promise<Values> =>
  explained.once(`activation ${value}`, async () => at(await explained.values([value]), 0));

/** The image where a channel is active: pixels times the channel, scaled to 0 … 1. */
function masked({ shape, data }: Values, channel: Float64Array): Values {
  const [low, high] = [smallest(channel), largest(channel)];
  const mask = channel.map((value) => (value - low) / (high - low + steadying));
  return { shape, data: data.map((value, place) => value * at(mask, place % mask.length)) };
}

async function scoreWeights(explained: Explained, layer: CamLayer, map: Values): Promise<Float64Array> {
  const { pixels, progress } = explained.question;
  const places = layer.grid[0] * layer.grid[1];
  const scores = new Float64Array(layer.channels);
  for (let channel = 0; channel < layer.channels; channel++) {
    progress?.(`Score-CAM, ${channel + 1} of ${layer.channels} channels`);
    const own = map.data.subarray(channel * places, (channel + 1) * places);
    const large = bilinear(own, layer.grid, explained.imageSize, true);
    scores[channel] = await explained.valueAt(masked(pixels, large));
  }
  return probabilities(scores, 'softmax');
}

/** A value with one channel 0 in every token or place. */
function without({ shape, data }: Values, { channels, channelsFirst }: CamLayer, channel: number): Values {
  const own = data.slice();
  if (channelsFirst) {
    const places = data.length / channels;
    own.fill(0, channel * places, (channel + 1) * places);
  } else for (let place = channel; place < own.length; place += channels) own[place] = 0;
  return { shape, data: own };
}

/** (s − s without the channel) / s of each channel. */
async function ablationWeights(explained: Explained, layer: CamLayer): Promise<Float64Array> {
  const { pixels, progress, target } = explained.question;
  const whole = await explained.valueAt(pixels);
  const activation = await activationAt(explained, layer);
  const weights = new Float64Array(layer.channels);
  for (let channel = 0; channel < layer.channels; channel++) {
    progress?.(`Ablation-CAM, ${channel + 1} of ${layer.channels} channels`);
    const scores = await outputWith(explained, layer.value, without(activation, layer, channel));
    weights[channel] = (whole - at(scores, target)) / whole;
  }
  return weights;
}

interface ChannelCam extends Pick<
  Method,
  'name' | 'gives' | 'title' | 'text' | 'formula' | 'source' | 'forwards'
> {
  readonly weigh: (explained: Explained, layer: CamLayer, map: Values) => Promise<Float64Array>;
  /** What the weights are called as a tensor of their own. */
  readonly weights?: string;
  readonly notes?: (value: number) => readonly string[];
}

const channelCam = ({ weigh, weights: named, notes, ...words }: ChannelCam): Method => ({
  ...words,
  whyNot: whyNoMap,
  async compute(explained, options): Promise<Explanation> {
    const layer = layerFor(explained, options);
    const activation = asMap(layer, await activationAt(explained, layer));
    const weights = await weigh(explained, layer, activation);
    const map = weightedSum(activation, weights);
    const value = await explained.valueAt(explained.question.pixels);
    return {
      tensors: {
        [words.name]: float32(layer.grid, map),
        ...(named !== undefined && { [named]: float32([weights.length], weights) }),
      },
      picture: { grid: layer.grid, values: scaled(map), signed: false, legend: `output of ${layer.path}` },
      notes: notes?.(value) ?? [],
    };
  },
});

const channelsOf = (explained: Explained, { camLayer }: ExplainOptions): number =>
  (camLayer ?? usualCamLayer(explained.graph, explained.imageSize)).channels;

/** Class activation maps without a gradient: each channel is tried. */
export const ofChannels: readonly Method[] = [
  channelCam({
    name: 'cam.scorecam',
    title: 'Score-CAM',
    text: 'The layer’s channels, each weighted by the value of the image that is seen through it. It needs no gradient, but a run for each channel.',
    formula: 'Σ softmax(s(x ⊙ A↑)) · A',
    source: 'Wang et al. 2020, as pytorch-grad-cam has it: softmax of raw values over the channels',
    forwards: channelsOf,
    weigh: scoreWeights,
  }),
  channelCam({
    name: 'cam.ablationcam',
    gives: ['cam.ablation.weights'],
    title: 'Ablation-CAM',
    text: 'The layer’s channels, each weighted by how much of the value is lost without it. The channel is 0 in every token, as the paper has it. A negative value turns all signs.',
    formula: 'Σ (s − s without A) / s · A',
    source: 'Desai & Ramaswamy 2020, eq. 3',
    // What lies in front of the layer is run once; behind it is one block of a dozen, or less.
    forwards: (explained, options) => 1 + 0.1 * channelsOf(explained, options),
    weigh: ablationWeights,
    weights: 'cam.ablation.weights',
    notes: (value) => (value < 0 ? ['the value is negative: the signs of all weights are turned'] : []),
  }),
];
