/** Header-only descriptions of published models, for the scripts that write the tables. */
import type { Size } from '../../domain/size';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { DefaultsName } from '../../preprocessing/defaults';
import type { CropMode } from '../../preprocessing/libraries/timm';
import { normalisations } from '../../preprocessing/normalisations';
import type { Profile } from '../../preprocessing/published/models';
import type { Filter } from '../../preprocessing/resize';
import type { Triple } from '../../preprocessing/steps';
import { dtypes, type DType, type Tensor } from '../../checkpoint/tensors';

export interface Line {
  readonly id: string;
  readonly family: string;
  readonly image_size: Size;
  readonly reconstructed?: boolean;
  readonly config: Readonly<Record<string, unknown>>;
  readonly config_json?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly tensors: readonly (readonly [string, string, readonly number[]])[];
}

/** What timm's `pretrained_cfg` says of images. */
interface TimmConfig {
  readonly input_size: readonly number[];
  readonly interpolation: Filter;
  readonly crop_pct: number;
  readonly crop_mode: CropMode;
  readonly mean: Triple;
  readonly std: Triple;
}

/** Values of a gzipped file with one JSON value a line. */
export function jsonLines<T>(file: string): readonly T[] {
  return gunzipSync(readFileSync(file))
    .toString('utf8')
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as T);
}

/** Lines of every `*.jsonl.gz` of a folder. */
export function linesOf(folder: string): readonly Line[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.jsonl.gz'))
    .sort()
    .flatMap((file) => jsonLines<Line>(join(folder, file)));
}

export function tensorsOf(line: Line): readonly Tensor[] {
  return line.tensors.map(([name, dtype, shape]) => {
    if (!(dtype in dtypes)) throw new Error(`${line.id}: ${name}: dtype ${dtype}`);
    return {
      name,
      dtype: dtype as DType,
      shape,
      start: 0,
      storage: { kind: 'inline', bytes: new Uint8Array() },
    };
  });
}

/**
 * The published name without library and variant: `timm/beit_base_patch16_224#features` is
 * `beit_base_patch16_224`.
 */
export const modelOf = ({ id }: Line): string =>
  id.replace(/^(?:timm|transformers|original\/[^/]+|torchvision)\//, '').replace(/[#@+].*$/, '');

/** Names of mean pixel values in the preprocessing table, by the first of the three. */
const pixels: Readonly<Record<string, DefaultsName>> = {
  '0': 'unit',
  '0.5': 'half',
  '0.485': 'imagenet',
  '0.48145466': 'clip',
};

/** Name of the normalisation that timm's configuration states; undefined if it states none. */
export function pixelsOf({ config_json: json }: Line): DefaultsName | undefined {
  const mean = (json?.['pretrained_cfg']?.['mean'] as readonly number[] | undefined)?.[0];
  return mean === undefined ? undefined : pixels[String(mean)];
}

/** What timm's configuration leaves out, as `resolve_data_config` fills it in. */
const usual = {
  interpolation: 'bicubic',
  crop_pct: 0.875,
  crop_mode: 'center',
  ...normalisations.imagenet,
} as const;

/**
 * The evaluation that timm's configuration states; undefined if there is none or it takes no RGB.
 */
export function profileOf({ config_json: json }: Line): Profile | undefined {
  const stated = Object.entries(json?.['pretrained_cfg'] ?? {}).filter(([, value]) => value !== null);
  const full = { ...usual, ...(Object.fromEntries(stated) as Partial<TimmConfig>) };
  const [channels, height, width] = full.input_size ?? [];
  if (channels !== 3 || height === undefined || width === undefined) return undefined;
  return [height, width, full.interpolation, full.crop_pct, full.crop_mode, full.mean, full.std];
}
