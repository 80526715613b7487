/**
 * Writes table.ts: facts of published models that their weights do not hold, read from header-only model descriptions
 * (`<library>.jsonl.gz`, one model a line: tensors, config, config_json).
 *
 *   npx esbuild src/architectures/published/make.ts --bundle --platform=node --outfile=/tmp/make.cjs
 *   node /tmp/make.cjs FOLDER > src/architectures/published/table.ts
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { dtypes, type DType, type Tensor } from '../../checkpoint/tensors';
import { translateTensors } from '../dialects';
import { measure, publishedKey } from '../measure';

interface Line {
  readonly id: string;
  readonly family: string;
  readonly reconstructed?: boolean;
  readonly config: Readonly<Record<string, unknown>>;
  readonly config_json?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly tensors: readonly (readonly [string, string, readonly number[]])[];
}

/** Families of the table: plain transformers and the image towers of dual encoders. */
const families = /^(?:vit|vision_transformer|deit|dinov2|mae|vit-msn|ijepa|clip|dual-encoder|siglip2?)$/;

/** Names of mean pixel values, the first one of the three. */
const pixels: Readonly<Record<string, string>> = { '0.5': 'half', '0.485': 'imagenet', '0.48145466': 'clip' };

function tensorsOf(line: Line): readonly Tensor[] {
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

/** Configuration of the image model. */
function visionOf(line: Line): Readonly<Record<string, unknown>> {
  return (line.config['vision_config'] as Readonly<Record<string, unknown>> | undefined) ?? line.config;
}

function rowOf(line: Line): { readonly model: string; readonly facts: readonly unknown[] } | undefined {
  const translation = translateTensors(tensorsOf(line));
  const measures = translation && measure(translation.parameters);
  if (!translation || !measures) return undefined;
  const heads = [visionOf(line)['heads']].flat()[0];
  if (typeof heads !== 'number') return undefined;
  const json = line.config_json?.['vision_config'] ?? line.config_json;
  const mean = (line.config_json?.['pretrained_cfg']?.['mean'] as readonly number[] | undefined)?.[0];
  return {
    model: line.id
      .replace(/^(?:timm|transformers|original\/[^/]+|torchvision)\//, '')
      .replace(/[#@+].*$/, ''),
    facts: [
      translation.dialect.name,
      publishedKey(measures),
      measures.traits,
      heads,
      json?.['hidden_act'] ?? null,
      json?.['layer_norm_eps'] ?? null,
      mean === undefined ? null : pixels[String(mean)],
    ],
  };
}

function linesOf(folder: string): readonly Line[] {
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
    .filter((line) => families.test(line.family) && line.reconstructed !== true);
}

/** A row as TypeScript writes it. */
function literal(facts: readonly unknown[], models: readonly string[]): string {
  return JSON.stringify([...facts, models])
    .replaceAll('"', "'")
    .replaceAll(',', ', ');
}

const groups = new Map<string, Set<string>>();
for (const row of linesOf(process.argv[2]!).map(rowOf)) {
  if (!row) continue;
  const key = JSON.stringify(row.facts);
  groups.set(key, (groups.get(key) ?? new Set()).add(row.model));
}

console.log(`/** Written by make.ts: [naming, dim/depth/MLP width/patch, traits, heads, activation, eps, pixels, models]. */
// prettier-ignore
export const rows: readonly (readonly [
  dialect: string,
  key: string,
  traits: string,
  heads: number,
  activation: string | null,
  eps: number | null,
  pixels: string | null,
  models: readonly string[],
])[] = [`);
for (const [key, models] of [...groups].sort(([left], [right]) => left.localeCompare(right)))
  console.log(`  ${literal(JSON.parse(key) as readonly unknown[], [...models].sort())},`);
console.log('];');
