/**
 * Writes headersTable.ts: heads, image size and pixels of published models that their weights do not hold, read from header-only
 * model descriptions (`<library>.jsonl.gz`, one model a line: tensors, config, config_json).
 *
 *   npx esbuild src/architectures/published/makeHeaders.ts --bundle --platform=node --outfile=/tmp/make.cjs
 *   node /tmp/make.cjs FOLDER > src/architectures/published/headersTable.ts
 */
import { headerKey } from './headers';
import { linesOf, modelOf, pixelsOf, tensorsOf, type Line } from './lines';

/** Families whose figures the table of plain transformers gives. */
const plain = /^(?:vit|vision_transformer|deit|dinov2|mae|vit-msn|ijepa|clip|dual-encoder|siglip2?)$/;

function headsOf({ config }: Line): readonly number[] | null {
  const stages = config['stages'] as readonly { readonly heads?: number | readonly number[] }[] | undefined;
  const heads = stages?.flatMap((stage) => [stage.heads ?? []].flat().slice(0, 1)) ?? [];
  return heads.length > 0 ? heads : null;
}

const groups = new Map<string, Set<string>>();
for (const line of linesOf(process.argv[2]!, ({ family }) => !plain.test(family))) {
  const facts = [headerKey(tensorsOf(line)), headsOf(line), line.image_size, pixelsOf(line) ?? null];
  const key = JSON.stringify(facts);
  groups.set(key, (groups.get(key) ?? new Set()).add(modelOf(line)));
}

console.log(`/** Written by makeHeaders.ts: [key of names and shapes, heads by stage, image size, pixels, models]. */
// prettier-ignore
export const rows: readonly (readonly [
  key: string,
  heads: readonly number[] | null,
  imageSize: readonly [number, number],
  pixels: string | null,
  models: readonly string[],
])[] = [`);
for (const [facts, models] of [...groups].sort(([left], [right]) => left.localeCompare(right)))
  console.log(
    `  ${JSON.stringify([...(JSON.parse(facts) as readonly unknown[]), [...models].sort()])
      .replaceAll('"', "'")
      .replaceAll(',', ', ')},`,
  );
console.log('];');
