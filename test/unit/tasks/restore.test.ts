import assert from 'node:assert/strict';
import type { SeenImage } from '../../../src/tasks/run';
import type { OutputValues } from '../../../src/tasks/task';
import { restoredFormats } from '../../../src/tasks/restore/export';
import { pixelsOfRestored } from '../../../src/tasks/restore/pictures';
import { restore } from '../../../src/tasks/restore/restore';

/** An image of 3 × 2 pixels, padded to 4 × 4 at the right and at the bottom. */
const seen = {
  image: 'a.png',
  size: [3, 2],
  region: { x: 0, y: 0, width: 4, height: 4 },
} as unknown as SeenImage;

/** Each of `channels` counts its 8 × 8 pixels, in levels of 255. */
const output = (channels: number): OutputValues => ({
  name: 'reconstruction',
  means: 'restored',
  shape: [1, channels, 8, 8],
  values: Float32Array.from({ length: 64 * channels }, (_, at) => at / 255),
});

const context = {
  config: undefined,
  topK: 5,
  imageSize: [4, 4],
  reading: { task: 'restore', scale: 2 },
} as const;

describe('an image made anew', () => {
  it('is as large as its own part of the input makes it, without the padding', () => {
    const answer = restore.read([output(3)], seen, context);
    assert.deepEqual([answer.grid, answer.scale], [[4, 6], 2]);
    assert.deepEqual([...answer.planes.slice(0, 12)], [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]);
    assert.equal(answer.planes[24], 64);
    assert.deepEqual(restore.lines(answer), ['6 × 4 pixels, 2 × as large']);
    assert.deepEqual(restore.json(answer), { size: [4, 6], scale: 2 });
  });

  it('is grey of one channel, and clipped to bytes, halves to the even level', () => {
    const values = Float32Array.from({ length: 64 }, (_, at) => [-1, 2, 2.5 / 255, 3.5 / 255][at] ?? 0);
    const { planes } = restore.read([{ ...output(1), values }], seen, context);
    assert.deepEqual([...planes.slice(0, 4)], [0, 255, 2, 4]);
    assert.deepEqual([...planes.slice(24, 28)], [0, 255, 2, 4]);
  });

  it('is refused if the output is smaller than the image makes it', () =>
    assert.throws(
      () => restore.read([{ ...output(2), shape: [1, 2, 8, 8] }], seen, context),
      /1 or 3 channels around 4 × 6 pixels is needed/,
    ));

  it('becomes a PNG with the colours of a pixel together', async () => {
    const answer = restore.read([output(3)], seen, context);
    assert.deepEqual([...pixelsOfRestored(answer).rgb.slice(0, 6)], [0, 64, 128, 1, 65, 129]);
    const { data } = await restoredFormats[0]!.content(answer, { name: 'a.png', size: [2, 3] });
    const view = new DataView((data as Uint8Array).buffer, (data as Uint8Array).byteOffset);
    // Width, height, bits and kind of the header: 2 is colours.
    assert.deepEqual(
      [view.getUint32(16), view.getUint32(20), view.getUint8(24), view.getUint8(25)],
      [6, 4, 8, 2],
    );
  });
});
