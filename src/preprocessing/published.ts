/** Preprocessing of published checkpoints, found by the name of their file or folder. */
import type { ImageSize, Triple } from './steps';
import published from './published.json';
import type { Filter } from './resize';
import type { CropMode } from './libraries/timm';
import type { TorchvisionPreset } from './libraries/torchvision';

type Row = [number, number, Filter, number, CropMode, Triple, Triple];

/** Made by published.py; `names`, `files` hold indices into `profiles`. */
interface Table {
  readonly profiles: readonly Row[];
  readonly names: Readonly<Record<string, number>>;
  readonly files: Readonly<Record<string, number>>;
  readonly torchvision: Readonly<Record<string, [string, number, number, Filter]>>;
}

const table = published as unknown as Table;

export interface TimmProfile {
  readonly imageSize: ImageSize;
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

function profileOf(index: number): TimmProfile {
  const [height, width, filter, cropPct, cropMode, mean, std] = table.profiles[index]!;
  return { imageSize: [height, width], filter, cropPct, cropMode, mean, std };
}

function presetOf([, resizeSize, cropSize, filter]: [string, number, number, Filter]): TorchvisionPreset {
  return { resizeSize, cropSize, filter };
}

/** The preset of torchvision's weights, by their full name: `ViT_B_16_Weights.IMAGENET1K_V1`. */
export function presetOfWeights(weights: string): TorchvisionPreset | undefined {
  const row = Object.hasOwn(table.torchvision, weights) ? table.torchvision[weights] : undefined;
  return row && presetOf(row);
}

const extension = /\.(safetensors|pth|pt|bin|ckpt|npz|onnx|json|tar)$/i;
/** Download sites add the first digits of a hash: deit_base_patch16_224-b5f2ef4d.pth */
const hash = /-[0-9a-f]{8,}$/;
/** Hugging Face's cache: models--timm--vit_base_patch16_224.augreg_in21k/snapshots/0a1b…/model.safetensors */
const cacheFolder = /^models--[^-]+(?:-[^-]+)*--/;

function own<Value>(record: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** The architecture of a name with a tag that is not in the table takes the architecture's first published tag. */
function byName(name: string): Published | undefined {
  const plain = name.replace(hash, '');
  const index =
    own(table.files, name) ??
    own(table.names, name) ??
    own(table.names, plain) ??
    own(table.names, plain.split('.')[0]!);
  if (index !== undefined) return { name, kind: 'timm', profile: profileOf(index) };
  const row = Object.values(table.torchvision).find(
    ([stem]) => stem === name || stem.replace(hash, '') === name,
  );
  return row && { name, kind: 'torchvision', preset: presetOf(row) };
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
