import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

type Imports = ReadonlyMap<string, readonly string[]>;

/** Import, export from and `import()` of a file of ours; those of types count like the others. */
const pattern = /\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g;
const endings = ['.ts', '.tsx', '/index.ts', '/index.tsx', ''];

/**
 * The files that a text imports, by the paths of the repository; style sheets and data have no
 * imports of their own.
 */
function importsOf(file: string, text: string, exists: (path: string) => boolean): readonly string[] {
  const names = [...text.matchAll(pattern)].flatMap(([, name]) => name ?? []);
  return names.flatMap((name) => {
    const path = normalize(join(dirname(file), name));
    const found = endings.map((ending) => path + ending).find(exists);
    return found !== undefined && /\.tsx?$/.test(found) ? [found] : [];
  });
}

function readImports(folders: readonly string[]): Imports {
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name))
      .map((name) => normalize(join(folder, name))),
  );
  return new Map(files.map((file) => [file, importsOf(file, readFileSync(file, 'utf8'), existsSync)]));
}

/**
 * The first circle that a walk along the imports meets, from a file back to itself; undefined if
 * there is none.
 */
function findCircle(imports: Imports): readonly string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): readonly string[] | undefined => {
    const at = path.indexOf(file);
    if (at >= 0) return [...path.slice(at), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const next of imports.get(file) ?? []) {
      const circle = visit(next);
      if (circle) return circle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const circle = visit(file);
    if (circle) return circle;
  }
  return undefined;
}

describe('imports', () => {
  it('run in no circle, not even those of types', () => {
    const imports = readImports(['src', 'webview']);
    assert.ok(imports.size > 300, `${imports.size} files were read`);
    const edges = [...imports.values()].reduce((sum, { length }) => sum + length, 0);
    assert.ok(edges > 1000, `${edges} imports were read`);
    assert.equal(findCircle(imports)?.join(' → '), undefined);
  });

  it('are read in every spelling', () => {
    const text = `import a from './a';
import type { B } from '../b';
export { c } from './c';
import './style.css';
const d = () => import('./d');
import { foreign } from 'vscode';
import {
  e,
} from './e';`;
    const files = [
      'src/x/a.ts',
      'src/b.tsx',
      'src/x/c/index.ts',
      'src/x/d.ts',
      'src/x/e.ts',
      'src/x/style.css',
    ];
    assert.deepEqual(
      importsOf('src/x/file.ts', text, (path) => files.includes(path)),
      files.filter((file) => !file.endsWith('.css')),
    );
  });

  it('are followed to the circle and not to what leads to it', () => {
    const circle = new Map([
      ['start', ['side', 'a']],
      ['side', []],
      ['a', ['side', 'b']],
      ['b', ['c']],
      ['c', ['a']],
    ]);
    assert.deepEqual(findCircle(circle), ['a', 'b', 'c', 'a']);
    assert.deepEqual(findCircle(new Map([['own', ['own']]])), ['own', 'own']);
    assert.equal(
      findCircle(
        new Map([
          ['a', ['b', 'c']],
          ['b', ['c']],
          ['c', []],
        ]),
      ),
      undefined,
    );
  });
});
