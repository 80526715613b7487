// npm run bench [-- SECTION …]: Vitrine beside its peers in one run, as ratios, because this
// machine's milliseconds mean little on another.
import { cpus, loadavg, release } from 'node:os';
import { measureCold } from './cold';
import { findTimm, findTransformersJs } from './findPeers';
import { measureAnswers } from './answers';
import { measureFamilies } from './families';
import { measureHostile } from './hostile';
import { measureMemory } from './memory';
import { measureActivation, measureOpening } from './opening';
import type { Row } from './table';
import { formatTable } from './table';
import { measureTasks } from './tasks';
import { measureViews } from './views';
import { measureWarm, measureWarmPeer } from './warm';
import { makeWorkload, type Workload } from './workload';

type Section = (workload: Workload) => Promise<readonly Row[]>;

const warmAgainst = (name: string): string => `warm, image to top-5, against ${name}`;

/** In the order of the table; memory before the peers, so that its processes are alone. */
const sections: Readonly<Record<string, Section>> = {
  opening: measureOpening,
  activation: measureActivation,
  hostile: measureHostile,
  memory: measureMemory,
  warm: measureWarm,
  transformersJs: async (workload) => {
    const other = await findTransformersJs(workload);
    const cold = await measureCold(workload, other, 'transformers.js', 0.5);
    return [
      ...cold,
      ...(await measureWarmPeer(workload.weights, other, { what: warmAgainst('transformers.js') })),
    ];
  },
  timm: async (workload) => {
    const other = await findTimm(workload.weights, workload.architecture);
    const cold = await measureCold(workload, other, 'timm, eager', 0.25);
    return [
      ...cold,
      ...(await measureWarmPeer(workload.weights, other, { what: warmAgainst('timm, eager') })),
    ];
  },
  families: measureFamilies,
  answers: measureAnswers,
  tasks: measureTasks,
  views: measureViews,
};

async function main(wanted: readonly string[]): Promise<void> {
  const unknown = wanted.filter((name) => !(name in sections));
  if (unknown.length > 0)
    throw new Error(`no section ${unknown.join(', ')}; there are ${Object.keys(sections).join(', ')}`);
  describeMachine();
  console.log('making the weights and what the peers need …');
  const workload = await makeWorkload();
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(sections)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    console.log(`measuring ${name} …`);
    rows.push(...(await measure(workload)));
  }
  console.log(`\n${formatTable(rows)}\n`);
  describeMachine();
}

function describeMachine(): void {
  const processors = cpus();
  const load = loadavg()[0]!.toFixed(1);
  console.log(
    `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown'}, ${process.platform} ${release()}, Node ${process.version}, load ${load}`,
  );
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
});
