// transformers.js as its users run it: node transformersJs.mjs PACKAGES HUB MODEL IMAGE. Prints
// the answer as a line of JSON, and once more for every line of standard input.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [packages, hub, model, image] = process.argv.slice(2);
const { resolve } = createRequire(join(packages, 'package.json'));
const { env, pipeline } = await import(pathToFileURL(resolve('@huggingface/transformers')).href);
Object.assign(env, { allowRemoteModels: false, localModelPath: hub });

const classify = await pipeline('image-classification', model, { dtype: 'fp32', device: 'cpu' });
await answer();
for await (const _ of createInterface({ input: process.stdin })) await answer();

async function answer() {
  const started = performance.now();
  const top = await classify(image, { top_k: 5 });
  const milliseconds = performance.now() - started;
  console.log(
    JSON.stringify({ milliseconds, top: top.map(({ label }) => Number(label.replace('class ', ''))) }),
  );
}
