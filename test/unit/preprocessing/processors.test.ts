import assert from 'node:assert/strict';
import { apply } from '../../../src/preprocessing/pipeline';
import type { RgbImage } from '../../../src/preprocessing/resize';
import { readTransformers } from '../../../src/preprocessing/libraries/transformers';
import type { Json } from '../../../src/preprocessing/settings';
import { PreprocessingError } from '../../../src/preprocessing/steps';
import { imagePoint, inputPoint } from '../../../src/preprocessing/places';
import { checkInput, checkLine, readInputCases, readProcessors, runLine } from '../../support/processors';

const own = 'test/fixtures/processors';
const given = process.env.VITRINE_CASES;
const processors = readProcessors(given ?? own);

if (processors)
  describe("image processors' outputs equal transformers'", () => {
    if (given === undefined) it('has every configuration', () => assert.equal(processors.lines.length, 273));

    for (const line of processors.lines) {
      const name = `${line.processor} ${line.pictures.join(' and ')}`;
      if (line.fails?.pil === undefined) it(name, () => void checkLine(processors, line));
      else
        it(`${name}: refused, as in Python`, () =>
          void assert.throws(() => runLine(processors, line), PreprocessingError));
    }
  });

const inputCases = given === undefined ? [] : readInputCases(given);

if (inputCases.length > 0)
  describe("inputs of whole models equal the library's", () => {
    for (const found of inputCases) it(found.id, () => checkInput(found));
  });

/** Red tells the column, green the row, two levels a pixel: what is resampled stays a ramp. */
function ramp(width: number, height: number): RgbImage {
  const rgb = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return [2 * x, 2 * y, 7][i % 3]!;
  });
  return { width, height, rgb };
}

/** Largest distance, in the image's pixels, between what the input shows and what `extent` says. */
function farthest(config: Json, image: RgbImage): number {
  const { extent, seen, padding } = apply(readTransformers({ preprocessor: config }), image);
  // A few pixels from the image's edge, where a blur or the repeated border bends the ramp.
  const rim = 4;
  let [worst, compared] = [0, 0];
  for (let row = padding.top; row < seen.height - padding.bottom; row++)
    for (let column = padding.left; column < seen.width - padding.right; column++) {
      const x = extent.x + ((column + 0.5) / seen.width) * extent.width - 0.5;
      const y = extent.y + ((row + 0.5) / seen.height) * extent.height - 0.5;
      if (Math.min(x, y) < rim || x > image.width - 1 - rim || y > image.height - 1 - rim) continue;
      const at = (row * seen.width + column) * 3;
      worst = Math.max(worst, Math.abs(seen.rgb[at]! / 2 - x), Math.abs(seen.rgb[at + 1]! / 2 - y));
      compared++;
    }
  assert.ok(compared > 50, `${compared} pixels were compared`);
  return worst;
}

describe('where a point of the input lies on the image', () => {
  const configs = new Map(readProcessors(own)!.lines.map(({ processor, config }) => [processor, config]));
  for (const [name, config] of configs)
    for (const [width, height] of [
      [93, 61],
      [58, 87],
    ] as const)
      // A level is half a pixel; positions by corners differ by half a pixel at the rim.
      it(`${name}, ${width} × ${height}`, () => {
        const distance = farthest(config, ramp(width, height));
        assert.ok(distance < 0.8, `${distance} pixels away`);
      });

  it('says of reflected and of black borders that nothing of the image is there', () => {
    const see = (preprocessor: Json) => apply(readTransformers({ preprocessor }), ramp(60, 40));
    const mirrored = see({
      ...configs.get('zoedepth'),
      size: { height: 66, width: 92 },
      ensure_multiple_of: 1,
    });
    // 3 √(60 / 2) and 3 √(40 / 2) pixels, cut off.
    assert.deepEqual(mirrored.padding, { left: 16, right: 16, top: 13, bottom: 13 });
    assert.deepEqual(mirrored.region, { x: 0, y: 0, width: 60, height: 40 });
    const squared = see({ ...configs.get('owlv2'), size: { height: 60, width: 60 } });
    assert.deepEqual(squared.padding, { left: 0, right: 0, top: 0, bottom: 20 });
    assert.deepEqual(squared.extent, { x: 0, y: 0, width: 60, height: 60 });
    // One pixel of the image is one of the input in both.
    assert.deepEqual(inputPoint(mirrored, [0, 40]), [16, 53]);
    assert.deepEqual(imagePoint(mirrored, [16, 53]), [0, 40]);
    assert.deepEqual(imagePoint(squared, [30, 50]), [30, 50]);
  });
});
