import { bilinear } from '../../attention/upsampling';
import { at } from '../../domain/lists';
import type { Explained, Values } from '../explained';
import type { Explanation, ExplainOptions, Method } from '../method';
import { imputed } from '../imputation';
import { anyModel } from './common';
import { saliencyMap } from './faithfulness';

/** Shares of the pixels that are taken away, in hundredths. */
const percentiles = [10, 30, 50, 70, 90] as const;

/** Which pixels go first: the least relevant, or the most relevant. */
const orders = ['morf', 'lerf'] as const;

/** Place of each pixel by rising saliency; of equal ones that of a lower place first. */
function ranksOf(saliency: ArrayLike<number>): Int32Array {
  const order = Array.from({ length: saliency.length }, (_, pixel) => pixel).sort(
    (a, b) => at(saliency, a) - at(saliency, b) || a - b,
  );
  const ranks = new Int32Array(saliency.length);
  order.forEach((pixel, rank) => (ranks[pixel] = rank));
  return ranks;
}

async function saliencyOf(explained: Explained, options: ExplainOptions): Promise<ArrayLike<number>> {
  if (options.saliency) return options.saliency.data;
  const { grid, values } = await saliencyMap(explained, options);
  return bilinear(values, grid, explained.imageSize);
}

/** Scores at each percentile; pixels whose rank is below it stay. */
async function scoresOf(explained: Explained, ranks: Int32Array, by: string): Promise<Values> {
  const { pixels, progress } = explained.question;
  const highest = ranks.length - 1;
  const scores = new Float32Array(percentiles.length);
  for (const [index, percentile] of percentiles.entries()) {
    progress?.(`ROAD ${by}, ${percentile} %`);
    const isKept = Uint8Array.from(ranks, (rank) => {
      const own = by === 'morf' ? rank : highest - rank;
      return own * 100 < percentile * highest ? 1 : 0;
    });
    const data = imputed(pixels.data, isKept, explained.imageSize);
    scores[index] = await explained.scoreAt({ shape: pixels.shape, data });
  }
  return { shape: [percentiles.length], data: scores };
}

/** Remove and debias. */
export const road: Method = {
  name: 'road',
  gives: ['road.morf', 'road.lerf'],
  title: 'ROAD',
  text: 'How the probability changes when pixels are taken away and filled in from their neighbours: the most relevant first, and the least relevant first. Filled-in pixels look like an image, where grey cells do not. A good map lies far apart in the two.',
  formula:
    'p(class) at 10, 30 … 90 % of the ranks kept; a missing pixel is the mean of its neighbours (1/6, diagonals 1/12)',
  source:
    'Rong et al. 2022, without noise; percentiles as pytorch-grad-cam counts them, of ranks, since a threshold on a plateau is decided by rounding',
  whyNot: anyModel,
  forwards: () => orders.length * percentiles.length,
  async compute(explained, options): Promise<Explanation> {
    const ranks = ranksOf(await saliencyOf(explained, options));
    const tensors: Record<string, Values> = {};
    for (const by of orders) tensors[`road.${by}`] = await scoresOf(explained, ranks, by);
    return { tensors };
  },
};
