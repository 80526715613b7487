import { join } from 'node:path';
import { decodeImage } from '../../src/inference/decode';
import { folder } from '../unit/preprocessing/goldens';
import { backendOf, check, filesOf, pipelineLines, run } from '../unit/preprocessing/pipelineLines';

/**
 * An image object with transparency is put over white by transformers alone; from a file nobody
 * does.
 */
const lines = pipelineLines.filter((line) => line.given !== 'as opened' && backendOf(line));

describe("from the image's file to the model's input, as in Python", () => {
  for (const line of lines) {
    it(line.id, async () => {
      const asStored = line.given === 'rgb';
      const paths = filesOf(line).map((file) => join(folder, 'images', file));
      const images = await Promise.all(paths.map((path) => decodeImage(path, { asStored })));
      check(line, run(line, images));
    });
  }
});
