import assert from 'node:assert/strict';
import { apply, applyBatch, maxInputPixels } from '../../../src/preprocessing/pipeline';
import { PreprocessingError } from '../../../src/preprocessing/steps';
import type { Preprocessing, Step } from '../../../src/preprocessing/steps';
import type { RgbImage } from '../../../src/preprocessing/resize';

/** Red tells the column, green the row. */
function grid(width: number, height: number): RgbImage {
  const rgb = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return [x, y, 7][i % 3]!;
  });
  return { width, height, rgb };
}

function steps(...list: Step[]): Preprocessing {
  return { library: 'timm', steps: list, evidence: {}, warnings: [] };
}

const crop = (height: number, width: number, fill: readonly [number, number, number] = [0, 0, 0]): Step => ({
  kind: 'crop',
  height,
  width,
  rounding: 'torchvision',
  fill,
});
const rescale: Step = { kind: 'rescale', factor: 1 / 255, offset: 0 };

describe('what the model saw of an image', () => {
  it('is the cut rectangle in the original pixels', () => {
    const { region, padding, seen } = apply(steps(crop(20, 30), rescale), grid(60, 40));
    assert.deepEqual(region, { x: 15, y: 10, width: 30, height: 20 });
    assert.deepEqual(padding, { left: 0, right: 0, top: 0, bottom: 0 });
    assert.deepEqual([...seen.rgb.subarray(0, 3)], [15, 10, 7]);
  });

  it('scales back through a resize', () => {
    const resize: Step = { kind: 'resize', rule: 'shorter', height: 20, width: 20, filter: 'bilinear' };
    const { region, shape } = apply(steps(resize, crop(10, 10), rescale), grid(80, 40));
    assert.deepEqual(region, { x: 30, y: 10, width: 20, height: 20 });
    assert.deepEqual(shape, [1, 3, 10, 10]);
  });

  it('leaves the padding out', () => {
    const { region, padding, seen, pixelValues } = apply(steps(crop(6, 5, [9, 8, 7]), rescale), grid(2, 3));
    assert.deepEqual(padding, { left: 1, right: 2, top: 1, bottom: 2 });
    assert.deepEqual(region, { x: 0, y: 0, width: 2, height: 3 });
    assert.deepEqual([...seen.rgb.subarray(0, 3)], [9, 8, 7]);
    assert.equal(pixelValues[0], Math.fround(9 / 255));
  });

  it('excludes what a batch pads at the right and the bottom', () => {
    const normalize: Step = { kind: 'normalize', mean: [0.2, 0.4, 0.6], std: [1, 1, 1] };
    const input = applyBatch(steps(rescale, normalize, { kind: 'pad', mask: true }), [
      grid(4, 2),
      grid(3, 5),
    ]);
    assert.deepEqual(input.shape, [2, 3, 5, 4]);
    const [first, second] = input.views;
    assert.deepEqual(first!.padding, { left: 0, right: 0, top: 0, bottom: 3 });
    assert.deepEqual(first!.region, { x: 0, y: 0, width: 4, height: 2 });
    assert.deepEqual(second!.padding, { left: 0, right: 1, top: 0, bottom: 0 });
    // Padding is 0 after normalisation, which is the mean before it.
    assert.deepEqual([...first!.seen.rgb.subarray(-3)], [51, 102, 153]);
    assert.equal(
      input.pixelMask!.reduce((sum, value) => sum + value, 0),
      4 * 2 + 3 * 5,
    );
  });

  it('stays red, green, blue where the model takes blue first', () => {
    const { seen, pixelValues } = apply(steps(rescale, { kind: 'flip' }), grid(1, 1));
    assert.deepEqual([...seen.rgb], [0, 0, 7]);
    assert.equal(pixelValues[0], Math.fround(7 / 255));
  });
});

describe('an image that does not fit', () => {
  it('is refused where a side would vanish, with both sizes', () => {
    const resize: Step = { kind: 'resize', rule: 'contain', height: 8, width: 8, filter: 'bicubic' };
    assert.throws(() => apply(steps(resize), grid(90, 1)), /90 × 1 pixels would be resized to 8 × 0/);
  });

  it('is refused where its aspect makes an input beyond the limit', () => {
    const resize: Step = { kind: 'resize', rule: 'shorter', height: 16384, width: 16384, filter: 'bicubic' };
    assert.throws(
      () => apply(steps(resize), grid(1, 2)),
      new RegExp(`at most ${maxInputPixels} are allowed`),
    );
  });

  it('costs nothing where the crop takes a small part of a huge resize', () => {
    const resize: Step = { kind: 'resize', rule: 'shorter', height: 256, width: 256, filter: 'bicubic' };
    const started = performance.now();
    const { region } = apply(steps(resize, crop(224, 224)), grid(20000, 1));
    assert.ok(performance.now() - started < 500);
    assert.ok(Math.abs(region.x - (20000 - region.width) / 2) < 0.01);
  });

  it('cannot be batched with one of another size without padding', () => {
    assert.throws(() => applyBatch(steps(rescale), [grid(2, 2), grid(3, 2)]), PreprocessingError);
  });
});
