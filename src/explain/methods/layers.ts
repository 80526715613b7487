import { at } from '../../domain/lists';
import { tokenCount } from '../../domain/probes';
import type { Derived, DerivedMap, Explained } from '../explained';
import type { Explanation, Method, Picture } from '../method';
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
} from '../overLayers';
import { byAll, float32, perGradient } from './common';

/** Share of the smallest entries that the variants named `discard` leave out (vit-explain). */
const discardRatio = 0.9;

/** The rows of a matrix over all layers that the head reads, as a picture. */
function overImage(derived: Derived, matrix: Matrix, tokens: number, what: string): Picture | undefined {
  const read = readRows(derived.maps);
  if (!read) return undefined;
  const values = pictureOf(matrix, tokens, read);
  return { grid: read.grid, values, signed: false, legend: `${what}, ${read.title}` };
}

const tokensOf = ({ probes }: Explained): number => tokenCount(at(probes, 0).queries);

/** What a matrix over all layers is, and how it is made. */
interface OverLayers extends Pick<Method, 'name' | 'title' | 'text' | 'formula' | 'source'> {
  readonly whyNot: (probes: Explained['probes']) => string | undefined;
  readonly tokens: (explained: Explained) => number;
  /** Matrices by the names of their tensors; the first is drawn. */
  readonly matrices: (
    maps: readonly DerivedMap[],
    tokens: number,
  ) => readonly (readonly [name: string, matrix: Matrix])[];
  readonly legend: string;
  /** Name of the picture as a tensor of its own, if it is one. */
  readonly pictured?: string;
}

/** A method that makes a matrix `[tokens, tokens]` over all layers, whose read rows are drawn. */
const overLayers = ({ whyNot, tokens, matrices, legend, pictured, ...words }: OverLayers): Method => ({
  ...words,
  whyNot: ({ probes }) => whyNot(probes),
  // Which rows the head reads, the gradient of the last layer says.
  forwards: () => perGradient,
  derived: byAll,
  async compute(explained) {
    const derived = await explained.derived();
    const count = tokens(explained);
    const made = matrices(derived.maps, count);
    const picture = overImage(derived, at(made, 0)[1], count, legend);
    return {
      tensors: {
        ...Object.fromEntries(made.map(([name, matrix]) => [name, float32([count, count], matrix)])),
        ...(picture && pictured && { [pictured]: float32(picture.grid, picture.values) }),
      },
      ...(picture && { picture }),
    };
  },
});

const kinds: readonly (readonly [name: string, how: Fusion, ratio: number])[] = [
  ['rollout.mean', 'mean', 0],
  ['rollout.max', 'max', 0],
  ['rollout.min', 'min', 0],
  ['rollout.mean.discard', 'mean', discardRatio],
  ['rollout.max.discard', 'max', discardRatio],
];

const rolled = overLayers({
  name: 'rollout',
  title: 'Rollout',
  text: 'Attention through all layers, with the residual connection as one half. It is the same for every class, and with depth all rows become alike.',
  formula: 'Π (A + I)/2, rows scaled to sum 1',
  source:
    'Abnar & Zuidema 2020, §3; rows are normalised as the paper has it, where vit-explain divides columns',
  whyNot: whyNoRollout,
  tokens: tokensOf,
  matrices: (maps) => kinds.map(([name, how, ratio]) => [name, rollout(maps, how, ratio)] as const),
  legend: 'rollout of the mean over heads',
});

const rolledByGradient = overLayers({
  name: 'gradient_rollout',
  title: 'Gradient rollout',
  text: 'Rollout of attention that is weighted by its own gradient: layers where the class does not care add nothing.',
  formula: 'Π (max(0, mean of A ⊙ ∂s/∂A) + I)/2, rows scaled to sum 1',
  source: 'vit-explain, with each layer’s own gradient (its code pairs layers the wrong way round)',
  whyNot: whyNoRollout,
  tokens: tokensOf,
  matrices: (maps) => [
    ['gradient_rollout', gradientRollout(maps, 0)],
    ['gradient_rollout.discard', gradientRollout(maps, discardRatio)],
  ],
  legend: 'gradient rollout',
});

const relevant = overLayers({
  name: 'relevance',
  title: 'Relevance',
  text: 'Which patches speak for this class, through all layers: attention weighted by its gradient, added up along the residual connections. Another class gives another picture.',
  formula: 'R ← R + mean over heads of max(0, A ⊙ ∂s/∂A) · R',
  source: 'Chefer et al. 2021 (ICCV), eq. 5–6',
  whyNot: whyNoRelevance,
  tokens: ({ probes }) => relevanceTokens(probes),
  matrices: (maps, tokens) => [['relevance', relevance(maps, tokens)]],
  legend: 'relevance',
  pictured: 'relevance.picture',
});

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
  derived: byAll,
  async compute(explained): Promise<Explanation> {
    const { maps } = await explained.derived();
    const read = readRows(maps);
    if (!read || !read.rows.includes(0))
      return {
        tensors: {},
        reason: 'the head averages patches: no gradient reaches the class token’s row of the last layer',
      };
    const values = attentionGradCam(at(maps, maps.length - 1));
    return {
      tensors: { attention_gradcam: float32(read.grid, values) },
      picture: { grid: read.grid, values, signed: false, legend: 'attention of the class token, weighted' },
    };
  },
};

/** What attention says over all layers. */
export const ofLayers = { relevant, rolled, rolledByGradient, attentionCam } as const;
