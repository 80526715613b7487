import type { Checked } from '../domain/explanation';

/** What a method's numbers were held against. */
interface Comparison {
  /** What computed the others, in float64. */
  readonly against: string;
  /** Largest difference, in parts of the largest value of the array that it is in. */
  readonly within: number;
  /** Golden cases, by what they are called in `referenceModels`. */
  readonly cases: readonly string[];
  /** It is made of derivatives. */
  readonly gradient?: true;
}

const [vit, beit, clip, resnet] = [
  'vit-timm-safetensors',
  'beit-timm-safetensors',
  'clip-vision-transformers-safetensors',
  'resnet-bottleneck-timm-pth',
] as const;
const transformers = [vit, beit, clip];
const all = [...transformers, resnet];

/** Architectures of the models that references were computed of. */
export const referenceModels: Readonly<Record<string, string>> = {
  [vit]: 'vit',
  [beit]: 'beit',
  [clip]: 'clip',
  [resnet]: 'resnet',
};

/** What no package publishes: written again in PyTorch, from the paper. */
const formula = 'the published formula in PyTorch';

/**
 * What the references of golden models say of each method: measured, and held by the test that
 * compares the two. A method that is not here was compared with nothing.
 */
export const comparisons: Readonly<Record<string, Comparison>> = {
  relevance: { against: formula, within: 2e-6, cases: transformers, gradient: true },
  gradient: { against: 'torch.autograd', within: 5e-6, cases: all, gradient: true },
  input_x_gradient: { against: 'captum’s InputXGradient', within: 2e-6, cases: all, gradient: true },
  integrated_gradients: { against: 'captum’s IntegratedGradients', within: 2e-6, cases: all, gradient: true },
  smoothgrad: { against: 'captum’s NoiseTunnel', within: 2e-6, cases: all, gradient: true },
  rollout: { against: formula, within: 2e-6, cases: transformers },
  gradient_rollout: { against: formula, within: 2e-6, cases: transformers, gradient: true },
  attention_gradcam: { against: formula, within: 2e-6, cases: [vit, clip], gradient: true },
  cam: { against: 'torch.autograd', within: 5e-6, cases: all, gradient: true },
  'cam.gradcam': { against: 'pytorch-grad-cam’s GradCAM', within: 5e-6, cases: all, gradient: true },
  'cam.gradcam_plus_plus': {
    against: 'pytorch-grad-cam’s GradCAMPlusPlus',
    within: 5e-5,
    cases: all,
    gradient: true,
  },
  'cam.layercam': { against: 'pytorch-grad-cam’s LayerCAM', within: 2e-6, cases: all, gradient: true },
  'cam.hirescam': { against: 'pytorch-grad-cam’s HiResCAM', within: 2e-6, cases: all, gradient: true },
  'cam.eigencam': { against: 'pytorch-grad-cam’s EigenCAM', within: 2e-6, cases: all },
  'cam.scorecam': { against: 'pytorch-grad-cam’s ScoreCAM', within: 5e-6, cases: all },
  'cam.ablationcam': { against: formula, within: 1e-5, cases: all },
  occlusion: { against: 'captum’s Occlusion', within: 1e-5, cases: all },
  deletion: { against: formula, within: 2e-6, cases: all },
  insertion: { against: formula, within: 2e-6, cases: all },
  road: { against: 'pytorch-grad-cam’s ROAD', within: 2e-6, cases: all },
  randomisation: { against: formula, within: 2e-5, cases: [vit] },
  entropy: { against: formula, within: 2e-6, cases: transformers },
  distance: { against: formula, within: 2e-6, cases: transformers },
  special_share: { against: formula, within: 2e-6, cases: transformers },
  value_norm: { against: formula, within: 5e-6, cases: transformers },
  kobayashi: { against: formula, within: 2e-6, cases: transformers },
  ablation: { against: formula, within: 5e-6, cases: transformers },
  logit_attribution: { against: formula, within: 2e-6, cases: [vit], gradient: true },
  logit_lens: { against: formula, within: 2e-6, cases: transformers },
  pca: { against: 'scikit-learn’s PCA', within: 5e-6, cases: transformers },
  cosine: { against: formula, within: 2e-6, cases: transformers },
  filter_components: { against: formula, within: 2e-6, cases: transformers },
  position_similarity: { against: formula, within: 2e-6, cases: [vit] },
};

/**
 * What a method was compared with; undefined if nothing was.
 *
 * @param architecture of the model at hand; undefined if its graph is a file's own
 */
export function checkedOf(method: string, architecture: string | undefined): Checked | undefined {
  const found = comparisons[method];
  if (!found) return undefined;
  const architectures = found.cases.map((id) => referenceModels[id] ?? id);
  return {
    against: found.against,
    within: found.within,
    architectures,
    isOfGradients: found.gradient ?? false,
    isOfThis: architecture !== undefined && architectures.includes(architecture),
  };
}
