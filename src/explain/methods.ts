import { at } from '../domain/lists';
import { tokenCount } from '../domain/probes';
import { meanAttentionDistances } from '../attention/summary';
import { eigenCam, gradCam, gradCamPlusPlus, hiResCam, layerCam, scaled, type Activations } from './cam';
import { asMap, usualCamLayer, type CamLayer } from './camLayer';
import { area, byFalling, curve, curveKinds, type CellOrder } from './curves';
import type { Derived, Explained, Values } from './explained';
import type { Explanation, ExplainOptions, Method, Picture } from './method';
import {
  attentionGradCam,
  gradientRollout,
  pictureOf,
  readRows,
  relevance,
  relevanceTokens,
  rollout,
  whyNoRelevance,
  whyNoRollout,
  type Fusion,
  type Matrix,
} from './overLayers';
import {
  inputTimesGradient,
  integratedGradients,
  occlusion,
  pathNodes,
  smoothGrad,
  usualNoise,
  type Sliding,
} from './pixels';

/** A gradient costs about as much as this many forward passes. */
const perGradient = 2.2;
/** Share of the smallest entries that the variants named `discard` leave out (vit-explain). */
const discardRatio = 0.9;

const anyModel = (): undefined => undefined;
const float32 = (shape: readonly number[], data: ArrayLike<number>): Values => ({
  shape,
  data: Float32Array.from(data),
});
const square = (matrix: Matrix, tokens: number): Values => float32([tokens, tokens], matrix);

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
    values[place % (height * width)]! += at(data, place);
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

/** The rows of a matrix over all layers that the head reads, as a picture. */
function overImage(derived: Derived, matrix: Matrix, tokens: number, what: string): Picture | undefined {
  const read = readRows(derived.maps);
  if (!read) return undefined;
  const values = pictureOf(matrix, tokens, read);
  return { grid: read.grid, values, signed: false, legend: `${what}, ${read.title}` };
}

const tokensOf = ({ probes }: Explained): number => tokenCount(at(probes, 0).queries);

const rolled: Method = {
  name: 'rollout',
  title: 'Rollout',
  text: 'Attention through all layers, with the residual connection as one half. It is the same for every class, and with depth all rows become alike.',
  formula: 'Π (A + I)/2, rows scaled to sum 1',
  source:
    'Abnar & Zuidema 2020, §3; rows are normalised as the paper has it, where vit-explain divides columns',
  whyNot: ({ probes }) => whyNoRollout(probes),
  forwards: () => 1,
  async compute(explained) {
    const derived = await explained.derived();
    const tokens = tokensOf(explained);
    const kinds: readonly (readonly [name: string, how: Fusion, ratio: number])[] = [
      ['rollout.mean', 'mean', 0],
      ['rollout.max', 'max', 0],
      ['rollout.min', 'min', 0],
      ['rollout.mean.discard', 'mean', discardRatio],
      ['rollout.max.discard', 'max', discardRatio],
    ];
    const matrices = kinds.map(([name, how, ratio]) => [name, rollout(derived.maps, how, ratio)] as const);
    const picture = overImage(derived, at(matrices, 0)[1], tokens, 'rollout of the mean over heads');
    return {
      tensors: Object.fromEntries(matrices.map(([name, matrix]) => [name, square(matrix, tokens)])),
      ...(picture && { picture }),
    };
  },
};

const rolledByGradient: Method = {
  name: 'gradient_rollout',
  title: 'Gradient rollout',
  text: 'Rollout of attention that is weighted by its own gradient: layers where the class does not care add nothing.',
  formula: 'Π (max(0, mean of A ⊙ ∂s/∂A) + I)/2, rows scaled to sum 1',
  source: 'vit-explain, with each layer’s own gradient (its code pairs layers the wrong way round)',
  whyNot: ({ probes }) => whyNoRollout(probes),
  forwards: () => perGradient,
  async compute(explained) {
    const derived = await explained.derived();
    const tokens = tokensOf(explained);
    const matrix = gradientRollout(derived.maps, 0);
    const picture = overImage(derived, matrix, tokens, 'gradient rollout');
    return {
      tensors: {
        gradient_rollout: square(matrix, tokens),
        'gradient_rollout.discard': square(gradientRollout(derived.maps, discardRatio), tokens),
      },
      ...(picture && { picture }),
    };
  },
};

