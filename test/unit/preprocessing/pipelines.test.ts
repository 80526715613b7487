import assert from 'node:assert/strict';
import { PreprocessingError } from '../../../src/inference/preprocessing/pipeline';
import type { Picture } from '../../../src/inference/preprocessing/resize';
import { pictureOf, readLines, readTensors } from './goldens';
import { backendOf, check, filesOf, pipelineLines, run } from './pipelineLines';
import type { Line } from './pipelineLines';

interface ImageLine {
  readonly file: string;
  readonly rgb: string;
  readonly rgb_exif?: string;
  readonly rgb_over_white?: string;
}

const images = new Map(readLines<ImageLine>('images.jsonl').map((line) => [line.file, line]));
const decoded = readTensors('decoded.safetensors');

/** transformers puts what it opened over white, and turns what it was given as a file; nobody else does either. */
function tensorOf(file: string, given: Line['given']): string {
  const image = images.get(file)!;
  if (given === 'as opened') return image.rgb_over_white ?? image.rgb;
  return given === 'as file' ? (image.rgb_exif ?? image.rgb) : image.rgb;
}

function picturesOf(line: Line): Picture[] {
  return filesOf(line).map((file) => pictureOf(decoded.get(tensorOf(file, line.given))!));
}

describe("pipelines equal Python's", () => {
  it('covers the whole gate', () => assert.equal(pipelineLines.length, 143));

  for (const line of pipelineLines) {
    if (backendOf(line)) it(line.id, () => check(line, run(line, picturesOf(line))));
    else {
      it(`${line.id}: refused, as in Python`, () => {
        assert.ok(line.fails);
        assert.throws(() => run(line, picturesOf(line)), PreprocessingError);
      });
    }
  }
});
