import assert from 'node:assert/strict';
import type { GraphOutput } from '../../../src/graph/graph';
import { warningsOf } from '../../../src/tasks/answer';
import { classify } from '../../../src/tasks/classify/classify';
import type { SeenImage } from '../../../src/tasks/run';

const seen = {} as SeenImage;

describe('scores of classes', () => {
  const read = (activation: GraphOutput['activation'], config: Readonly<Record<string, unknown>>) => {
    const logits = {
      name: 'y',
      means: 'logits',
      shape: [1, 3],
      values: Float32Array.from([0, 2, -1]),
      activation,
    } as const;
    return classify.read([logits], seen, { config, topK: 1, imageSize: [8, 8] });
  };
  const sigmoid = { problem_type: 'multi_label_classification' };

  it('go through what the graph itself makes of them, whatever a config says', () => {
    const { top, scoreKind } = read('softmax', sigmoid);
    const expected = Math.exp(2) / (1 + Math.exp(2) + Math.exp(-1));
    assert.equal(scoreKind, 'softmax');
    // Of float32 exponentials.
    assert.ok(Math.abs((top[0]?.score ?? 0) - expected) < 1e-6);
    assert.equal(read('sigmoid', {}).scoreKind, 'sigmoid');
  });

  it('go through what the config says if the graph says nothing', () => {
    assert.equal(read(undefined, sigmoid).scoreKind, 'sigmoid');
    assert.equal(read(undefined, {}).scoreKind, 'softmax');
  });
});

describe('names of classes', () => {
  const logits = (name: string, size: number) =>
    ({ name, means: 'logits', shape: [1, size], values: new Float32Array(size) }) as const;
  const classNames = [{ source: 'classes.txt', names: ['cat', 'dog', 'fish'] }];

  it('that do not go with the head are a warning of the answer', () => {
    const answer = classify.read([logits('logits', 4)], seen, {
      config: {},
      classNames,
      topK: 1,
      imageSize: [8, 8],
    });
    assert.deepEqual(warningsOf(answer), ['classes.txt names 3 classes, but the head has 4']);
  });

  it('go to the head of their number', () => {
    const outputs = [logits('age', 2), logits('kind', 3)];
    const answer = classify.read(outputs, seen, { config: {}, classNames, topK: 1, imageSize: [8, 8] });
    assert.deepEqual(
      answer.heads?.map(({ top: [first] }) => first?.label),
      ['class 0', 'cat'],
    );
    assert.deepEqual(warningsOf(answer), []);
  });
});
