import { join } from 'node:path';
import { dist, ownProgram, processTime, runProgram, vitrine, type Command } from './processes';
import { measurePairs, spreadOf, type Spread } from './statistics';
import { formatTime, ratioRow, type Row } from './table';
import { provideMostTensors, type Workload } from './workload';

const turns = 9;
/** So many compile the code. */
const recognitionsBefore = 6;
const emptyNode: Command = [process.execPath, '-e', '0'];

/** From a path to the tree: inside the core, and as a whole process. */
export async function measureOpening({ weights, large }: Workload): Promise<readonly Row[]> {
  const parts: { open: number; tree: number }[] = [];
  const openOnce = async (path: string): Promise<number> => {
    const { output } = await runProgram(ownProgram('peers/openOnce', path));
    const part = JSON.parse(output) as { open: number; tree: number };
    parts.push(part);
    return part.open + part.tree;
  };
  const inside = await measurePairs(
    turns,
    () => openOnce(large),
    () => openOnce(weights),
  );
  const split = (key: 'open' | 'tree'): string => formatTime(spreadOf(parts.map((part) => part[key])).median);
  const detail = `first call in a new process: ${split('open')} to the model, ${split('tree')} to the tree`;
  const core = (what: string, value: Spread): Row => ({ what, value, unit: 'ms', target: 50, detail });
  const bySize = ratioRow('10.3 GB against 346 MB', 'as many tensors', inside);
  return [
    core('path to tree, ViT-B/16 of 346 MB', inside.theirs),
    core('path to tree, sparse file of 10.3 GB', inside.ours),
    bySize,
    await inspectRow('vitrine inspect, 346 MB', weights),
    await inspectRow('vitrine inspect, 10.3 GB', large),
    await recognitionRow(),
  ];
}

/** The published file with the most names, in a process that has read others. */
async function recognitionRow(): Promise<Row> {
  const { folder, file, tensors } = await provideMostTensors();
  const { output } = await runProgram(ownProgram('peers/recogniseAgain', join(folder, file)));
  const taken = JSON.parse(output) as number[];
  return {
    what: `recognition of ${tensors.toLocaleString('en')} tensors`,
    value: spreadOf(taken.slice(recognitionsBefore)),
    unit: 'ms',
    target: 100,
    detail: `after ${recognitionsBefore} others; the first in a new process ${formatTime(taken[0] ?? 0)}`,
  };
}

async function inspectRow(what: string, path: string): Promise<Row> {
  const paired = await measurePairs(
    turns,
    () => processTime(vitrine('inspect', path)),
    () => processTime(emptyNode),
  );
  return ratioRow(what, 'node -e 0', paired, 2.2);
}

/** What VS Code waits for when the extension is first used. */
export async function measureActivation(): Promise<readonly Row[]> {
  const parts: { load: number; activate: number }[] = [];
  for (let turn = 0; turn <= turns; turn++) {
    const { output } = await runProgram(ownProgram('peers/activate', `${dist}/extension.js`));
    if (turn > 0) parts.push(JSON.parse(output) as { load: number; activate: number });
  }
  const load = spreadOf(parts.map((part) => part.load)).median;
  return [
    {
      what: 'activate()',
      value: spreadOf(parts.map((part) => part.activate)),
      unit: 'ms',
      target: 20,
      detail: `plain Node with a stand-in for vscode; loading the bundle before it took ${formatTime(load)}`,
    },
  ];
}
