import { withGradientBy } from '../derivedGraphs';
import { bilinear } from '../../attention/upsampling';
import { eigenCam, gradCam, gradCamPlusPlus, hiResCam, layerCam, scaled, type Activations } from '../cam';
import { asMap, usualCamLayer, type CamLayer } from '../camLayer';
import type { Explained, Values } from '../explained';
import type { Explanation, ExplainOptions, Method } from '../method';
import { float32, perGradient } from './common';

export const layerFor = ({ graph, imageSize }: Explained, { camLayer }: ExplainOptions): CamLayer =>
  camLayer ?? usualCamLayer(graph, imageSize);

async function activationsOf(explained: Explained, layer: CamLayer): Promise<Activations> {
  const { value, gradient: own } = await explained.derivedBy(layer.value);
  return { activation: asMap(layer, value), gradient: asMap(layer, own) };
}

export function whyNoMap(explained: Explained): string | undefined {
  try {
    usualCamLayer(explained.graph, explained.imageSize);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The map at the size of the image, 0 … 1: scaled before and after. */
function ofImage({ imageSize }: Explained, { grid }: CamLayer, map: Float64Array): Values {
  return float32(imageSize, scaled(bilinear(scaled(map), grid, imageSize)));
}

/** A class activation map of one formula. */
const activationMap = (
  name: string,
  words: Pick<Method, 'title' | 'text' | 'formula' | 'source'>,
  compute: (activations: Activations) => Float64Array,
  pictured?: string,
): Method => ({
  name: `cam.${name}`,
  ...words,
  ...(pictured !== undefined && { gives: [pictured] }),
  whyNot: whyNoMap,
  forwards: () => perGradient,
  derived: (explained, options) => [withGradientBy(explained.graph, layerFor(explained, options).value)],
  async compute(explained, options): Promise<Explanation> {
    const layer = layerFor(explained, options);
    const activations = await activationsOf(explained, layer);
    const map = compute(activations);
    const isEmpty = activations.gradient.data.every((value) => value === 0);
    return {
      tensors: {
        [`cam.${name}`]: float32(layer.grid, map),
        ...(pictured !== undefined && { [pictured]: ofImage(explained, layer, map) }),
      },
      picture: { grid: layer.grid, values: scaled(map), signed: false, legend: `output of ${layer.path}` },
      ...(isEmpty && {
        notes: [
          `no gradient reaches the patches at the output of ${layer.path}: the class token alone is read behind it; choose an earlier layer`,
        ],
      }),
    };
  },
});

/** Grad-CAM, which others are held against. */
export const gradCamMap = activationMap(
  'gradcam',
  {
    title: 'Grad-CAM',
    text: 'The layer’s channels, each weighted by how much the value grows with it on average.',
    formula: 'Σ mean(G) · A',
    source: 'Selvaraju et al. 2017, eq. 1–2',
  },
  gradCam,
  'cam.gradcam.picture',
);

const cams: readonly Method[] = [
  gradCamMap,
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
  gives: ['cam.activation', 'cam.gradient'],
  title: 'Activations of the layer',
  text: 'The activation and its gradient that class activation maps are made of.',
  formula: 'A, ∂s/∂A',
  source: 'Selvaraju et al. 2017',
  whyNot: whyNoMap,
  forwards: () => perGradient,
  derived: (explained, options) => [withGradientBy(explained.graph, layerFor(explained, options).value)],
  async compute(explained, options) {
    const { activation, gradient: own } = await activationsOf(explained, layerFor(explained, options));
    return { tensors: { 'cam.activation': activation, 'cam.gradient': own } };
  },
};

/** Class activation maps, and what they are made of. */
export const ofActivations: readonly Method[] = [camInputs, ...cams];
