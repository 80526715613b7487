// From a path to its tree, once, in a process that did nothing before: openOnce.js CHECKPOINT
// prints the milliseconds.
import { openModel } from '../../../src/models/openedModels';
import { inspectorModel } from '../../../src/analysis/inspection';

async function main(path: string): Promise<void> {
  const started = performance.now();
  const model = await openModel(path);
  const opened = performance.now();
  const { modules } = inspectorModel(model, { set: new Set() });
  const ended = performance.now();
  if (Object.keys(modules).length === 0) throw new Error(`${path} has no modules`);
  console.log(JSON.stringify({ open: opened - started, tree: ended - opened }));
}

void main(process.argv[2]!);