const relevant: Method = {
  name: 'relevance',
  title: 'Relevance',
  text: 'Which patches speak for this class, through all layers: attention weighted by its gradient, added up along the residual connections. Another class gives another picture.',
  formula: 'R ← R + mean over heads of max(0, A ⊙ ∂s/∂A) · R',
  source: 'Chefer et al. 2021 (ICCV), eq. 5–6',
  whyNot: ({ probes }) => whyNoRelevance(probes),
  forwards: () => perGradient,
  async compute(explained) {
    const derived = await explained.derived();
    const tokens = relevanceTokens(explained.probes);
    const matrix = relevance(derived.maps, tokens);
    const picture = overImage(derived, matrix, tokens, 'relevance');
    return {
      tensors: {
        relevance: square(matrix, tokens),
        ...(picture && { 'relevance.picture': float32(picture.grid, picture.values) }),
      },
      ...(picture && { picture }),
    };
  },
};

const attentionCam: Method = {
  name: 'attention_gradcam',
  title: 'Attention Grad-CAM',
  text: 'The class token’s attention in the last layer, each head weighted by how much the value grows with it.',
  formula: 'max(0, mean over heads of w · A[class, patches])',
  source: 'Chefer et al. 2021 (CVPR), baseline',
  whyNot: ({ probes }) =>
    whyNoRollout(probes) ??
    (probes.at(-1)?.queries.special?.[0] === 'cls' ? undefined : 'the last layer has no class token'),
  forwards: () => perGradient,
  async compute(explained): Promise<Explanation> {
    const { maps } = await explained.derived();
    const read = readRows(maps);
    if (!read || !read.rows.includes(0))
      return {
        tensors: {},
        notes: ['the head averages patches: no gradient reaches the class token’s row of the last layer'],
      };
    const values = attentionGradCam(at(maps, maps.length - 1));
    return {
      tensors: { attention_gradcam: float32(read.grid, values) },
      picture: { grid: read.grid, values, signed: false, legend: 'attention of the class token, weighted' },
    };
  },
};

const layerFor = ({ graph, imageSize }: Explained, { camLayer }: ExplainOptions): CamLayer =>
  camLayer ?? usualCamLayer(graph, imageSize);

async function activationsOf(explained: Explained, layer: CamLayer): Promise<Activations> {
  const { value, gradient: own } = await explained.derivedBy(layer.value);
  return { activation: asMap(layer, value), gradient: asMap(layer, own) };
}

