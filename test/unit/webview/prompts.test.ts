import assert from 'node:assert/strict';
import { givenOf, linesOf, promptsOf, templateError } from '../../../webview/answers/promptText';

describe('texts for a model of images and words', () => {
  it('are lines that say something, each once', () => {
    assert.deepEqual(linesOf(' cat\r\n\n dog \ncat\n'), ['cat', 'dog']);
    assert.deepEqual(linesOf('\n \n'), []);
  });

  it('are given with their template, and typed on as they were given', () => {
    const given = { labels: ['cat', 'dog'], template: 'a photo of a {}' };
    assert.deepEqual(givenOf('cat\ndog\n', ' a photo of a {} '), given);
    assert.deepEqual(givenOf('cat', ' '), { labels: ['cat'] });
    assert.deepEqual(promptsOf(given), { text: 'cat\ndog', template: 'a photo of a {}' });
    assert.deepEqual(promptsOf({ labels: ['cat'] }), { text: 'cat', template: '' });
    assert.deepEqual(promptsOf({ prompts: ['a cat', 'a dog'] }), { text: 'a cat\na dog', template: '' });
    assert.deepEqual(promptsOf(undefined), { text: '', template: 'a photo of a {}' });
    assert.deepEqual(promptsOf({ labels: [3] }), { text: '', template: 'a photo of a {}' });
  });

  it('need a place in the template, if there is one', () => {
    assert.equal(templateError('a {} here'), undefined);
    assert.equal(templateError(' '), undefined);
    assert.match(templateError('a photo') ?? '', /needs \{\}/);
  });
});
