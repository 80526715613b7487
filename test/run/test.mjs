// npm test: installs what it needs, runs every stage, and sums up in one line.
//   npm test                       everything
//   npm test -- unit inference     some stages (and the build they need)
//   npm test -- unit --grep NAME   mocha's own selection inside them
import { provideChromium } from './chromium.mjs';
import { installDependencies } from './dependencies.mjs';
import { endOnSignals, follow } from './processes.mjs';
import { softwareVulkan } from './vulkan.mjs';

/**
 * @typedef {object} Counts
 * @property {number} passed
 * @property {number} failed
 * @property {readonly {title: string, reason: string}[]} skipped
 * @property {readonly string[]} [failures] titles of the tests that failed
 *
 * @typedef {object} Stage
 * @property {string} name
 * @property {readonly (readonly string[])[]} commands arguments of node, one after another
 * @property {boolean} [counts] its last line holds its tests' counts; others count as one
 * @property {readonly string[]} [needs] stages that must have run before
 * @property {() => Readonly<Record<string, string>> | undefined} [environment]
 */

const summary = /^##vitrine-summary (\{.*\})/;
const mochaOptions = process.argv
  .slice(2)
  .filter((argument, index, all) => isOption(argument, all[index - 1]));
const chosen = process.argv.slice(2).filter((argument) => !mochaOptions.includes(argument));

/** @type {readonly Stage[]} */
const stages = [
  { name: 'format', commands: [['node_modules/prettier/bin/prettier.cjs', '--check', '.']] },
  { name: 'lint', commands: [['node_modules/eslint/bin/eslint.js', '.']] },
  {
    name: 'types',
    commands: ['src', 'webview', 'test'].map((room) => ['node_modules/typescript/bin/tsc', '-p', room]),
  },
  { name: 'package', commands: [['test/run/package.mjs']] },
  // After packaging, which leaves the minified production build behind.
  { name: 'build', commands: [['esbuild.mjs', '--tests']] },
  mochaStage('unit', '20000'),
  { name: 'fuzz', commands: [['dist/test/fuzz/run.js', '60', '--check']], needs: ['build'] },
  mochaStage('oracles', '120000'),
  { ...mochaStage('inference', '120000'), environment: softwareVulkan },
  { name: 'host', commands: [['dist/test/host/inServer.js']], counts: true, needs: ['build'] },
  { ...mochaStage('browser', '180000'), needs: ['package', 'build'] },
];

/** @param {string} name @param {string} timeout @returns {Stage} */
function mochaStage(name, timeout) {
  const command = [
    'dist/test/support/runMocha.js',
    `dist/test/${name}`,
    '--timeout',
    timeout,
    ...mochaOptions,
  ];
  return { name, commands: [command], counts: true, needs: ['build'] };
}

/** @param {string} argument @param {string | undefined} before */
function isOption(argument, before) {
  return argument.startsWith('-') || before === '--grep' || before === '--timeout';
}

/** @param {readonly string[]} names */
function select(names) {
  const unknown = names.filter((name) => !stages.some((stage) => stage.name === name));
  if (unknown.length > 0) {
    const known = stages.map((stage) => stage.name).join(', ');
    console.error(`unknown stage ${unknown.join(', ')}; the stages are ${known}`);
    process.exit(2);
  }
  if (names.length === 0) return stages;
  const needed = stages.filter((stage) => names.includes(stage.name)).flatMap((stage) => stage.needs ?? []);
  return stages.filter((stage) => names.includes(stage.name) || needed.includes(stage.name));
}

/**
 * Chromium comes first, because the inference stage borrows its software Vulkan. Without one the
 * stages that need it fail with the same message, and the others run.
 *
 * @param {readonly Stage[]} selected
 */
async function prepare(selected) {
  const needing = ['inference', 'host', 'browser'];
  if (!selected.some(({ name }) => needing.includes(name))) return;
  await provideChromium().catch((error) => console.error(error.message));
}

/** @param {Stage} stage @returns {Promise<Counts>} */
async function runStage(stage) {
  const started = Date.now();
  console.log(`\n── ${stage.name} ${'─'.repeat(Math.max(0, 70 - stage.name.length))}`);
  /** @type {Counts | undefined} */
  let counts;
  let failures = 0;
  /** @param {string} line */
  const onLine = (line) => {
    const found = line.match(summary);
    if (found) counts = JSON.parse(found[1] ?? '');
    else console.log(line);
  };
  const colour = process.stdout.isTTY ? { FORCE_COLOR: '1' } : {};
  const env = { ...process.env, ...colour, ...stage.environment?.() };
  for (const command of stage.commands) {
    const status = await follow(process.execPath, command, onLine, { env });
    if (status !== 0) failures += 1;
  }
  console.log(`   ${stage.name}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
  return countsOf(stage, counts, failures);
}

/**
 * A stage that dies is a failure, even when all tests before its end had passed.
 *
 * @param {Stage} stage @param {Counts | undefined} counts @param {number} failures
 * @returns {Counts}
 */
function countsOf(stage, counts, failures) {
  if (!stage.counts) return { passed: failures === 0 ? 1 : 0, failed: failures === 0 ? 0 : 1, skipped: [] };
  if (!counts) return { passed: 0, failed: 1, skipped: [] };
  if (failures > 0 && counts.failed === 0) return { ...counts, failed: 1 };
  return counts;
}

/** @param {readonly {stage: Stage, counts: Counts}[]} results */
function report(results) {
  const skipped = results.flatMap(({ stage, counts }) =>
    counts.skipped.map((test) => ({ ...test, stage: stage.name })),
  );
  const failing = results.filter(({ counts }) => counts.failed > 0).map(({ stage }) => stage.name);
  console.log('');
  for (const { stage, title, reason } of skipped) console.log(`skipped: ${stage}: ${title}: ${reason}`);
  for (const { stage, counts } of results)
    for (const title of counts.failures ?? []) console.log(`failed: ${stage.name}: ${title}`);
  if (failing.includes('build')) console.log('the tests did not run, because the build failed');
  if (failing.length > 0) console.log(`failing stages: ${failing.join(', ')}`);
  /** @param {'passed' | 'failed'} key */
  const sum = (key) => results.reduce((total, { counts }) => total + counts[key], 0);
  const tail = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
  console.log(`${sum('passed')} passed, ${sum('failed')} failed${tail}`);
  return sum('failed') === 0;
}

endOnSignals();
const selected = select(chosen);
await installDependencies();
await prepare(selected);
/** @type {{stage: Stage, counts: Counts}[]} */
const results = [];
for (const stage of selected) {
  const built = results.every(({ stage: { name }, counts }) => name !== 'build' || counts.failed === 0);
  if (built || !stage.needs?.includes('build')) results.push({ stage, counts: await runStage(stage) });
  else results.push({ stage, counts: { passed: 0, failed: 1, skipped: [] } });
}
process.exit(report(results) ? 0 : 1);
