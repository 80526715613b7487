import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as runtime from 'onnxruntime-node';
import { isResampling, resampled } from '../../src/architectures/blocks/positions';
import { GraphBuilder } from '../../src/graph/builder';
import { writeOnnx } from '../../src/graph/onnx/export';

interface ResamplingCase {
  readonly name: string;
  readonly native: readonly [number, number];
  readonly grid: readonly [number, number];
  readonly values: readonly number[];
}

const cases = JSON.parse(
  readFileSync('test/fixtures/resampling/cases.json', 'utf8'),
) as readonly ResamplingCase[];

/** Adds the resampled table to a single zero: a graph needs an input. */
async function resample({ name, native, grid }: ResamplingCase): Promise<readonly number[]> {
  assert(isResampling(name), name);
  const rows = native[0] * native[1];
  const table = Float32Array.from({ length: rows * 2 }, (_, index) => 1.5 * Math.sin(12.9898 * index));
  const b = new GraphBuilder('resampling', { find: () => undefined });
  const zero = b.input('zero', [1]);
  const stored = b.constant('table', 'F32', [1, rows, 2], table);
  b.output('placed', b.add('Add', [resampled(b, stored, native, grid, name), zero]), 'tokens');
  const bytes = writeOnnx(b.build(), {
    locate: ({ name: missing }) => assert.fail(`${missing} is no parameter`),
  });
  const session = await runtime.InferenceSession.create(bytes);
  const { placed } = await session.run({ zero: new runtime.Tensor('float32', new Float32Array(1), [1]) });
  return [...(placed!.data as Float32Array)];
}

describe('position tables for another image size equal torch’s', () => {
  for (const item of cases)
    it(`${item.name}: ${item.native.join(' × ')} to ${item.grid.join(' × ')}`, async () => {
      const found = await resample(item);
      assert.equal(found.length, item.values.length);
      const differences = item.values.map((value, index) => Math.abs(value - found[index]!));
      assert(Math.max(...differences) <= 1e-5, `differs by ${Math.max(...differences)}`);
    });
});
