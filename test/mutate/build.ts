// Builds the test bundles with the mutants of a sample in them, asleep.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { withMutants, type Mutant } from './mutants';

/** A mutant of the sample. */
export interface Planted extends Mutant {
  readonly id: number;
  readonly room: string;
}

export const outdir = 'dist/test-mutants';
const ask = 'globalThis.__vitrineMutant';

/** Which mutant is awake; a first run writes down which were asked for. */
const banner = `{
  const awake = Number(process.env.VITRINE_MUTANT ?? -1), asked = (globalThis.__vitrineAsked ??= new Set());
  ${ask} ??= (id) => (asked.add(id), id === awake);
  const out = process.env.VITRINE_ASKED;
  if (out && !globalThis.__vitrineWrites) {
    globalThis.__vitrineWrites = true;
    process.on('exit', () => require('node:fs').writeFileSync(out, JSON.stringify([...asked])));
  }
}`;

/** Builds every unit test; returns the bundles' paths. */
export async function buildTests(planted: readonly Planted[]): Promise<readonly string[]> {
  rmSync(outdir, { recursive: true, force: true });
  const files = [...new Set(planted.map(({ file }) => file))];
  const byPath = new Map(files.map((file) => [resolve(file), planted.filter((each) => each.file === file)]));
  await build({
    entryPoints: ['test/unit/**/*.ts'],
    outdir,
    outbase: 'test',
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    packages: 'external',
    banner: { js: banner },
    loader: { '.svg': 'text', '.ttf': 'file' },
    jsx: 'automatic',
    jsxImportSource: 'preact',
    logLevel: 'error',
    plugins: [
      {
        name: 'mutants',
        setup: ({ onLoad }) =>
          onLoad({ filter: /\.ts$/ }, ({ path }) => {
            const mine = byPath.get(path);
            if (!mine) return undefined;
            return { contents: withMutants(readFileSync(path, 'utf8'), mine, ask), loader: 'ts' };
          }),
      },
    ],
  });
  return sourcesOfTests();
}

const sourcesOfTests = (): string[] =>
  readdirSync(outdir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => join(outdir, name));
