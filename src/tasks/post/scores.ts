/** Scores of classes, answers and prompts. */
import { probabilities } from '../../labels/labels';
import { ofOneImage, type Values } from './values';

export interface Score {
  readonly label: number;
  readonly score: number;
}

/**
 * `softmax`: shares of one (classes of a video, prompts of CLIP); `sigmoid`: each for itself
 * (answers of ViLT, prompts of SigLIP).
 */
export type ScoreRule = 'softmax' | 'sigmoid';

/**
 * Returns the scores of logits [classes] or logits per image [prompts], best first, equals in their
 * order; the first `top` if it is given. Throws `OutputShapeError` if they are of several images.
 */
export function scoresOf(logits: Values, rule: ScoreRule, top?: number): readonly Score[] {
  const scores = probabilities(ofOneImage(logits, 1, 'logits').values, rule);
  return Array.from({ length: scores.length }, (_, label) => ({ label, score: scores[label] ?? 0 }))
    .sort((a, b) => b.score - a.score)
    .slice(0, top);
}