function whyNoMap(explained: Explained): string | undefined {
  try {
    usualCamLayer(explained.graph, explained.imageSize);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** A class activation map of one formula. */
const activationMap = (
  name: string,
  words: Pick<Method, 'title' | 'text' | 'formula' | 'source'>,
  compute: (activations: Activations) => Float64Array,
): Method => ({
  name: `cam.${name}`,
  ...words,
  whyNot: whyNoMap,
  forwards: () => perGradient,
  async compute(explained, options): Promise<Explanation> {
    const layer = layerFor(explained, options);
    const activations = await activationsOf(explained, layer);
    const map = compute(activations);
    const isEmpty = activations.gradient.data.every((value) => value === 0);
    return {
      tensors: { [`cam.${name}`]: float32(layer.grid, map) },
      picture: { grid: layer.grid, values: scaled(map), signed: false, legend: `output of ${layer.path}` },
      ...(isEmpty && {
        notes: [
          `no gradient reaches the patches at the output of ${layer.path}: the class token alone is read behind it; choose an earlier layer`,
        ],
      }),
    };
  },
});

const cams: readonly Method[] = [
  activationMap(
    'gradcam',
    {
      title: 'Grad-CAM',
      text: 'The layer’s channels, each weighted by how much the value grows with it on average.',
      formula: 'Σ mean(G) · A',
      source: 'Selvaraju et al. 2017, eq. 1–2',
    },
    gradCam,
  ),
  activationMap(
    'gradcam_plus_plus',
    {
      title: 'Grad-CAM++',
      text: 'Channels weighted by where their gradient is positive, so that several objects of a class are all lit. Negative activations make its weights unsteady.',
      formula: 'Σ [Σ α · max(0, G)] · A, α = G² / (2G² + ΣA · G³)',
      source: 'Chattopadhyay et al. 2018, eq. 19',
    },
    gradCamPlusPlus,
  ),
  activationMap(
    'layercam',
    {
      title: 'LayerCAM',
      text: 'Activations weighted by their own positive gradient, place by place: finer than Grad-CAM in early layers.',
      formula: 'Σ max(0, G) · A',
      source: 'Jiang et al. 2021',
    },
    layerCam,
  ),
  activationMap(
    'hirescam',
    {
      title: 'HiResCAM',
      text: 'Activations weighted by their own gradient, place by place. Where a linear head follows mean pooling, it is exactly what each place adds.',
      formula: 'Σ G · A',
      source: 'Draelos & Carin 2020',
    },
    hiResCam,
  ),
  activationMap(
    'eigencam',
    {
      title: 'Eigen-CAM',
      text: 'What the layer’s channels vary along most. It knows of no class, and its sign is a convention: the largest loading is positive.',
      formula: '(A − mean) · v₁',
      source: 'Muhammad & Yeasin 2020',
    },
    ({ activation }) => eigenCam(activation),
  ),
];

/** Activation and gradient that all of these are made of. */
const camInputs: Method = {
  name: 'cam',
  title: 'Activations of the layer',
  text: 'The activation and its gradient that class activation maps are made of.',
  formula: 'A, ∂s/∂A',
  source: 'Selvaraju et al. 2017',
  whyNot: whyNoMap,
  forwards: () => perGradient,
  async compute(explained, options) {
    const { activation, gradient: own } = await activationsOf(explained, layerFor(explained, options));
    return { tensors: { 'cam.activation': activation, 'cam.gradient': own } };
  },
};

/** The map that curves follow unless one is given: relevance, else Grad-CAM. */
async function saliencyOf(explained: Explained, options: ExplainOptions): Promise<CellOrder> {
  if (options.cells) return { ...options.cells, isGiven: true };
  const method = whyNoRelevance(explained.probes) === undefined ? relevant : at(cams, 0);
  const { picture } = await method.compute(explained, options);
  if (!picture) throw new Error('no map says in which order cells are changed');
  return { grid: picture.grid, order: byFalling(picture.values) };
}

/** Curves whose names begin with the method's. */
const curves = (
  name: 'deletion' | 'insertion',
  words: Pick<Method, 'title' | 'text' | 'formula'>,
): Method => {
  const kinds = curveKinds.filter((kind) => kind.name.startsWith(name));
  return {
    name,
    ...words,
    source: 'Petsiuk et al. 2018, §4.2, by cells of the grid',
    whyNot: anyModel,
    forwards: () => kinds.length * 65,
    async compute(explained, options) {
      const cells = await saliencyOf(explained, options);
      const tensors: Record<string, Values> = {};
      const figures: Record<string, number> = {};
      for (const kind of kinds) {
        const scores = await curve(explained, kind, cells);
        tensors[kind.name] = { shape: [scores.length], data: scores };
        figures[`${kind.name}.auc`] = area(scores);
      }
      return { tensors, figures };
    },
  };
};

/** Bits of each head's rows, their mean attention distance and what special tokens get. */
const statistics: Method = {
  name: 'entropy',
  title: 'Entropy of heads',
  text: 'How widely each head looks, in bits: 0 for one key, log₂ of their number for all alike.',
  formula: 'mean over queries of −Σ a · log₂ a',
  source: 'Shannon 1948',
  whyNot: ({ probes }) => (probes.length === 0 ? 'it has no attention' : undefined),
  forwards: () => 1,
  async compute(explained) {
    const { maps } = await explained.derived();
    const tensors: Record<string, Values> = {};
    maps.forEach(({ probe, map }, index) => {
      if (
        !isDistribution(map) ||
        probe.kind === 'class' ||
        probe.kind === 'pool' ||
        probe.kind === 'channel' ||
        probe.window
      )
        return;
      const [heads = 1, queries = 1, keys = 1] = map.shape;
      const bits = Float32Array.from({ length: heads }, (_, head) => {
        let sum = 0;
        for (const weight of map.data.subarray(head * queries * keys, (head + 1) * queries * keys))
          if (weight > 0) sum -= weight * Math.log2(weight);
        return sum / queries;
      });
      tensors[`entropy.${index}`] = { shape: [heads], data: bits };
    });
    return { tensors };
  },
};

/** Rows that sum to 1, of weights that are not negative. */
function isDistribution({ shape, data }: Values): boolean {
  const keys = at(shape, shape.length - 1);
  for (let first = 0; first < data.length; first += keys) {
    let sum = 0;
    for (const weight of data.subarray(first, first + keys)) {
      if (weight < 0) return false;
      sum += weight;
    }
    // Sums of a thousand float32 weights are right to about 1e-6.
    if (Math.abs(sum - 1) > 1e-4) return false;
  }
  return true;
}

const distances: Method = {
  name: 'distance',
  title: 'Mean attention distance',
  text: 'How far each head looks, in pixels between the centres of patches. Weights on special tokens are left out and the rest scaled to sum 1.',
  formula: 'mean over queries of Σ a · ‖p − p′‖',
  source: 'Dosovitskiy et al. 2021, figure 7; Raghu et al. 2021',
  whyNot: ({ probes }) => (probes.length === 0 ? 'it has no attention' : undefined),
  forwards: () => 1,
  async compute(explained) {
    const { maps } = await explained.derived();
    const tensors: Record<string, Values> = {};
    maps.forEach(({ probe, map }, index) => {
      if (probe.kind === 'class' || probe.kind === 'pool' || probe.kind === 'channel') return;
      const own = meanAttentionDistances(map.data, probe, explained.imageSize);
      if (own) tensors[`distance.${index}`] = float32([own.length], own);
    });
    return { tensors };
  },
};

/** Every method, in the order in which they are offered. */
export const methods: readonly Method[] = [
  relevant,
  gradient,
  inputXGradient,
  integrated,
  smooth,
  rolled,
  rolledByGradient,
  attentionCam,
  camInputs,
  ...cams,
  occluded,
  curves('deletion', {
    title: 'Deletion',
    text: 'How the probability falls when cells are covered, the most important first: the lower the area, the better the map. Compare areas of one image and one fill alone.',
    formula: 'p(class) after 0 … n cells, image → mean colour',
  }),
  curves('insertion', {
    title: 'Insertion',
    text: 'How the probability rises when cells come back into a blurred image, the most important first: the higher the area, the better the map.',
    formula: 'p(class) after 0 … n cells, blurred → image',
  }),
  statistics,
  distances,
];

/** What one method came to: tensors and pictures, or why there are none. */
export type Outcome = { readonly method: Method } & (
  { readonly explanation: Explanation } | { readonly reason: string }
);

/** Asks methods one after the other; one that cannot serve says why. */
export async function explain(
  explained: Explained,
  names: readonly string[] | 'all',
  options: ExplainOptions,
): Promise<readonly Outcome[]> {
  const asked = names === 'all' ? methods : names.map(methodOf);
  const outcomes: Outcome[] = [];
  for (const method of asked) {
    const reason = method.whyNot(explained);
    if (reason === undefined)
      outcomes.push({ method, explanation: await method.compute(explained, options) });
    else outcomes.push({ method, reason });
  }
  return outcomes;
}

function methodOf(name: string): Method {
  const found = methods.find((method) => method.name === name);
  if (!found)
    throw new Error(`${name}: unknown method; known are ${methods.map((method) => method.name).join(', ')}`);
  return found;
}
