// A row per task: from an image to its answer, beside transformers with the same random weights,
// and the run alone beside the runtime on the exported graph.
import { copyFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { openModel } from '../../src/models/openedModels';
import type { ClassifyRequest } from '../../src/inference/service';
import { exportOnnx } from '../../src/inference/export';
import type { ByPath } from '../../src/useCases/run';
import { findTransformers } from './findPeers';
import { inFolder } from './folders';
import { startInference } from './inference';
import { ownProgram, Peer } from './processes';
import { measurePairs } from './statistics';
import { missingRow, ratioRow, type Row } from './table';
import { image } from './workload';

/** What is asked with an image, by the task's command. */
const tasks: Readonly<Record<string, readonly string[]>> = {
  detect: [],
  segment: [],
  depth: [],
  'zero-shot': ['cat', 'dog', 'car', 'house', 'tree', 'key', 'bus', 'fish'],
};

const turns = 15;
const warmUps = 4;

/** A tokenizer for models with random weights: that of the sample. */
const tokenizer = ['tokenizer.json', 'tokenizer_config.json'] as const;
const words = resolve('media/sample/vitrine-words');

/** The rows of every task, or of those that VITRINE_TASKS names (separated by commas). */
export async function measureTasks(): Promise<readonly Row[]> {
  const wanted = process.env.VITRINE_TASKS?.split(',');
  const rows: Row[] = [];
  for (const [task, labels] of Object.entries(tasks)) {
    if (wanted && !wanted.includes(task)) continue;
    console.log(`  ${task} …`);
    rows.push(...(await inFolder((folder) => measureTask(task, labels, folder))));
  }
  return rows;
}

async function measureTask(task: string, labels: readonly string[], folder: string): Promise<readonly Row[]> {
  const what = `${task}: image to answer`;
  for (const name of labels.length > 0 ? tokenizer : []) copyFileSync(join(words, name), join(folder, name));
  const other = await findTransformers(task, folder, labels);
  if ('notFound' in other) return [missingRow(what, other.notFound)];
  // First the other: it makes the weights.
  const peer = await Peer.start(other.command);
  const inference = startInference();
  const request: ByPath<ClassifyRequest> = {
    checkpoint: folder,
    image,
    displaySide: 0,
    options: { provider: 'cpu', ...(labels.length > 0 && { given: { labels, template: '{}' } }) },
  };
  const parts = { run: 0, asked: 0 };
  const whole = async (): Promise<number> => {
    // What a first step made of an image is kept for the next texts: each turn has its own.
    const fresh = join(folder, `image-${parts.asked++}.jpg`);
    copyFileSync(image, fresh);
    const started = performance.now();
    parts.run = (await inference.classify({ ...request, image: fresh })).times.run;
    return performance.now() - started;
  };
  const bare = await Peer.start(ownProgram('peers/bareRuntime', ...(await exported(folder))));
  try {
    for (let run = 0; run < warmUps; run++) await Promise.resolve(whole()).then(() => peer.run());
    const beside = await measurePairs(turns, whole, () => peer.run());
    const rows = [ratioRow(what, other.title, beside, 1)];
    // Texts have a graph of their own, which the runtime alone is not given.
    if (labels.length > 0) return rows;
    const runOnly = (): Promise<number> => whole().then(() => parts.run);
    for (let run = 0; run < warmUps; run++) await bare.run();
    const alone = await measurePairs(turns, runOnly, () => bare.run());
    return [...rows, ratioRow(`${task}: the run alone`, 'bare onnxruntime-node on the export', alone, 1.05)];
  } finally {
    await Promise.all([peer.end(), bare.end(), inference.dispose()]);
  }
}

/** The first part of a model as a file of its own, and the size of its image. */
async function exported(folder: string): Promise<readonly [file: string, size: string]> {
  const model = await openModel(folder);
  const graph = model.graph();
  const file = join(folder, 'exported.onnx');
  await exportOnnx(graph, model.checkpoint.selected.tensors, file);
  return [file, (graph.values.get(graph.inputs[0]?.name ?? '')?.shape ?? []).join('x')];
}
