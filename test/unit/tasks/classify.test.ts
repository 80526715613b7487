import assert from 'node:assert/strict';
import type { GraphOutput } from '../../../src/graph/graph';
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
