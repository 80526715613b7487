import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The sample models of tasks, as the command line answers with them, beside transformers. */

interface Box {
  readonly name: string;
  readonly score: number;
  /** Left, top, right, bottom in pixels of the image. */
  readonly box: readonly number[];
}

interface Expected {
  readonly image: string;
  readonly boxes: readonly Box[];
  /** Pixels of each class. */
  readonly pixels: Readonly<Record<string, number>>;
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

/** What a decoder rounds of chroma moves scores by less, and pixels by less than this share. */
const tolerance = 0.01;
/** In pixels, of images of about 800. */
const boxTolerance = 4;
const close = (found: number, wanted: number, of: string, within = tolerance): void =>
  assert(Math.abs(found - wanted) <= within, `${of}: ${found} beside ${wanted}`);
const asked = labels.flatMap((name) => ['--label', name]);

describe('the sample models of tasks', function () {
  this.timeout(240_000);

  it('name what is drawn as transformers does', () => {
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

  it('find what is drawn where transformers does', () => {
    const lines = ask('detect', 'vitrine-detector', '--threshold', '0.2', ...asked);
    for (const [index, { image, boxes }] of images.entries()) {
      assert(boxes.length > 0, `${image}: nothing is expected`);
      const { list } = lines[index]!.answers['detections'] as { readonly list: readonly (readonly Box[])[] };
      for (const { name, score, box } of boxes) {
        const apart = (other: Box): number =>
          Math.max(...box.map((side, at) => Math.abs(side - (other.box[at] ?? NaN))));
        const [found] = list[0]!
          .filter((other) => other.name === name)
          .toSorted((left, right) => apart(left) - apart(right));
        assert(found, `${image}: no ${name}`);
        close(found.score, score, `${image}: ${name}`);
        close(apart(found), 0, `${image}: box of ${name}`, boxTolerance);
      }
    }
  });

  it('tell pixels apart as transformers does', () => {
    const lines = ask('segment', 'vitrine-segmenter');
    for (const [index, { image, pixels }] of images.entries()) {
      const { maps } = lines[index]!.answers['segments'] as {
        readonly maps: readonly { readonly ids: Readonly<Record<string, number>> }[];
      };
      const { ids } = maps[0]!;
      const all = Object.values(pixels).reduce((sum, count) => sum + count, 0);
      for (const label of new Set([...Object.keys(ids), ...Object.keys(pixels)]))
        close((ids[label] ?? 0) / all, (pixels[label] ?? 0) / all, `${image}: class ${label}`);
    }
  });
});
