/**
 * Writes src/preprocessing/published/table.ts: names, headers and preprocessing of published
 * models, which their weights do not hold, one model a row.
 *
 *   python3 src/architectures/published/libraries.py TIMM TORCHVISION \
 *     | gzip -9n > test/fixtures/published/libraries.jsonl.gz
 *   npx esbuild src/architectures/published/make.ts --bundle --platform=node \
 *     --outfile=dist/make.cjs
 *   node dist/make.cjs test/fixtures/oracles test/fixtures/published/libraries.jsonl.gz \
 *     > src/preprocessing/published/table.ts
 *
 * The first step is needed only when timm or torchvision publish more: what it wrote is in the
 * repository. The folder holds header-only model descriptions (`<library>.jsonl.gz`, one model a
 * line: tensors, config, config_json).
 */
import { publishedTableText } from './makeTable';

const [folder, libraries] = process.argv.slice(2);
if (folder === undefined || libraries === undefined) throw new Error('make.cjs ORACLES LIBRARIES');
process.stdout.write(publishedTableText(folder, libraries));
