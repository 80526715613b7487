import assert from 'node:assert/strict';
import { join } from 'node:path';
import { openModel } from '../../../src/models/openedModels';
import { features } from '../../../src/tasks/features/features';
import { placeOfLargest } from '../../../src/tasks/outputs/facts';
import { outputs } from '../../../src/tasks/outputs/outputs';
import { readOutputs, spreadOf } from '../../../src/tasks/outputs/reading';
import { kindText, outputLine, peakText } from '../../../src/tasks/outputs/text';
import { taskOf, tasks } from '../../../src/tasks/tasks';
import type { MapOutput, NamedOutput } from '../../../src/tasks/answer';
import type { SeenImage } from '../../../src/tasks/run';
import type { OutputValues } from '../../../src/tasks/task';

const seen = {} as SeenImage;
const counted = (length: number): Float32Array => Float32Array.from({ length }, (_, at) => at);
const output = (shape: readonly number[], means: OutputValues['means'] = 'maps'): OutputValues => ({
  name: 'y',
  means,
  shape,
  values: counted(shape.reduce((all, length) => all * length, 1)),
});
const read = (one: OutputValues, imageSize: readonly [number, number] = [8, 8]): NamedOutput =>
  readOutputs([one], imageSize)[0] ?? assert.fail('no output');
const map = (one: OutputValues, imageSize?: readonly [number, number]): MapOutput => {
  const found = read(one, imageSize);
  return found.kind === 'map' ? found : assert.fail(found.kind);
};

describe('outputs by their shape', () => {
  it('are maps of one channel with or without axes of one', () => {
    for (const shape of [
      [4, 4],
      [1, 4, 4],
      [1, 1, 4, 4],
      [1, 4, 4, 1],
    ]) {
      const { grid, channels, onImage, values } = map(output(shape));
      assert.deepEqual([grid, channels, onImage], [[4, 4], 1, true], shape.join());
      assert.deepEqual(values, counted(16));
    }
  });

  it('have their channels first, or last where the image lies before them', () => {
    const first = map(output([1, 3, 4, 4]));
    assert.deepEqual([first.grid, first.channels], [[4, 4], 3]);
    assert.deepEqual(first.values, counted(48));
    const last = map(output([1, 4, 4, 3]));
    assert.deepEqual([last.grid, last.channels], [[4, 4], 3]);
    // Channel 1 of row 2, column 3.
    assert.equal(last.values[16 + 2 * 4 + 3], (2 * 4 + 3) * 3 + 1);
  });

  it('lie on the image only with its proportions', () => {
    assert.equal(map(output([1, 1, 2, 4]), [8, 16]).onImage, true);
    assert.equal(map(output([1, 1, 4, 2]), [8, 16]).onImage, false);
    assert.match(kindText(map(output([1, 1, 4, 2]), [8, 16])), /without a place on the image/);
  });

  it('are vectors with one axis alone, and arrays if they are tokens', () => {
    assert.equal(read(output([1, 5, 1, 1])).kind, 'vector');
    assert.equal(read(output([1, 5], 'features')).kind, 'vector');
    assert.equal(read(output([1], 'features')).kind, 'vector');
    assert.equal(read(output([1, 17, 16], 'tokens')).kind, 'array');
    assert.equal(read(output([1, 2, 3, 4, 5])).kind, 'array');
  });

  it('hand on as many channels as can be drawn, and tell the spread of all', () => {
    const found = map(output([1, 5, 1024, 1024]), [1024, 1024]);
    assert.equal(found.values.length, 3 * 1024 * 1024);
    assert.equal(found.spread.high, 5 * 1024 * 1024 - 1);
    assert.equal(peakText(found), '');
    const json = JSON.stringify(outputs.json({ kind: 'outputs', outputs: [found] }));
    assert.doesNotMatch(json, /largest_at/);
  });

  it('of whole numbers are classes with names and areas, up to as many as can be told apart', () => {
    const values = Float32Array.of(3, 0, 3, 3);
    const ids = { ...output([1, 2, 2]), values, integers: true } as const;
    const names = (classes: number) => (value: number) => ['sky', 'sea'][value] ?? `of ${classes}`;
    const [found] = readOutputs([ids], [8, 8], names);
    assert.ok(found?.kind === 'map');
    assert.deepEqual(found.categories, [
      { value: 3, name: 'of 4', cells: 3 },
      { value: 0, name: 'sky', cells: 1 },
    ]);
    assert.equal(
      outputLine(found),
      'y: map of 2 × 2, 2 classes, over what the model saw; of 4 75.0 %, sky 25.0 %',
    );
    assert.deepEqual(
      JSON.parse(JSON.stringify(outputs.json({ kind: 'outputs', outputs: [found] }))).outputs[0].categories,
      [
        { value: 3, name: 'of 4', cells: 3 },
        { value: 0, name: 'sky', cells: 1 },
      ],
    );
    // The same numbers as floats are weights, and those of too many kinds grey levels.
    assert.equal(map({ ...ids, integers: undefined } as OutputValues).categories, undefined);
    const grey = map({ ...output([1, 32, 32]), integers: true });
    assert.equal(grey.categories, undefined);
    assert.equal(map({ ...output([1, 4, 4, 4]), integers: true }).categories, undefined);
  });

  it('are measured without what is not finite, which is said', () => {
    const spread = spreadOf([1, NaN, 3, Infinity]);
    assert.deepEqual(spread, { low: 1, high: 3, mean: 2, deviation: 1, notFinite: 2 });
    assert.equal(placeOfLargest([1, NaN, 3, Infinity]), 2);
    assert.equal(placeOfLargest([NaN]), undefined);
    const bad = { ...output([1, 1, 2, 2]), values: Float32Array.from([NaN, 1, 2, 3]) };
    assert.match(outputLine(read(bad)), /1 number not finite; largest at row 1, column 1$/);
    assert.match(outputLine(read({ ...bad, values: new Float32Array(4).fill(NaN) })), /no finite number/);
  });
});

