import type { Size } from '../../src/domain/size';
import type { Model, Settings } from '../../src/models/model';
import { openModel } from '../../src/models/openedModels';

/** Settings, and the image size that a checkpoint is understood for. */
export interface SizedSettings extends Settings {
  readonly imageSize?: Size;
}

/** Opens a checkpoint as understood for an image size; its own by default. */
export async function openAt(path: string, settings: SizedSettings = {}): Promise<Model> {
  const { imageSize, ...others } = settings;
  // Cases of models that read no images say 0 × 0.
  return (await openModel(path, others)).at(imageSize?.includes(0) ? undefined : imageSize);
}
