import { openAt } from '../../support/open';
import assert from 'node:assert/strict';
import type { Replies } from '../../../src/tasks/answer';
import { ask, spelledOut } from '../../../src/tasks/ask/ask';
import type { OutputValues } from '../../../src/tasks/task';
import { answerName, taskOf } from '../../../src/tasks/tasks';

const open = (id: string) => openAt(`test/fixtures/cases/${id}/model.safetensors`);
const question = 'How many dogs are there?';

/** The case's own ids of its question: reference.safetensors, input_ids. */
const ids = [4, 516, 524, 181, 471, 248, 256, 26, 5];

const outputs: readonly OutputValues[] = [
  { name: 'logits', means: 'replies', shape: [1, 3], values: Float32Array.of(0, 2, -1) },
];
const seen = {} as Parameters<typeof ask.read>[1];
const context = {
  config: { id2label: { 0: 'yes', 1: 'no', 2: 'red' } },
  classNames: [],
  topK: 5,
  imageSize: [48, 48],
} as unknown as Parameters<typeof ask.read>[2];

describe('questions about an image', () => {
  it('are asked of models that answer them, and of no others', async () => {
    assert.equal(taskOf(await open('vilt-vqa')).name, 'ask');
    assert.notEqual(ask.serves(await open('blip-caption')), undefined);
  });

  it('become token ids, their mask and kinds', async () => {
    const { tensors, words } = await ask.prepare!(await open('vilt-vqa'), { question });
    assert.deepEqual(words, [question]);
    assert.deepEqual([...tensors['input_ids']!.data].map(Number), ids);
    assert.deepEqual(
      [...tensors['attention_mask']!.data].map(Number),
      ids.map(() => 1),
    );
    assert.deepEqual(
      [...tensors['token_type_ids']!.data].map(Number),
      ids.map(() => 0),
    );
  });

  it('are one run of words and image, and none without words', async () => {
    const model = await open('vilt-vqa');
    const given = await ask.prepare!(model, { question });
    const { steps } = ask.program(model, {}, given);
    assert.equal(steps.length, 1);
    assert.deepEqual(
      Object.entries(steps[0]!.inputs).map(([name, source]) => [name, source === 'image']),
      [
        ['pixel_values', true],
        ['input_ids', false],
        ['token_type_ids', false],
        ['attention_mask', false],
      ],
    );
    assert.deepEqual(steps[0]!.lengths, { texts: 1, text: ids.length });
    assert.throws(() => ask.program(model, {}, { tensors: {} }), /no question is asked/);
  });

  it('that nobody asks have no reply, and say so', async () => {
    const given = await ask.prepare!(await open('vilt-vqa'), { question: ' ' });
    assert.equal(ask.program(await open('vilt-vqa'), {}, given).steps.length, 1);
    const answer = ask.read(outputs, seen, { ...context, given });
    assert(answer.kind === 'replies');
    assert.deepEqual(answer.replies, []);
    assert.match(answer.missing ?? '', /no question is asked/);
    assert.deepEqual(ask.lines(answer), [answer.missing]);
  });

  it('have replies, each scored by itself, the best first, as many as asked for', () => {
    const read = (extra: object = {}): Replies => {
      const answer = ask.read(outputs, seen, { ...context, ...extra });
      assert(answer.kind === 'replies');
      return answer;
    };
    const answer = read();
    assert.deepEqual(
      answer.replies.map(({ label }) => label),
      ['no', 'yes', 'red'],
    );
    // 1 / (1 + e^-x) of 2, 0 and -1, to the precision of a double.
    const expected = [2, 0, -1].map((value) => 1 / (1 + Math.exp(-value)));
    answer.replies.forEach(({ score }, rank) => assert(Math.abs(score - expected[rank]!) < 1e-12));
    assert.equal(answerName(answer), 'answers');
    assert.equal(read({ post: { top: 1 } }).replies.length, 1);
  });

  it('spells out the name of a task, with what follows it in its place', () => {
    const questions = { '<CAPTION>': 'What is there?', '<FIND>': 'Where is {input} here?' };
    assert.equal(spelledOut(' <CAPTION> ', questions), 'What is there?');
    assert.equal(spelledOut('<FIND> a red bird', questions), 'Where is a red bird here?');
    assert.equal(spelledOut('How many <CAPTION>?', questions), 'How many <CAPTION>?');
    assert.equal(spelledOut('<CAPTION>'), '<CAPTION>');
  });
});
