import assert from 'node:assert/strict';
import type { OfferedMethod } from '../../../../src/domain/explanation';
import {
  costText,
  memoryText,
  foundClasses,
  nextMethod,
  questionOf,
  rankedClasses,
} from '../../../../webview/image/why/state';

const method = (name: string, whyNot?: string): OfferedMethod => ({
  ...{ name, title: name, text: '', formula: '', source: '', forwards: 1 },
  ...(whyNot !== undefined && { whyNot }),
});
const explainable = {
  ...{ output: 'logits', hasClasses: true, perCurve: 65 },
  labels: ['sea', 'dog', 'sea lion', 'cat'],
  scores: Float32Array.from([1, 3, NaN, 7]),
  methods: [method('a', 'it has no attention'), method('b'), method('c')],
};
const ranked = rankedClasses(explainable);

describe('what is asked of explanations', () => {
  it('classes are ranked by their scores, those that are no numbers last', () => {
    assert.deepEqual(ranked, [3, 1, 0, 2]);
  });

  it('a cost is passes, time and the memory of derivatives', () => {
    assert.equal(costText(1, 0), '1 forward');
    assert.match(costText(2.2, 10), /^2\.2 forwards, about 22 ms$/);
    assert.match(costText(2.2, 0, { weights: 346e6, kept: 120e6 }), /^2\.2 forwards, 466 MB$/);
  });

  it('the memory of a session with derivatives is told apart', () => {
    assert.equal(memoryText(undefined), undefined);
    assert.match(
      memoryText({ weights: 346e6, kept: 120e6 }) ?? '',
      /^346 MB of weights and 120 MB of activations/,
    );
  });

  it('a class is found by a part of its name, its rank and, with #, its number', () => {
    const found = (text: string): readonly number[] =>
      foundClasses(text, explainable, ranked).map(({ index }) => index);
    assert.deepEqual(found('SEA'), [0, 2]);
    assert.deepEqual(found('1'), [3, 1]);
    assert.deepEqual(found('#1'), [1]);
    assert.deepEqual(found('unicorn'), []);
    assert.deepEqual(found(''), ranked);
  });

  it('what nobody chose, or another model had, is the first that serves and the likeliest class', () => {
    const likeliest = { method: 'b', target: 3 };
    assert.deepEqual(questionOf({ method: null, target: null }, explainable, ranked), likeliest);
    assert.deepEqual(questionOf({ method: 'a', target: 1000 }, explainable, ranked), likeliest);
    assert.deepEqual(questionOf({ method: 'c', target: 0 }, explainable, ranked), { method: 'c', target: 0 });
    const none = { ...explainable, methods: [method('a', 'no')] };
    assert.equal(questionOf({ method: null, target: null }, none, ranked), undefined);
  });

  it('keys go round the methods that serve', () => {
    assert.equal(nextMethod(explainable.methods, 'c', 1), 'b');
    assert.equal(nextMethod(explainable.methods, 'b', -1), 'c');
  });
});
