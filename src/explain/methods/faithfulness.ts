import { area, byFalling, curve, curveKinds, mostSteps, type CellOrder } from '../curves';
import type { Explained, Values } from '../explained';
import type { ExplainOptions, Method, Picture } from '../method';
import { whyNoRelevance } from '../overLayers';
import { gradCamMap } from './cams';
import { anyModel } from './common';
import { ofLayers } from './layers';

/** The map that is judged unless one is given: relevance, else Grad-CAM. */
export async function saliencyMap(explained: Explained, options: ExplainOptions): Promise<Picture> {
  const method = whyNoRelevance(explained.probes) === undefined ? ofLayers.relevant : gradCamMap;
  const { picture } = await method.compute(explained, options);
  if (!picture) throw new Error('no map says in which order cells are changed');
  return picture;
}

async function saliencyOf(explained: Explained, options: ExplainOptions): Promise<CellOrder> {
  if (options.cells) return { ...options.cells, isGiven: true };
  const { grid, values } = await saliencyMap(explained, options);
  return { grid, order: byFalling(values) };
}

/** Score of the start, and of each step. */
const scoresOfCurve = mostSteps + 1;

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
    forwards: () => kinds.length * scoresOfCurve,
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

/** How well a map says what matters. */
export const ofFaithfulness: readonly Method[] = [
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
];
