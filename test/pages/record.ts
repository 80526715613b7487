// Records what the sample model attends to on a picture, for the pages to be looked at with: test/fixtures/pages/cat-on-grass.json.
//   node esbuild.mjs && npx esbuild test/pages/record.ts --bundle --platform=node --packages=external --outfile=dist/record.js
//   node dist/record.js
import { mkdir, writeFile } from 'node:fs/promises';
import { defaultLimits } from '../../src/inference/memory';
import { createMemoryStore } from '../../src/inference/providers';
import { createInference } from '../../src/inference/service';

const picture = 'media/sample/images/cat-on-grass.jpg';
const folder = 'test/fixtures/pages';

/** Four digits are more than a colour shows. */
const short = (rows: readonly Float32Array[]): number[][] =>
  rows.map((row) => [...row].map((value) => Number(value.toPrecision(4))));

async function record(): Promise<void> {
  const inference = createInference({
    processPath: 'dist/process.js',
    store: createMemoryStore(),
    log: { debug() {}, info() {}, warn() {} },
    limits: defaultLimits,
  });
  const request = { checkpoint: 'media/sample/vitrine-sample', image: picture, attention: true };
  const { run, region } = await inference.classify({ ...request, options: { provider: 'cpu' } });
  const { rows, rollout } = await inference.attention(run, { kind: 'special', name: 'cls' });
  await inference.dispose();
  await mkdir(folder, { recursive: true });
  const text = JSON.stringify({ region, rows: short(rows), rollout: short(rollout) });
  await writeFile(`${folder}/cat-on-grass.json`, `${text}\n`);
}

void record();
