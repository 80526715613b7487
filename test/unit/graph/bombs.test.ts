// Small .onnx files that ask for work without end.
import assert from 'node:assert/strict';
import { importWithNotes, type ImportOptions } from '../../../src/graph/onnx/import';
import type { OnnxModel } from '../../../src/checkpoint/formats/onnxModel';
import { graphLimits, placesRoom, room, TooLargeError } from '../../../src/graph/limits';
import { model, node, weight } from '../../support/onnxModels';

const image = { name: 'x', dtype: 'F32', shape: [1, 3, 8, 8] } as const;

const options: ImportOptions = { imageSize: [8, 8], batch: 1 };
const read = (file: OnnxModel) => importWithNotes(file, new Map(), options);

/** CPU milliseconds of a task, whatever else the machine does. */
function cost(task: () => void): number {
  const started = process.cpuUsage();
  task();
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1000;
}

describe('bombs among ONNX graphs', () => {
  /** Functions of which each calls the one before it so many times, in a row. */
  const functions = (depth: number, calls: number) =>
    Array.from({ length: depth }, (_, level) => ({
      domain: 'own',
      name: `f${level}`,
      inputs: ['a'],
      outputs: ['b'],
      attributes: [],
      opsets: {},
      nodes: Array.from({ length: calls }, (_, call) => {
        const [from, to] = [call === 0 ? 'a' : `t${call}`, call === calls - 1 ? 'b' : `t${call + 1}`];
        return level === 0
          ? node('Relu', [from], [to])
          : node(`f${level - 1}`, [from], [to], { domain: 'own' });
      }),
    }));
  const calling = (depth: number, calls: number) => ({
    ...model([node(`f${depth - 1}`, ['x'], ['y'], { domain: 'own' })], [image]),
    functions: functions(depth, calls),
  });

  it('expand local functions within the limit, and no further', () => {
    const small = read(calling(6, 2));
    assert.equal(small.graph.nodes.length, 2 ** 6);
    const milliseconds = cost(() =>
      assert.throws(() => read(calling(14, 10)), /come to 111111111111110 operators/),
    );
    assert.ok(milliseconds < 2000, `${milliseconds} ms`);
  });

  it('read a chain of nodes of one name in a time that grows with its length', () => {
    const chain = (length: number) =>
      model(
        Array.from({ length }, (_, index) =>
          node('Relu', [index === 0 ? 'x' : `v${index}`], [index === length - 1 ? 'y' : `v${index + 1}`], {
            name: 'same',
          }),
        ),
        [image],
      );
    const { graph } = read(chain(5));
    assert.equal(new Set(graph.nodes.map(({ name }) => name)).size, 5);
    const milliseconds = cost(() => read(chain(20_000)));
    assert.ok(milliseconds < 2000, `${milliseconds} ms`);
  });

  it('stop computing what doubles with every node', () => {
    const nodes = Array.from({ length: 60 }, (_, index) =>
      node('Concat', [`v${index}`, `v${index}`], [`v${index + 1}`], {
        attributes: { axis: { type: 'int', value: 0n } },
      }),
    );
    const shape = node('Shape', ['x'], ['v0']);
    const doubled = model([shape, ...nodes, node('Reshape', ['x', 'v60'], ['y'])], [image]);
    const milliseconds = cost(() => assert.throws(() => read(doubled), /is not constant/));
    assert.ok(milliseconds < 3000, `${milliseconds} ms`);
  });

  it('look for attention among so many softmaxes only', () => {
    const many = graphLimits.attentions + 1;
    const nodes = Array.from({ length: many }, (_, index) =>
      node('Softmax', [index === 0 ? 'x' : `v${index}`], [index === many - 1 ? 'y' : `v${index + 1}`]),
    );
    const { notes } = read(model(nodes, [image], [weight('w', [1])]));
    assert.match(notes.join(), /1025 softmaxes: attention is looked for among 1024 at most/);
  });
});

describe('room for tables', () => {
  it('is given up to the limit, and refused before anything is allocated', () => {
    assert.equal(room(20_000_000), 20_000_000);
    assert.equal(placesRoom(2 ** 20), 2 ** 20);
    for (const count of [20_000_001, Infinity, NaN, -1, 1.5, 5e33])
      assert.throws(() => room(count), TooLargeError, String(count));
    assert.throws(() => placesRoom(2 ** 20 + 1), TooLargeError);
  });
});
