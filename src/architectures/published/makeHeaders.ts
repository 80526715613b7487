/**
 * Writes headersTable.ts: heads, image size and pixels of published models that their weights do not hold, read from header-only
 * model descriptions (`<library>.jsonl.gz`, one model a line: tensors, config, config_json).
 *
 *   npx esbuild src/architectures/published/makeHeaders.ts --bundle --platform=node --outfile=/tmp/make.cjs
 *   node /tmp/make.cjs FOLDER > src/architectures/published/headersTable.ts
 */
import { publishedKey } from './headers';
import { linesOf, modelOf, pixelsOf, tensorsOf, type Line } from './lines';

/** Families whose figures the table of plain transformers gives. */
const plain = /^(?:vit|vision_transformer|deit|dinov2|mae|vit-msn|ijepa|clip|dual-encoder|siglip2?)$/;

function headsOf({ config }: Line): readonly number[] | null {
  const stages = config['stages'] as readonly { readonly heads?: number | readonly number[] }[] | undefined;
  const heads = stages?.flatMap((stage) => [stage.heads ?? []].flat().slice(0, 1)) ?? [];
  return heads.length > 0 ? heads : null;
}

/** Described at another size than the published one, which is known where that does not change the names and shapes. */
const isResized = ({ id }: Line): boolean => id.includes('@');

/**
 * The size that a model is published with. timm's weights with a tag, `resnet50.a3_in1k`, may be of another size than the others of their
 * architecture, which has the same names and shapes: theirs counts where the architecture's own name has it, `swin_large_patch4_window12_384.ms_in22k`.
 */
function imageSizeOf(line: Line): readonly [number, number] | null {
  const [, ...size] = (line.config_json?.['pretrained_cfg']?.['input_size'] ?? []) as readonly number[];
  const [height = line.image_size[0], width = line.image_size[1]] = size;
  const [architecture = '', tag] = line.id.startsWith('timm/') ? modelOf(line).split('.') : [];
  return tag === undefined || architecture.includes(`_${height}`) ? [height, width] : null;
}

const lines = linesOf(process.argv[2]!, ({ family }) => !plain.test(family)).map((line) => ({
  line,
  key: publishedKey(tensorsOf(line)),
}));
const published = new Set(lines.filter(({ line }) => !isResized(line)).map(({ key }) => key));

const groups = new Map<string, Set<string>>();
for (const { line, key: header } of lines) {
  if (isResized(line) && published.has(header)) continue;
  const facts = [header, headsOf(line), imageSizeOf(line), pixelsOf(line) ?? null];
  const key = JSON.stringify(facts);
  groups.set(key, (groups.get(key) ?? new Set()).add(modelOf(line)));
}

console.log(`/** Written by makeHeaders.ts: [key of names and shapes, heads by stage, image size, pixels, models]. */
// prettier-ignore
export const rows: readonly (readonly [
  key: string,
  heads: readonly number[] | null,
  imageSize: Size | null,
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
