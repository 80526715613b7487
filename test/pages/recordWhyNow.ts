// node esbuild.mjs, then
//   npx esbuild test/pages/recordWhyNow.ts --bundle --platform=node --packages=external \
//     --outfile=dist/recordWhy.js
//   node dist/recordWhy.js
import { writeWhy } from './recordWhy';

void writeWhy('test/fixtures/pages');
