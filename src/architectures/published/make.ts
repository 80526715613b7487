/**
 * Writes table.ts: facts of published models that their weights do not hold, read from header-only model descriptions
 * (`<library>.jsonl.gz`, one model a line: tensors, config, config_json).
 *
 *   npx esbuild src/architectures/published/make.ts --bundle --platform=node --outfile=/tmp/make.cjs
 *   node /tmp/make.cjs FOLDER > src/architectures/published/table.ts
 */
import { translations } from '../recognise/dialects';
import { measure, publishedKey } from '../groups/measure';
import { linesOf, modelOf, pixelsOf, tensorsOf, type Line } from './lines';

/** Families of the table: plain transformers and the image towers of dual encoders. */
const families = /^(?:vit|vision_transformer|deit|dinov2|mae|vit-msn|ijepa|clip|dual-encoder|siglip2?)$/;

/** Configuration of the image model. */
function visionOf(line: Line): Readonly<Record<string, unknown>> {
  return (line.config['vision_config'] as Readonly<Record<string, unknown>> | undefined) ?? line.config;
}

function rowOf(line: Line): { readonly model: string; readonly facts: readonly unknown[] } | undefined {
  const [translation] = translations(tensorsOf(line));
  const measures = translation && measure(translation.parameters);
  if (!translation || !measures) return undefined;
  const heads = [visionOf(line)['heads']].flat()[0];
  if (typeof heads !== 'number') return undefined;
  const json = line.config_json?.['vision_config'] ?? line.config_json;
  return {
    model: modelOf(line),
    facts: [
      translation.dialect.name,
      publishedKey(measures),
      measures.traits,
      heads,
      json?.['hidden_act'] ?? null,
      json?.['layer_norm_eps'] ?? null,
      pixelsOf(line) ?? null,
    ],
  };
}

/** A row as TypeScript writes it. */
function literal(facts: readonly unknown[], models: readonly string[]): string {
  return JSON.stringify([...facts, models])
    .replaceAll('"', "'")
    .replaceAll(',', ', ');
}

const groups = new Map<string, Set<string>>();
for (const row of linesOf(process.argv[2]!, ({ family }) => families.test(family)).map(rowOf)) {
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
