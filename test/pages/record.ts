// Records what the pages are looked at with: what the sample model attends to on an image, and
// three small networks of other kinds (stages of windows, gates, channels) from the golden cases.
//   node esbuild.mjs
//   npx esbuild test/pages/record.ts --bundle --platform=node --packages=external \
//     --outfile=dist/record.js
//   node dist/record.js
import { PathRunner } from '../../src/useCases/run';
import { openAt } from '../support/open';
import type { Method, Query } from '../../src/domain/query';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { inspectorModel } from '../../src/analysis/inspection';
import { reportOf } from '../../src/analysis/report';
import { scaling } from '../../src/analysis/scaling';
import { graphsOfParts, understand, type Model } from '../../src/models/model';
import { checkpointOf, ownFolder, readLines } from '../oracles/lines';
import { defaultLimits } from '../../src/inference/memory';
import { createMemoryStore } from '../../src/inference/providers';
import { createInference } from '../../src/inference/service';
import { checkpointPath, readCases } from '../support/cases';

const image = 'media/sample/images/cat-on-grass.jpg';
const folder = 'test/fixtures/pages';

/** Golden case by the name that the pages show it under. */
const recordedCases = {
  staged: 'swin-timm-safetensors',
  gates: 'cbam-resnet-timm-safetensors',
  crossed: 'davit-timm-safetensors',
} as const;

/** Models of several parts, of which the inspector and the report are looked at. */
const recordedParts = { spoken: 'blip-vqa' } as const;

/** Four digits are more than a colour shows; JSON knows no NaN, which lies outside of a window. */
const short = (rows: readonly Float32Array[]): (number | null)[][] =>
  rows.map((row) => [...row].map((value) => (Number.isNaN(value) ? null : Number(value.toPrecision(4)))));

async function recordSample(inference: PathRunner): Promise<unknown> {
  const request = { checkpoint: 'media/sample/vitrine-sample', image, attention: true };
  const {
    run,
    seen: { region },
  } = await inference.classify({ ...request, options: { provider: 'cpu' } });
  const ask = async (method: Method): Promise<unknown> =>
    short((await inference.attention(run, { kind: 'special', name: 'cls' }, method)).rows);
  return { region, rows: await ask('raw'), rollout: await ask('rollout') };
}

/**
 * What the image panel gets of a case: once for the mean of all patches, once for one in the
 * middle.
 */
async function recordCase(inference: PathRunner, id: string): Promise<object> {
  const { checkpoint, imageSize, assume } = caseOf(id);
  const request = { checkpoint, model: { assume }, image, attention: true };
  const view = await inference.classify({ ...request, options: { provider: 'cpu', imageSize } });
  const { run, modelTitle, seen, answer, preprocessing, inputSize, probes } = view;
  const ask = async (query: Query): Promise<unknown> =>
    short((await inference.attention(run, query, 'raw')).rows);
  return {
    view: { modelTitle, region: seen.region, answer, preprocessing, inputSize, probes },
    mean: await ask({ kind: 'mean' }),
    patch: await ask({ kind: 'patch', row: 5, column: 5, grid: [12, 12] }),
  };
}

/** What the inspector and the complexity report get of a case. */
async function recordInspection(id: string): Promise<object> {
  const { checkpoint, imageSize, assume } = caseOf(id);
  return inspectionOf(await openAt(checkpoint, { assume, imageSize }), id);
}

/** The same of a published model, by its header alone. */
function recordPublished(id: string): object {
  const line = readLines(ownFolder).find((each) => each.id === id);
  if (!line) throw new Error(`${id}: no such line`);
  return inspectionOf(understand(checkpointOf(line, line.config_json)), `${basename(id)}.safetensors`);
}

function inspectionOf(model: Model, id: string): object {
  const { recognition } = model;
  const { sizeStep: step = [0, 0] as const } = recognition.family === null ? {} : recognition;
  return {
    model: {
      ...inspectorModel(model, { set: new Set() }),
      path: `/home/you/models/${id}`,
      fileName: basename(id),
    },
    report: reportOf(model),
    scaling: scaling((size) => graphsOfParts(model, { imageSize: size }), model.imageSize!, step),
  };
}

function caseOf(id: string) {
  const golden = readCases().find((each) => each.id === id);
  if (!golden) throw new Error(`${id}: no such golden case`);
  return { checkpoint: checkpointPath(golden), imageSize: golden.image_size, assume: golden.assume };
}

async function record(): Promise<void> {
  const inference = new PathRunner(
    createInference({
      processPath: 'dist/process.js',
      store: createMemoryStore(),
      log: { debug() {}, info() {}, warn() {} },
      limits: defaultLimits,
    }),
  );
  const write = (name: string, content: unknown): Promise<void> =>
    writeFile(`${folder}/${name}.json`, `${JSON.stringify(content)}\n`);
  await mkdir(folder, { recursive: true });
  await write('cat-on-grass', await recordSample(inference));
  for (const [name, id] of Object.entries(recordedParts)) await write(name, await recordInspection(id));
  await write('towers', recordPublished('original/clip/ViT-B-32'));
  for (const [name, id] of Object.entries(recordedCases)) {
    const inspected = name === 'staged' ? await recordInspection(id) : {};
    await write(name, { ...inspected, attention: await recordCase(inference, id) });
  }
  await inference.dispose();
}

void record();
