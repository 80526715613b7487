/**
 * Writes src/architectures/published/completeTable.ts: which parameters the published models and
 * golden cases of each kind have.
 *
 *   npx esbuild test/oracles/makeComplete.ts --bundle --platform=node --packages=external \
 *     --outfile=dist/makeComplete.cjs
 *   node dist/makeComplete.cjs > src/architectures/published/completeTable.ts
 */
import { completeTableText } from './complete';

void completeTableText().then((text) => process.stdout.write(text));