describe('what a model is asked', () => {
  const file = (name: string): string => join('test/fixtures/onnx', name);

  it('is its classifier, else its maps, else its features', async () => {
    for (const [name, task] of [
      ['outputs/saliency.onnx', 'outputs'],
      ['outputs/several.onnx', 'outputs'],
      ['outputs/no-family-map.onnx', 'outputs'],
      ['outputs/no-family-classes.onnx', 'classify'],
      ['several.onnx', 'classify'],
    ] as const) {
      const model = await openModel(file(name));
      assert.equal(taskOf(model).task, tasks[task], name);
    }
  });

  it('reads rows and columns of the image as a map, and tokens as tokens', async () => {
    const { graph } = await openModel(file('outputs/several.onnx'));
    assert.deepEqual(
      graph().outputs.map(({ name, means }) => [name, means]),
      [
        ['heat', 'maps'],
        ['heat_last', 'maps'],
        ['summary', 'features'],
        ['patch_tokens', 'tokens'],
        ['table', 'maps'],
      ],
    );
    const saliency = await openModel(file('outputs/saliency.onnx'));
    assert.deepEqual(
      saliency.graph().outputs.map(({ means }) => means),
      ['maps'],
    );
  });

  it('gives features with their vector, and none if they are tokens', () => {
    const context = { config: undefined, topK: 1, imageSize: [8, 8] } as const;
    const { vector } = features.read([output([1, 4], 'features')], seen, context);
    assert.deepEqual(vector?.values, counted(4));
    assert.deepEqual(features.read([output([1, 4, 4], 'tokens')], seen, context), { kind: 'features' });
    assert.deepEqual(features.json({ kind: 'features' }), { top: [], labels: '', score: 'none' });
  });
});
