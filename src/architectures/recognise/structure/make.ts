/**
 * Writes table.ts: in which order the libraries write the tensors of their models, and what repeats
 * in them.
 *
 *   npx esbuild src/architectures/recognise/structure/make.ts --bundle --platform=node \
 *     --outfile=dist/makeLayouts.cjs
 *   node dist/makeLayouts.cjs test/fixtures/oracles \
 *     > src/architectures/recognise/structure/table.ts
 *
 * The folder holds header-only descriptions of published models (`<library>.jsonl.gz`, one model a
 * line), whose tensors are in the order of the modules.
 */
import { linesOf } from '../../published/lines';
import { layoutTable } from './makeLayouts';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('makeLayouts.cjs ORACLES');
process.stdout.write(layoutTable(linesOf(folder)));
