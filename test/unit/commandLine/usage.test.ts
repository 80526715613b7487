import assert from 'node:assert/strict';
import { helpText, parseInvocation, taskOfCommand, UsageError } from '../../../src/commandLine/usage';

describe('commands of a task', () => {
  it('take the words of their task beside those of predict', () => {
    const asked = [
      'zero-shot',
      'clip',
      'a.jpg',
      '--label',
      'cat',
      '--label',
      'a dog',
      '--template',
      'the {}',
    ];
    const found = parseInvocation(asked);
    assert.deepEqual(found?.paths, ['clip', 'a.jpg']);
    assert.deepEqual(found.options.labels, ['cat', 'a dog']);
    assert.equal(found.options.template, 'the {}');
    const detect = parseInvocation(['detect', 'detr', 'a.jpg', 'b.jpg', '--threshold', '0.3', '--out', 'x']);
    assert.equal(detect?.options.threshold, 0.3);
    assert.equal(parseInvocation(['predict', 'detr', 'a.jpg'])?.options.threshold, undefined);
  });

  it('refuse what cannot be meant', () => {
    for (const [argv, reason] of [
      [['detect', 'detr', 'a.jpg', '--threshold', '30'], /--threshold 30: a number from 0 to 1/],
      [['detect', 'detr', 'a.jpg', '--threshold', ''], /--threshold/],
      [['depth', 'dpt', 'a.jpg', '--label', 'cat'], /--label/],
      [['zero-shot', 'clip', 'a.jpg', '--template', 'a photo'], /\{\} is needed/],
      [['detect', 'detr'], /1 paths given/],
    ] as const)
      assert.throws(
        () => parseInvocation(argv),
        (error) => error instanceof UsageError && reason.test(error.message),
        argv.join(' '),
      );
  });

  it('take lengths by their names, and no others', () => {
    const found = parseInvocation(['inspect', 'clip', '--lengths', 'texts=4,text=11,decoder=4,frames=16']);
    assert.deepEqual(found?.options.lengths, { texts: 4, text: 11, decoder: 4, frames: 16 });
    assert.deepEqual(parseInvocation(['complexity', 'clip'])?.options.lengths, {});
    for (const text of ['words=3', 'text', 'text=', 'text=-1', 'text=1.5', 'text=two'])
      assert.throws(
        () => parseInvocation(['complexity', 'clip', '--lengths', text]),
        (error) => error instanceof UsageError && /NAME=N needed, of texts, text/.test(error.message),
        text,
      );
  });

  it('are a row each, which the help is made of', () => {
    assert.equal(taskOfCommand('detect'), 'detect');
    assert.equal(taskOfCommand('zero-shot'), 'zero-shot');
    assert.equal(taskOfCommand('predict'), undefined);
    for (const name of ['detect', 'segment', 'depth', 'zero-shot'])
      assert.match(helpText(), new RegExp(`^  vitrine ${name} <checkpoint> <image>\\.\\.\\. `, 'm'));
  });
});
