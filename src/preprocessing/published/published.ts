/** Preprocessing of published checkpoints, found by the name of their file or folder. */
import { at } from '../../domain/lists';
import type { Size } from '../../domain/size';
import type { CropMode } from '../libraries/timm';
import type { TorchvisionPreset } from '../libraries/torchvision';
import type { Filter } from '../resize';
import type { Triple } from '../steps';
import { publishedTable, type Model, type Preset } from './models';

export interface TimmProfile {
  readonly imageSize: Size;
  readonly filter: Filter;
  readonly cropPct: number;
  readonly cropMode: CropMode;
  readonly mean: Triple;
  readonly std: Triple;
}

/** What a name identifies: `name` is the part of the path that did. */
export type Published =
  | { readonly name: string; readonly kind: 'timm'; readonly profile: TimmProfile }
  | { readonly name: string; readonly kind: 'torchvision'; readonly preset: TorchvisionPreset };

const extension = /\.(safetensors|pth|pt|bin|ckpt|npz|onnx|json|tar)$/i;
/** Download sites add the first digits of a hash: deit_base_patch16_224-b5f2ef4d.pth */
const hash = /-[0-9a-f]{8,}$/;
/**
 * Hugging Face's cache:
 * models--timm--vit_base_patch16_224.augreg_in21k/snapshots/0a1b…/model.safetensors
 */
const cacheFolder = /^models--[^-]+(?:-[^-]+)*--/;

/** Drops the tag of a timm name: `vit_base_patch16_224.dino` is a `vit_base_patch16_224`. */
const architectureOf = (name: string): string => name.replace(/\..*$/, '');

/** Models of which the table says how they are evaluated. */
interface Known {
  /** Indices of timm's profiles by the model's name and by its file's. */
  readonly names: ReadonlyMap<string, number>;
  readonly files: ReadonlyMap<string, number>;
  /**
   * torchvision's presets by the weights' full name, and by their file's, with and without hash.
   */
  readonly weights: ReadonlyMap<string, Preset>;
  readonly weightFiles: ReadonlyMap<string, Preset>;
}

let known: Known | undefined;

function collect(models: readonly Model[]): Known {
  const names = new Map<string, number>();
  const files = new Map<string, number>();
  const weights = new Map<string, Preset>();
  const weightFiles = new Map<string, Preset>();
  for (const [name, , , images] of models) if (typeof images === 'number') names.set(name, images);
  for (const [name, , , images, file] of models) {
    if (file === undefined) continue;
    if (typeof images === 'object' && images !== null) {
      weights.set(name, images);
      // Several weights have one bare name: the first, torchvision's V1, has it.
      for (const key of [file, file.replace(hash, '')])
        if (!weightFiles.has(key)) weightFiles.set(key, images);
    } else {
      const profile = images ?? names.get(architectureOf(name));
      if (profile !== undefined) files.set(file, profile);
    }
  }
  return { names, files, weights, weightFiles };
}

const knownModels = (): Known => (known ??= collect(publishedTable().models));

function profileOf(index: number): TimmProfile {
  const [height, width, filter, cropPct, cropMode, mean, std] = at(publishedTable().profiles, index);
  return { imageSize: [height, width], filter, cropPct, cropMode, mean, std };
}

const presetOf = ([resizeSize, cropSize, filter]: Preset): TorchvisionPreset => ({
  resizeSize,
  cropSize,
  filter,
});

/** The preset of torchvision's weights, by their full name: `ViT_B_16_Weights.IMAGENET1K_V1`. */
export function presetOfWeights(name: string): TorchvisionPreset | undefined {
  const preset = knownModels().weights.get(name);
  return preset && presetOf(preset);
}

/**
 * The architecture of a name with a tag that is not in the table takes the architecture's first
 * published tag.
 */
function byName(name: string): Published | undefined {
  const { names, files, weightFiles } = knownModels();
  const bare = name.replace(hash, '');
  const index = files.get(name) ?? names.get(name) ?? names.get(bare) ?? names.get(architectureOf(bare));
  if (index !== undefined) return { name, kind: 'timm', profile: profileOf(index) };
  const preset = weightFiles.get(name);
  return preset && { name, kind: 'torchvision', preset: presetOf(preset) };
}

/** Looks a path's file name up, then its folders' names, nearest first. */
export function findPublished(path: string): Published | undefined {
  const parts = path.split(/[\\/]/).slice(-5).reverse();
  for (const part of parts) {
    const name = part.replace(cacheFolder, '').replace(extension, '');
    const found = name && byName(name);
    if (found) return found;
  }
  return undefined;
}
