import assert from 'node:assert/strict';
import { imagenetNames } from '../../../src/labels/imagenet';
import { labelsOfHeads, probabilities, resolveLabels, topK } from '../../../src/labels/labels';

describe('labels of a head', () => {
  it("are Hugging Face's id2label", () => {
    const labels = resolveLabels({ config: { id2label: { 0: 'cat', 1: 'dog' } }, classes: 2 });
    assert.deepEqual(labels.names, ['cat', 'dog']);
    assert.match(labels.source, /id2label/);
    assert.equal(labels.assumed, false);
    assert.deepEqual(labels.warnings, []);
  });

  it('treat LABEL_7 as unknown, one by one', () => {
    const some = resolveLabels({ config: { id2label: { 0: 'cat', 1: 'LABEL_1', 2: 'dog' } }, classes: 3 });
    assert.deepEqual(some.names, ['cat', 'class 1', 'dog']);
    assert.match(some.source, /1 of 3 without a name/);
    const placeholders = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [i, `LABEL_${i}`]));
    const all = resolveLabels({ config: { id2label: placeholders }, classes: 1000 });
    assert.equal(all.names[0], 'tench, Tinca tinca');
    assert.equal(all.assumed, true);
  });

  it('come from label2id where id2label is missing', () => {
    const labels = resolveLabels({ config: { label2id: { dog: 1, cat: 0 } }, classes: 2 });
    assert.deepEqual(labels.names, ['cat', 'dog']);
  });

  it("are timm's descriptions, or its names", () => {
    const config = { label_names: ['a', 'b'], label_descriptions: { a: 'apple', b: 'banana' } };
    assert.deepEqual(resolveLabels({ config, classes: 2 }).names, ['apple', 'banana']);
    const nested = { pretrained_cfg: { label_names: ['x', 'y'] } };
    assert.deepEqual(resolveLabels({ config: nested, classes: 2 }).names, ['x', 'y']);
  });

  it('say when the configuration and the head do not fit', () => {
    const labels = resolveLabels({ config: { id2label: { 0: 'cat', 1: 'dog', 2: 'cow' } }, classes: 2 });
    assert.deepEqual(labels.names, ['cat', 'dog']);
    assert.match(labels.warnings.join(), /names 3 classes, but the head has 2/);
  });

  const pets = { source: 'classes.txt', names: ['cat', 'dog', 'fish'] };

  it('say how many names a list has that does not fit the head', () => {
    const labels = resolveLabels({ classNames: [pets], classes: 4 });
    assert.deepEqual(labels.warnings, ['classes.txt names 3 classes, but the head has 4']);
    assert.equal(labels.names[0], 'class 0');
    const other = { source: 'labels.json', names: ['a', 'b', 'c', 'd'] };
    const fitting = resolveLabels({ classNames: [pets, other], classes: 4 });
    assert.deepEqual([fitting.source, fitting.warnings], ['labels.json', []]);
  });

  it('are what the user points at before what a config says, with its note', () => {
    const config = { id2label: { 0: 'a', 1: 'b', 2: 'c' } };
    const given = { ...pets, given: true, note: 'look at the order' } as const;
    const labels = resolveLabels({ config, classNames: [given], classes: 3 });
    assert.deepEqual([labels.names, labels.source], [pets.names, 'classes.txt']);
    assert.match(labels.warnings.join(), /look at the order/);
    assert.equal(resolveLabels({ config, classNames: [pets], classes: 3 }).names[0], 'a');
  });

  it('of one head are no warning for the others', () => {
    const [three, two] = labelsOfHeads({ classNames: [pets] }, [3, 2]);
    assert.deepEqual([three?.names, three?.warnings], [pets.names, []]);
    assert.deepEqual([two?.names[0], two?.warnings], ['class 0', []]);
    const [four] = labelsOfHeads({ classNames: [pets] }, [4, 2]);
    assert.match(four?.warnings.join() ?? '', /names 3 classes, but the head has 4/);
  });

  it('are numbers where no published list has the size', () => {
    const labels = resolveLabels({ classes: 37 });
    assert.equal(labels.names[17], 'class 17');
    assert.match(labels.source, /none of the class lists that come with Vitrine has 37/);
  });

  it('survive a broken configuration', () => {
    const config = { id2label: { 0: 5, '-1': 'minus', x: 'y', 9999999: 'far' }, label_names: 'no list' };
    assert.deepEqual(resolveLabels({ config, classes: 2 }).names, ['class 0', 'class 1']);
  });
});

