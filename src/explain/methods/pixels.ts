import { withPixelGradient } from '../derivedGraphs';
import { at, increase } from '../../domain/lists';
import type { Explained, Values } from '../explained';
import type { Method, Picture } from '../method';
import {
  inputTimesGradient,
  integratedGradients,
  occlusion,
  pathNodes,
  smoothGrad,
  usualNoise,
  type Sliding,
} from '../pixels';
import { anyModel, byAll, float32, perGradient } from './common';

/** Length of the vector of channels at each pixel (Simonyan et al. 2014 take its largest entry). */
function strengthOf({ shape, data }: Values): Picture {
  const [, channels = 1, height = 1, width = 1] = shape;
  const values = Float32Array.from({ length: height * width }, (_, place) => {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++)
      sum += at(data, channel * height * width + place) ** 2;
    return Math.sqrt(sum);
  });
  return { grid: [height, width], values, signed: false, legend: 'length over the channels' };
}

/** Sum over the channels, with its sign. */
function sumOf({ shape, data }: Values): Picture {
  const [, channels = 1, height = 1, width = 1] = shape;
  const values = new Float32Array(height * width);
  for (let place = 0; place < channels * height * width; place++)
    increase(values, place % (height * width), at(data, place));
  return { grid: [height, width], values, signed: true, legend: 'sum over the channels' };
}

const gradient: Method = {
  name: 'gradient',
  title: 'Gradient',
  text: 'How much the value changes with each pixel, at this image. Stripes in the grid of the patches are the filters of the patch embedding, not a fault.',
  formula: '∂s/∂x',
  source: 'Simonyan et al. 2014, §3',
  whyNot: anyModel,
  forwards: () => perGradient,
  derived: byAll,
  async compute(explained) {
    const { pixels, maps } = await explained.derived();
    const { contrast } = explained.question;
    const byMap = maps.map(({ gradient: own }, index) => [`gradient.attention.${index}`, own] as const);
    return {
      tensors: {
        'gradient.pixels': pixels,
        ...(contrast !== undefined && { 'gradient.pixels.contrast': await explained.contrasted(contrast) }),
        ...Object.fromEntries(byMap),
      },
      picture: strengthOf(pixels),
    };
  },
};

const inputXGradient: Method = {
  name: 'input_x_gradient',
  title: 'Input × gradient',
  text: 'The gradient times the pixel itself. A pixel of the mean colour, which is 0 to the model, gets nothing however much it matters.',
  formula: 'x · ∂s/∂x',
  source: 'Shrikumar et al. 2016',
  whyNot: anyModel,
  forwards: () => perGradient,
  derived: byAll,
  async compute(explained) {
    const values = await inputTimesGradient(explained);
    return { tensors: { input_x_gradient: values }, picture: sumOf(values) };
  },
};

const integrated: Method = {
  name: 'integrated_gradients',
  title: 'Integrated gradients',
  text: 'What each pixel adds on the way from the mean colour to the image. All together add up to the difference of the values at both ends; what is missing of it is stated.',
  formula: '(x − b) · ∫ ∂s(b + α(x − b)) dα',
  source: 'Sundararajan et al. 2017, eq. 1',
  whyNot: anyModel,
  forwards: () => perGradient * pathNodes,
  derived: ({ graph }) => [withPixelGradient(graph)],
  async compute(explained) {
    const { values, delta } = await integratedGradients(explained);
    return {
      tensors: { integrated_gradients: values },
      figures: { 'integrated_gradients.delta': delta },
      picture: sumOf(values),
    };
  },
};

const smooth: Method = {
  name: 'smoothgrad',
  title: 'SmoothGrad',
  text: 'The mean gradient of noisy copies of the image, with its sign. The noise has its own seed, so that it can be repeated.',
  formula: 'mean of ∂s/∂x at x + N(0, σ²)',
  source: 'Smilkov et al. 2017, eq. 2',
  whyNot: anyModel,
  forwards: ({ question }, { noise = usualNoise(question.pixels) }) => perGradient * noise.samples,
  derived: ({ graph }) => [withPixelGradient(graph)],
  async compute(explained, { noise = usualNoise(explained.question.pixels) }) {
    const values = await smoothGrad(explained, noise);
    return { tensors: { smoothgrad: values }, picture: strengthOf(values) };
  },
};

/** Windows of one patch, or of a sixteenth of each side without patches; then half the steps. */
function usualWindows({ probes, imageSize: [height, width] }: Explained): readonly Sliding[] {
  const grid = probes.find(({ queries }) => queries.grid?.length === 2)?.queries.grid ?? [16, 16];
  const window = [Math.ceil(height / at(grid, 0)), Math.ceil(width / at(grid, 1))] as const;
  const half = [Math.max(1, Math.floor(window[0] / 2)), Math.max(1, Math.floor(window[1] / 2))] as const;
  return [
    { window, strides: window },
    { window, strides: half },
  ];
}

const windowsOf = ({ imageSize: [height, width] }: Explained, { strides }: Sliding): number =>
  Math.ceil(height / strides[0]) * Math.ceil(width / strides[1]);

const occluded: Method = {
  name: 'occlusion',
  title: 'Occlusion',
  text: 'How much the value falls when a window is covered by the mean colour. Positive regions speak for the class. It needs no derivative and can be checked by hand; transformers hardly mind a single patch.',
  formula: 's(x) − s(x with the window covered)',
  source: 'Zeiler & Fergus 2014; overlapping windows as captum averages them',
  whyNot: anyModel,
  forwards: (explained, { occlusion: windows = usualWindows(explained) }) =>
    windows.reduce((sum, window) => sum + windowsOf(explained, window), 0),
  async compute(explained, { occlusion: windows = usualWindows(explained) }) {
    const names = ['occlusion', 'occlusion.overlap'] as const;
    const tensors: Record<string, Values> = {};
    for (const [index, window] of windows.slice(0, names.length).entries())
      tensors[at(names, index)] = float32(explained.imageSize, await occlusion(explained, window));
    const values = Object.values(tensors).at(-1)?.data ?? new Float32Array();
    return {
      tensors,
      picture: { grid: explained.imageSize, values, signed: true, legend: 'fall of the value' },
    };
  },
};

/** What is told of pixels, by gradients and by covering them. */
export const ofPixels = { gradient, inputXGradient, integrated, smooth, occluded } as const;
