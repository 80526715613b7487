import assert from 'node:assert/strict';
import { join } from 'node:path';
import { boxBiases } from '../../../src/architectures/wholes/owlVit';
import { queryOfBox } from '../../../src/tasks/answer';
import { detect, noTexts } from '../../../src/tasks/detect/detect';
import { namedPhrases } from '../../../src/tasks/detect/phrases';
import { casesFolder } from '../../support/cases';
import { openAt } from '../../support/open';

const open = (id: string) => openAt(join(casesFolder, id, 'model.safetensors'));
const ids = (values: Float32Array | BigInt64Array | undefined): readonly number[] =>
  Array.from(values ?? [], Number);

describe('detection of what texts say', () => {
  it('runs the image once, then the words, then both against one another', async () => {
    const model = await open('owlvit-detect');
    const given = await detect.prepare!(model, { labels: ['a cat', 'the bridge'] });
    const { steps } = detect.program(model, {}, given);
    assert.deepEqual(
      steps.map(({ part, inputs }) => [part, Object.values(inputs).includes('image')]),
      [
        ['image', true],
        ['text', false],
        ['score', false],
      ],
    );
    assert.deepEqual(given.tensors['input_ids']?.shape, [2, 16]);
    assert.deepEqual(given.words, ['a cat', 'the bridge']);
    assert.deepEqual(steps[2]?.outputs, ['logits']);
  });

  it('runs the image alone where nothing is asked for, and says what is missing', async () => {
    const model = await open('owlvit-detect');
    const given = await detect.prepare!(model, {});
    const { steps } = detect.program(model, {}, given);
    assert.deepEqual(
      steps.map(({ part }) => part),
      ['image'],
    );
    const answer = {
      kind: 'boxes',
      boxes: [],
      threshold: 0.1,
      queries: 36,
      labelSource: '',
      texts: [],
    } as const;
    assert.deepEqual(detect.lines(answer), [noTexts]);
    assert.match(JSON.stringify(detect.json(answer)), /"missing":"no text is given/);
  });

  it('makes one text of several phrases, and leaves one that is written out', async () => {
    const model = await open('grounding-dino-detect');
    const [several, written] = await Promise.all([
      detect.prepare!(model, { labels: ['A red bird', 'two dogs', 'the bridge'] }),
      detect.prepare!(model, { text: 'a red bird. two dogs. the bridge.' }),
    ]);
    assert.deepEqual(ids(several.tensors['input_ids']?.data), ids(written.tensors['input_ids']?.data));
    assert.equal(written.decode?.([2, 3]), 'red bird');
    const long = await detect.prepare!(model, { labels: Array<string>(20).fill('red bird') });
    assert.deepEqual(long.tensors['input_ids']?.shape, [1, 16]);
  });

  it('calls boxes by the words that they light up, those of one name of one class', () => {
    const box = [0, 0, 1, 1] as const;
    const decode = (places: readonly number[]): string => places.join(' ');
    const named = namedPhrases(
      [
        { score: 0.9, box, query: 0, tokens: [1, 2] },
        { score: 0.8, box, query: 3, tokens: [4] },
        { score: 0.7, box, query: 5, tokens: [1, 2] },
      ],
      { tensors: {}, decode },
    );
    assert.deepEqual(
      named.map(({ label, name, query }) => [label, name, query]),
      [
        [0, '1 2', 0],
        [1, '4', 3],
        [0, '1 2', 5],
      ],
    );
  });

  it('takes a box of a patch for that patch', () => {
    assert.deepEqual(queryOfBox({ grid: [4, 6] }, { query: 14 }), {
      kind: 'patch',
      row: 2,
      column: 2,
      grid: [4, 6],
    });
    assert.deepEqual(queryOfBox({}, { query: 14 }), { kind: 'query', index: 14 });
  });

  it('starts boxes at the corner of their patch', () => {
    const biases = boxBiases([2, 4]);
    const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
    // Up to the 1e-4 that keep logarithms finite, in both parts of the fraction.
    const close = (found: number, expected: number): boolean => Math.abs(found - expected) < 2e-4;
    const second = [...biases.subarray(4, 8)].map(sigmoid);
    assert.ok(
      [0.5, 0.5, 0.25, 0.5].every((side, at) => close(second[at] ?? 0, side)),
      second.join(),
    );
  });
});
