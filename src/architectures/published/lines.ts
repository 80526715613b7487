/** Header-only descriptions of published models, for the scripts that write the tables. */
import type { Size } from '../../domain/size';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
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

/** Lines of every `*.jsonl.gz` of a folder that describe a published file of a wanted family. */
export function linesOf(folder: string, wanted: (line: Line) => boolean): readonly Line[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.jsonl.gz'))
    .sort()
    .flatMap((file) =>
      gunzipSync(readFileSync(join(folder, file)))
        .toString('utf8')
        .split('\n'),
    )
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as Line)
    .filter((line) => line.reconstructed !== true && wanted(line));
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

/** The published name without library and variant: `timm/beit_base_patch16_224#features` is `beit_base_patch16_224`. */
export const modelOf = ({ id }: Line): string =>
  id.replace(/^(?:timm|transformers|original\/[^/]+|torchvision)\//, '').replace(/[#@+].*$/, '');

/** Names of mean pixel values in the preprocessing table, by the first of the three. */
const pixels: Readonly<Record<string, string>> = {
  '0': 'unit',
  '0.5': 'half',
  '0.485': 'imagenet',
  '0.48145466': 'clip',
};

/** Name of the normalisation that timm's configuration states; undefined where there is none. */
export function pixelsOf({ config_json: json }: Line): string | undefined {
  const mean = (json?.['pretrained_cfg']?.['mean'] as readonly number[] | undefined)?.[0];
  return mean === undefined ? undefined : pixels[String(mean)];
}
