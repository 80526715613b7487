import type { Model } from './model';

/** Whether a model takes token ids of texts, and no images. */
export const readsTexts = ({ parts, imageSize }: Pick<Model, 'parts' | 'imageSize'>): boolean =>
  imageSize === undefined && (parts[0]?.graph().inputs.some(({ name }) => name === 'input_ids') ?? false);
