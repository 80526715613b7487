import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = 'test/fixtures/cases/vitpose-keypoints';

interface Point {
  readonly name: string;
  readonly score: number;
  readonly point: readonly number[];
}
interface Case {
  readonly pictures: readonly { readonly file: string }[];
  readonly answers: { readonly keypoints: { readonly list: readonly (readonly Point[])[] } };
}

describe('keypoints of a picture', function () {
  this.timeout(60_000);

  it('equal transformers’ from the file to the place, within what float32 moves a refined peak', () => {
    const golden = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as Case;
    const picture = join(folder, golden.pictures[0]!.file);
    const output = execFileSync(process.execPath, ['dist/cli.js', 'keypoints', folder, picture, '--json'], {
      encoding: 'utf8',
    });
    const { answers, warnings } = JSON.parse(output) as Pick<Case, 'answers'> & {
      readonly warnings: readonly string[];
    };
    const [found, expected] = [answers, golden.answers].map(({ keypoints }) => keypoints.list[0]!);
    assert.deepEqual(
      found!.map(({ name }) => name),
      expected!.map(({ name }) => name),
    );
    expected!.forEach(({ score, point }, index) => {
      assert.ok(Math.abs(found![index]!.score - score) < 1e-5, `score ${found![index]!.score} of ${score}`);
      // A Newton step divides by curvatures of float32 logarithms: some 1e-4 of a pixel.
      point.forEach((side, axis) => assert.ok(Math.abs(found![index]!.point[axis]! - side) < 1e-3));
    });
    assert.ok(warnings.some((warning) => warning.startsWith('Assumed: the whole image')));
  });
});
