/**
 * Writes src/architectures/published/biasFreeTable.ts: which kinds of modules have no bias in some
 * published model or golden case of each label.
 *
 *   npx esbuild test/oracles/makeBiasFree.ts --bundle --platform=node --packages=external \
 *     --outfile=dist/makeBiasFree.cjs
 *   node dist/makeBiasFree.cjs > src/architectures/published/biasFreeTable.ts
 */
import type { Checkpoint } from '../../src/checkpoint/checkpoint';
import { openCheckpoint } from '../../src/checkpoint/open';
import { weightedModules } from '../../src/architectures/recognise/biases';
import { buildGraph, recognise } from '../../src/architectures/recognise/recognise';
import { checkpointPath, readCases } from '../support/cases';
import { checkpointOf, linesFolder, readLines } from './lines';

const table = new Map<string, Set<string>>();

function add(checkpoint: Checkpoint): void {
  const recognition = recognise(checkpoint);
  if (recognition.family === null || !recognition.translation) return;
  const { used } = buildGraph(checkpoint, recognition);
  const kinds = table.get(recognition.label) ?? new Set();
  table.set(recognition.label, kinds);
  for (const { kind, isStored } of weightedModules(recognition, used)) if (!isStored) kinds.add(kind);
}

async function main(): Promise<void> {
  for (const line of readLines(linesFolder)) add(checkpointOf(line));
  for (const golden of readCases())
    if (golden.format !== 'onnx') add(await openCheckpoint(checkpointPath(golden)));
  const rows = [...table]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([label, kinds]) => `${JSON.stringify(label)}:${JSON.stringify([...kinds].sort().join(' '))}`);
  process.stdout.write(
    `/** Written by test/oracles/makeBiasFree.ts; biasFree.ts describes and parses it. */\n` +
      `export const biasFreeTable = \`{\n${rows.join(',\n')}\n}\`;\n`,
  );
}

void main();
