import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { annotationOfBox, annotationsOfSegments, cocoOf } from '../../../src/tasks/post/coco';
import { npyOf } from '../../../src/tasks/post/npy';
import { depthPng, idPng } from '../../../src/tasks/post/png';
import { areaOf, boundsOf, compressed, runsOf } from '../../../src/tasks/post/rle';
import type { IdMap } from '../../../src/tasks/post/segmentation';
import { yoloText } from '../../../src/tasks/post/yolo';
import { readPng } from '../../support/png';

/** A map of one id where `isSet`, -1 elsewhere. */
function mapOf(height: number, width: number, isSet: (y: number, x: number) => boolean): IdMap {
  const ids = Int32Array.from({ length: height * width }, (_, i) =>
    isSet(Math.floor(i / width), i % width) ? 1 : -1,
  );
  return { size: [height, width], ids };
}

/** Two blocks and two corners; one block goes over whole columns. */
const small = mapOf(
  7,
  9,
  (y, x) =>
    (y >= 2 && y < 6 && x >= 1 && x < 4) ||
    x === 5 ||
    x === 6 ||
    (y === 3 && x === 8) ||
    (y === 0 && x === 0),
);

/** Runs of more than five bits, shorter and longer than the ones before. */
const large = mapOf(
  300,
  400,
  (y, x) =>
    (y >= 50 && y < 250 && x >= 100 && x < 320 && !(y >= 60 && y < 70 && x >= 110 && x < 130)) ||
    (y === 299 && x === 399),
);

describe('masks as runs', () => {
  // What pycocotools 2.0's mask.encode, area and toBbox make of the same masks.
  it('are written as COCO writes them', () => {
    const runs = runsOf(small, 1);
    assert.equal(compressed(runs), '0183K0005:2CI');
    assert.deepEqual([areaOf(runs), boundsOf(runs)], [28, [0, 0, 9, 7]]);
    const longer = runsOf(large, 1);
    assert.equal(crc32(compressed(longer)), 2104409678);
    assert.deepEqual([areaOf(longer), boundsOf(longer)], [43801, [100, 50, 300, 250]]);
  });

  it('say of an id that is nowhere that it has no pixel', () => {
    const runs = runsOf(small, 7);
    assert.deepEqual([runs.counts, areaOf(runs), boundsOf(runs)], [[63], 0, [0, 0, 0, 0]]);
  });

  it('keep to one column where they can', () => {
    assert.deepEqual(
      boundsOf(
        runsOf(
          mapOf(5, 4, (y, x) => x === 2 && y >= 1 && y < 4),
          1,
        ),
      ),
      [2, 1, 1, 3],
    );
  });
});

/** Every chunk's checksum is of its kind and data. */
function checkSums(file: Uint8Array): void {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 8; at < file.length; at += 12 + view.getUint32(at)) {
    const end = at + 8 + view.getUint32(at);
    assert.equal(view.getUint32(end), crc32(file.subarray(at + 4, end)));
  }
}

describe('pictures of ids and of depth', () => {
  it('have 255 where nothing is', async () => {
    const file = await idPng({ size: [2, 3], ids: Int32Array.of(0, 1, -1, 254, -1, 2) });
    checkSums(file);
    const { width, height, bits, data } = readPng(file);
    assert.deepEqual([width, height, bits, [...data]], [3, 2, 8, [0, 1, 255, 254, 255, 2]]);
  });

  it('take 16 bits if there are more ids than 8 hold', async () => {
    const { bits, data } = readPng(await idPng({ size: [1, 3], ids: Int32Array.of(255, -1, 258) }));
    assert.deepEqual([bits, [...data]], [16, [0, 255, 255, 255, 1, 2]]);
  });

  it('hold metres in millimetres, and say how many are cut off', async () => {
    const depth = { size: [1, 4] as const, values: Float32Array.of(0, 1.2346, 65.535, 70) };
    const { png, scale, offset, clipped } = await depthPng(depth, 'metres');
    checkSums(png);
    const { data } = readPng(png);
    const samples = [0, 2, 4, 6].map((i) => data[i]! * 256 + data[i + 1]!);
    assert.deepEqual([samples, scale, offset, clipped], [[0, 1235, 65535, 65535], 0.001, 0, 1]);
    assert.match(Buffer.from(png).toString('latin1'), /Description\0depth in metres = 0 \+ 0\.001 \* sample/);
  });

  it('spread depth without a unit over all samples', async () => {
    const depth = { size: [1, 3] as const, values: Float32Array.of(-2, 0.5, 3) };
    const { png, scale, offset, clipped } = await depthPng(depth, 'relative');
    const { data } = readPng(png);
    const back = [0, 2, 4].map((i) => offset + scale * (data[i]! * 256 + data[i + 1]!));
    // Half a level of 5 / 65,535.
    back.forEach((value, i) => assert.ok(Math.abs(value - depth.values[i]!) < 4e-5, `${value}`));
    assert.equal(clipped, 0);
  });

  it('hold a flat depth', async () => {
    const flat = { size: [1, 2] as const, values: Float32Array.of(4, 4) };
    const { png, offset, scale } = await depthPng(flat, 'relative');
    assert.deepEqual([[...readPng(png).data], offset, scale], [[0, 0, 0, 0], 4, 0]);
  });
});

