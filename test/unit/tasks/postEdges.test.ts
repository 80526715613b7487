import assert from 'node:assert/strict';
import { depthWithoutBorder } from '../../../src/tasks/post/depth';
import { detectionsOf, phrasesOf } from '../../../src/tasks/post/detection';
import { largestPlane, nearestPositions, resizePlane } from '../../../src/tasks/post/interpolate';
import { reconstructionOf } from '../../../src/tasks/post/reconstruction';
import { instancesOf, panopticOf, semanticOf, semanticOfMasks } from '../../../src/tasks/post/segmentation';
import { topUnsorted } from '../../../src/tasks/post/topk';
import { argmax, itemOf, OutputShapeError, type Values } from '../../../src/tasks/post/values';
import { seeded } from '../../support/random';

const of = (shape: readonly number[], values: readonly number[]): Values => ({
  shape,
  values: Float32Array.from(values),
});

/** The logit of a probability. */
const logit = (share: number): number => Math.log(share / (1 - share));

describe('outputs', () => {
  it('may have a leading side of one image, but not of two', () => {
    const options = { threshold: 0.1 };
    const boxes = of([1, 4], [0.5, 0.5, 1, 1]);
    const logits = of([1, 1, 2], [3, 0]);
    const found = detectionsOf('softmax', { logits, boxes }, [10, 20], options);
    assert.deepEqual(found[0]?.box, [0, 0, 20, 10]);
    const two = of([2, 1, 2], [3, 0, 3, 0]);
    assert.throws(() => detectionsOf('softmax', { logits: two, boxes }, [10, 20], options), OutputShapeError);
    assert.throws(() => semanticOf(of([1, 2, 2], [0, 1]), [2, 2]), OutputShapeError);
    assert.throws(() => itemOf(two, 2), OutputShapeError);
    assert.deepEqual([...itemOf(two, 1).values], [3, 0]);
  });

  it('must have a mask for each row of class logits', () => {
    const outputs = { classes: of([2, 3], [0, 0, 0, 0, 0, 0]), masks: of([1, 1, 1], [1]) };
    assert.throws(() => semanticOfMasks(outputs, [1, 1]), OutputShapeError);
  });

  it('of patches must fill the input', () => {
    const outputs = { logits: of([1, 12], new Array<number>(12).fill(0)), mask: of([1], [1]) };
    const options = { patch: 2, normalised: false, mean: [0, 0, 0], std: [1, 1, 1] };
    const pixels = of([3, 2, 4], new Array<number>(24).fill(0));
    assert.throws(() => reconstructionOf(outputs, pixels, options), OutputShapeError);
  });
});

describe('detections', () => {
  const boxes = of([2, 4], [0.5, 0.5, 0.2, 0.4, 0.25, 0.75, 0.5, 0.5]);

  it('are above the threshold, not at it', () => {
    const logits = of([2, 1], [0, 1]);
    const found = detectionsOf('texts', { logits, boxes }, [10, 10], { threshold: 0.5 });
    assert.deepEqual(
      found.map(({ query }) => query),
      [1],
    );
  });

  it('may be of one query twice, and are as many as asked for', () => {
    const logits = of([2, 2], [2, 1, -1, 0]);
    const found = (top?: number) =>
      detectionsOf('pairs', { logits, boxes }, [10, 10], { threshold: 0, top }).map(({ query, label }) => [
        query,
        label,
      ]);
    assert.deepEqual(found(3), [
      [0, 0],
      [0, 1],
      [1, 1],
    ]);
    assert.equal(found().length, 2);
  });

  it('are shares of the longer side of an image that was padded to a square', () => {
    const logits = of([2, 1], [1, 1]);
    const [first] = detectionsOf('texts', { logits, boxes }, [100, 50], { threshold: 0.5, square: true });
    assert.deepEqual(
      first?.box.map((side) => Math.round(side)),
      [40, 30, 60, 70],
    );
  });

  it('are named by tokens between the first position and the last', () => {
    const logits = of([2, 4], [0.9, 0.6, 0.2, 0.7, 0.1, 0.1, 0.2, 0.1].map(logit));
    const found = phrasesOf({ logits, boxes }, [10, 10], { threshold: 0.3, textThreshold: 0.5 });
    assert.deepEqual(
      found.map(({ query, tokens }) => [query, tokens]),
      [[0, [1]]],
    );
    assert.ok(Math.abs(found[0]!.score - 0.9) < 1e-6);
  });
});

