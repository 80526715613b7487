import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The sample models of tasks, as the command line answers with them, beside transformers. */

interface Expected {
  readonly image: string;
  readonly words: readonly (readonly [word: string, probability: number])[];
}
type Lines = readonly { readonly answers: Readonly<Record<string, unknown>> }[];

const sample = 'media/sample';
const read = <T>(name: string): T => JSON.parse(readFileSync(join(sample, name), 'utf8')) as T;
const { images } = read<{ readonly images: readonly Expected[] }>('expected-tasks.json');
const labels = Object.keys(read<object>('make/classes.json')).sort();
const files = images.map(({ image }) => join(sample, 'images', image));

function ask(task: string, model: string, ...more: readonly string[]): Lines {
  const args = ['dist/cli.js', task, join(sample, model), ...files, ...more, '--json'];
  const output = execFileSync(process.execPath, args, { encoding: 'utf8' });
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Lines[number]);
}

/** A decoder's rounding of chroma moves scores by less than this. */
const tolerance = 0.01;
const close = (found: number, wanted: number, of: string): void =>
  assert(Math.abs(found - wanted) <= tolerance, `${of}: ${found} beside ${wanted}`);

describe('the sample models of tasks', function () {
  this.timeout(240_000);

  it('name what is drawn as transformers does', () => {
    const asked = labels.flatMap((name) => ['--label', name]);
    const lines = ask('zero-shot', 'vitrine-words', '--template', 'a drawing of a {}', ...asked);
    for (const [index, { image, words }] of images.entries()) {
      const { list } = lines[index]!.answers['zero_shot'] as {
        readonly list: readonly (readonly { name: string; score: number }[])[];
      };
      assert.equal(list[0]!.length, labels.length);
      const scores = new Map(list[0]!.map(({ name, score }) => [name, score]));
      for (const [word, probability] of words) close(scores.get(word) ?? 0, probability, `${image}: ${word}`);
    }
  });
});
