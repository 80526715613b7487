import type { NotFound, OtherWay } from './findPeers';
import { processTime, runProgram, vitrine } from './processes';
import { agreement, measurePairs } from './statistics';
import { missingRow, ratioRow, type Row } from './table';
import { image, type Workload } from './workload';

const turns = 5;

/** A new process from a checkpoint to the five likeliest classes, against another one. */
export async function measureCold(
  { weights }: Workload,
  other: OtherWay | NotFound,
  name: string,
  target: number,
): Promise<readonly Row[]> {
  const what = `cold, checkpoint to top-5, against ${name}`;
  if ('notFound' in other) return [missingRow(what, other.notFound)];
  const ours = vitrine('classify', weights, image, '--provider', 'cpu', '--json');
  const same = compareTop((await runProgram(ours)).output, (await runProgram(other.command)).output);
  const paired = await measurePairs(
    turns,
    () => processTime(ours),
    () => processTime(other.command),
  );
  return [ratioRow(what, `${other.title}; ${same}`, paired, target)];
}

/** Classes of the programs' last lines of output. */
function compareTop(ours: string, theirs: string): string {
  const mine = (JSON.parse(ours) as { top: { index: number }[] }).top.map(({ index }) => index);
  const { top } = JSON.parse(theirs.trim().split('\n').at(-1)!) as { top: number[] };
  return agreement(mine, top);
}