describe('ImageNet names', () => {
  // Index and name as published with models of that size.
  const known: readonly (readonly [number, number, string])[] = [
    [1000, 281, 'tabby, tabby cat'],
    [1000, 999, 'toilet tissue, toilet paper, bathroom tissue'],
    [11821, 0, 'benthos'],
    [11221, 0, 'benthos'],
    [10450, 0, 'benthos'],
    [21841, 0, 'organism, being'],
    [21843, 0, 'organism, being'],
    [21842, 281, 'tabby, tabby cat'],
    [21842, 1000, 'organism, being'],
  ];
  for (const [classes, index, name] of known) {
    it(`of ${classes}: ${index} is ${name}`, () => assert.equal(imagenetNames(classes)?.names[index], name));
  }

  it('have the size that they are found by', () => {
    for (const [classes] of known) assert.equal(imagenetNames(classes)?.names.length, classes);
    assert.equal(imagenetNames(1001), undefined);
  });

  it('stand in for bare WordNet ids', () => {
    const names = Array.from({ length: 1000 }, (_, i) => `n${String(i).padStart(8, '0')}`);
    assert.equal(
      resolveLabels({ config: { label_names: names }, classes: 1000 }).names[0],
      'tench, Tinca tinca',
    );
  });
});

describe('activation', () => {
  it('follows problem_type', () => {
    const of = (problem_type: string, classes = 3) =>
      resolveLabels({ config: { problem_type }, classes }).activation;
    assert.equal(of('multi_label_classification'), 'sigmoid');
    assert.equal(of('regression'), 'none');
    assert.equal(of('single_label_classification'), 'softmax');
    assert.equal(resolveLabels({ classes: 3 }).activation, 'softmax');
    assert.equal(resolveLabels({ classes: 1 }).activation, 'none');
  });
});

describe('topK', () => {
  it('ranks probabilities that sum to 1', () => {
    const logits = Float32Array.of(1, 3, 2);
    const top = topK(logits, 2, 'softmax');
    assert.deepEqual(
      top.map(({ index }) => index),
      [1, 2],
    );
    const sum = Math.exp(1) + Math.exp(2) + Math.exp(3);
    assert.ok(Math.abs(top[0]!.probability - Math.exp(3) / sum) < 1e-12);
    assert.ok(Math.abs(probabilities(logits, 'softmax').reduce((a, b) => a + b) - 1) < 1e-12);
  });

  it('does not overflow', () => {
    assert.deepEqual(Array.from(probabilities([1000, 0, -1000], 'softmax')), [1, 0, 0]);
    assert.deepEqual(Array.from(probabilities([1000, 0, -1000], 'sigmoid')), [1, 0.5, 0]);
  });

  it('breaks ties by index, leaves NaN out, and returns no more than there is', () => {
    const order = topK([2, Number.NaN, 2, 5, -Infinity, Infinity], 10, 'none').map(({ index }) => index);
    assert.deepEqual(order, [5, 3, 0, 2, 4]);
  });

  it('calls nothing a class where the answer is no number', () => {
    assert.throws(() => topK([Number.NaN, 1], 5, 'softmax'), /no numbers/);
    assert.throws(() => topK([Infinity, 1], 5, 'softmax'), /no numbers/);
    assert.throws(() => topK([Number.NaN], 5, 'sigmoid'), /no numbers/);
    assert.deepEqual(topK([], 5, 'softmax'), []);
  });

  it('gives the values of a regression', () => {
    assert.deepEqual(topK([0.5, -2], 2, 'none'), [
      { index: 0, probability: 0.5, logit: 0.5 },
      { index: 1, probability: -2, logit: -2 },
    ]);
  });
});
