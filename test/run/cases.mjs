// npm run test:cases -- FOLDER: runs the tests of golden cases, of header-only models and of field
// cases over any folder of them.
//   FOLDER holds folders with case.json, a checkpoint and reference.safetensors, or files
//   `*.jsonl.gz` with one model a line, or field cases: cases/<id>/case.json, which says what each
//   command must find in the files beside it, or tokenizers: tokenizers/<name>/ids.jsonl and
//   about.json, which say what the library makes of strings, or processors.jsonl with what image
//   processors make of pictures (also in FOLDER/processors). Cases with `post` and
//   `answers` hold the answers from the raw outputs, too.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { endOnSignals, run } from './processes.mjs';

const [folder, ...options] = process.argv.slice(2);
if (folder === undefined || !existsSync(folder)) {
  console.error(`usage: npm run test:cases -- FOLDER [--grep PATTERN]; ${folder ?? 'no folder'} found`);
  process.exit(2);
}
endOnSignals();
// Golden cases run in the built process, field cases through the built command line.
await run(process.execPath, ['esbuild.mjs']).catch(() => process.exit(1));
const { build } = await import('esbuild');
const outdir = 'dist/test-cases';
await build({
  entryPoints: [
    'test/unit/architectures/cases.test.ts',
    'test/unit/text/taskCases.test.ts',
    'test/unit/text/tokenizers.test.ts',
    'test/unit/preprocessing/processors.test.ts',
    'test/unit/tasks/post.test.ts',
    'test/oracles/plainVit.test.ts',
    'test/oracles/families.test.ts',
    'test/inference/cases.test.ts',
    'test/inference/fieldCases.test.ts',
    'test/support/runMocha.ts',
  ],
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  packages: 'external',
  outdir,
  outbase: 'test',
  logLevel: 'warning',
});
process.env.VITRINE_CASES = resolve(folder);
const command = [`${outdir}/support/runMocha.js`, outdir, '--timeout', '120000', ...options];
await run(process.execPath, command).catch(() => process.exit(1));