describe('planes at another size', () => {
  it('keep their values at their own size', () => {
    const plane = Float32Array.of(1, 2, 3, 4, 5, 6);
    for (const mode of ['bilinear', 'bicubic'] as const)
      assert.deepEqual([...resizePlane(plane, [2, 3], [2, 3], mode)], [...plane]);
  });

  // torch.nn.functional.interpolate of [0, 1, 4] to 6, align_corners=False.
  it('are what torch makes of them', () => {
    const row = Float32Array.of(0, 1, 4);
    const near = (found: Float32Array, expected: readonly number[]) =>
      found.forEach((value, i) => assert.ok(Math.abs(value - expected[i]!) < 1e-6, `${value}`));
    near(resizePlane(row, [1, 3], [1, 6], 'bilinear'), [0, 0.25, 0.75, 1.75, 3.25, 4]);
    near(
      resizePlane(row, [1, 3], [1, 6], 'bicubic'),
      [-0.10546875, 0.12109375, 0.45703125, 1.78515625, 3.35546875, 4.31640625],
    );
  });

  it('may be cut to a corner while they are resized', () => {
    const plane = Float32Array.from({ length: 12 }, (_, i) => i * i);
    const whole = resizePlane(plane, [3, 4], [7, 9], 'bilinear');
    const corner = resizePlane(plane, [3, 4], [7, 9], 'bilinear', [2, 5]);
    assert.deepEqual([...corner], [...whole.subarray(0, 5), ...whole.subarray(9, 14)]);
  });

  it('have the nearest sample before them', () => {
    assert.deepEqual([...nearestPositions(3, 7)], [0, 0, 0, 1, 1, 2, 2]);
    assert.deepEqual([...nearestPositions(5, 2)], [0, 2]);
  });

  it('are compared only where classes meet, with the same result', () => {
    const random = seeded(3);
    const [count, from, to] = [6, [7, 9], [23, 40]] as const;
    const values = Float32Array.from({ length: count * 63 }, () => random() * 4);
    const planes = Array.from({ length: count }, (_, i) =>
      resizePlane(values.subarray(63 * i, 63 * (i + 1)), from, to, 'bilinear'),
    );
    const found = largestPlane({ count, size: from, values }, to);
    const expected = Array.from({ length: 23 * 40 }, (_, i) => argmax(planes.map((plane) => plane[i]!)));
    assert.deepEqual([...found], expected);
    assert.ok(new Set(expected).size > 3);
  });
});

describe('segments', () => {
  /** Two queries of a class each; the first wins the left half, the second the right. */
  const halves = {
    classes: of([2, 3], [5, 0, 0, 0, 4, 0]),
    masks: of([2, 1, 2], [5, -5, -5, 5]),
  };
  const options = { threshold: 0.5, maskThreshold: 0.5, overlapThreshold: 0.8, fused: [] };

  it('are drawn where their mask is set, from the first id on', () => {
    const { ids, segments } = instancesOf(halves, [1, 4], { threshold: 0.5 });
    assert.deepEqual([...ids], [0, 0, 1, 1]);
    assert.deepEqual(
      segments.map(({ id, label_id }) => [id, label_id]),
      [
        [0, 0],
        [1, 1],
      ],
    );
    assert.deepEqual([...instancesOf(halves, [1, 4], { threshold: 1 }).ids], [-1, -1, -1, -1]);
  });

  it('count from 1 if nothing else has the place', () => {
    assert.deepEqual([...panopticOf(halves, [1, 4], options).ids], [1, 1, 2, 2]);
    const none = panopticOf(halves, [1, 2], { ...options, threshold: 0.99 });
    assert.deepEqual([[...none.ids], none.segments], [[-1, -1], []]);
  });

  it('of one class are one if the class is fused', () => {
    const same = { ...halves, classes: of([2, 3], [4, 0, 0, 4, 0, 0]) };
    assert.deepEqual([...panopticOf(same, [1, 4], { ...options, fused: [0] }).ids], [1, 1, 1, 1]);
    assert.deepEqual([...panopticOf(same, [1, 4], options).ids], [1, 1, 2, 2]);
  });

  it('leave out who is mostly covered', () => {
    // The first mask takes all, but wins the left half alone.
    const covered = { ...halves, masks: of([2, 1, 2], [5, 2, -5, 5]) };
    const { ids, segments } = panopticOf(covered, [1, 2], options);
    assert.deepEqual([[...ids], segments.map(({ label_id }) => label_id)], [[0, 1], [1]]);
  });
});

describe('depth', () => {
  it('of the mirrored image is turned back before the average', () => {
    const depth = of([1, 2], [1, 3]);
    const { values } = depthWithoutBorder(depth, [1, 2], { padded: false, flipped: of([1, 2], [5, 1]) });
    assert.deepEqual([...values], [1, 4]);
  });
});

describe("torch's unsorted topk", () => {
  // torch.tensor([…]).topk(k, sorted=False).indices of torch 2.13 on the CPU.
  it('leaves values as the library does', () => {
    const values = [0.3, 0.9, 0.1, 0.7, 0.5, 0.8, 0.2, 0.6, 0.4, 0.0];
    const expected = [
      [5, 1, 3],
      [5, 1, 7, 3, 4],
      [5, 1, 7, 3, 0, 4, 8, 6],
      [5, 1, 6, 3, 4, 0, 8, 7, 2, 9],
    ];
    for (const order of expected) assert.deepEqual(topUnsorted(values, order.length), order);
  });

  it('is sorted if 64 times as many are no more than all', () => {
    const random = seeded(1);
    const values = Array.from({ length: 128 }, random);
    const sorted = values.map((_, i) => i).sort((a, b) => values[b]! - values[a]!);
    assert.deepEqual(topUnsorted(values, 2), sorted.slice(0, 2));
  });

  it('has no more than there are', () => assert.deepEqual(topUnsorted([], 3), []));
});
