import type { DType } from '../../checkpoint/tensors';
import { isFoldable } from '../operators/constants';

/**
 * Values of inputs beside the image that leave a model as it is, by the names that libraries give
 * them: nothing is masked, nothing is trained. A `mask` alone says not whether 1 keeps or hides.
 */
const defaults: readonly (readonly [name: RegExp, value: number])[] = [
  [/^bool_masked_pos$|masked_pos/i, 0],
  [/padding_mask$/i, 0],
  [/(attention|pixel|head)_mask$/i, 1],
  [/^(is_)?training(_mode)?$|^train_flag$|^learning_phase$|^phase_train$|training:0$/i, 0],
  [/keep_prob/i, 1],
  [/drop(out|_?path)?_(rate|prob|p)$/i, 0],
  [/^interpolate_pos_encoding$|^output_(attentions|hidden_states)$/i, 0],
];

/** What an input beside the image is left at; undefined if nothing is known of it. */
export const defaultOf = (name: string, dtype: DType): number | undefined =>
  isFoldable(dtype) ? defaults.find(([pattern]) => pattern.test(name))?.[1] : undefined;