describe('arrays of NumPy', () => {
  it('are read back', () => {
    const file = npyOf(Float32Array.of(1.5, -2, 3, 4, 5, 6), [2, 3]);
    assert.equal(Buffer.from(file).toString('latin1', 0, 8), '\x93NUMPY\x01\0');
    const start = 10 + file[8]! + 256 * file[9]!;
    assert.equal(start % 64, 0);
    const header = Buffer.from(file).toString('latin1', 10, start);
    assert.match(header, /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(2, 3\), \} *\n$/);
    assert.deepEqual([...new Float32Array(file.buffer.slice(start))], [1.5, -2, 3, 4, 5, 6]);
  });

  it('have a comma after a single side', () => {
    assert.match(Buffer.from(npyOf(Float32Array.of(1), [1])).toString('latin1'), /'shape': \(1,\)/);
  });
});

describe('boxes for other tools', () => {
  const found = [
    { label: 2, score: 0.75, box: [10, 20, 30, 60] as const },
    { label: 0, score: 0.5, box: [-10, 90, 50, 130] as const },
    { label: 1, score: 0.9, box: [210, 10, 230, 20] as const },
  ];

  it('are shares of the image for YOLO, cut at its edges', () => {
    assert.equal(
      yoloText(found, [100, 200]),
      '2 0.100000 0.400000 0.100000 0.400000 0.750000\n0 0.125000 0.950000 0.250000 0.100000 0.500000\n',
    );
  });

  it('are left, top, width and height for COCO, as the model has them', () => {
    const annotations = found.map(({ label, score, box }) => annotationOfBox(label, score, box));
    const set = cocoOf(
      [
        { file: 'a.png', size: [100, 200], annotations: annotations.slice(0, 1) },
        { file: 'b.png', size: [50, 60], annotations: annotations.slice(1, 2) },
      ],
      ['cat', 'dog', 'bird'].map((name, id) => ({ id, name })),
    );
    assert.deepEqual(set.images[1], { id: 2, file_name: 'b.png', width: 60, height: 50 });
    assert.deepEqual(set.annotations, [
      { id: 1, image_id: 1, category_id: 2, bbox: [10, 20, 20, 40], area: 800, iscrowd: 0, score: 0.75 },
      { id: 2, image_id: 2, category_id: 0, bbox: [-10, 90, 60, 40], area: 2400, iscrowd: 0, score: 0.5 },
    ]);
    assert.deepEqual(set.categories[2], { id: 2, name: 'bird' });
  });

  it('have their masks beside them if they are of segments', () => {
    const segments = [1, 5].map((id) => ({ id, label: 3, score: 0.5 }));
    // 5 was drawn over whole.
    assert.deepEqual(annotationsOfSegments({ ...small, segments }), [
      {
        category_id: 3,
        bbox: [0, 0, 9, 7],
        area: 28,
        iscrowd: 0,
        score: 0.5,
        segmentation: { size: [7, 9], counts: '0183K0005:2CI' },
      },
    ]);
  });
});
