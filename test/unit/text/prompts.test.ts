import assert from 'node:assert/strict';
import {
  captionStart,
  encodeTexts,
  fillTemplate,
  groundedLabel,
  groundingText,
  labelsOf,
  phrasesOf,
  promptsOf,
  textLayout,
} from '../../../src/text/prompts';
import { openTokenizer } from '../../../src/text/tokenizers/openTokenizer';
import type { Tokenizer } from '../../../src/text/tokenizers/tokenizer';
import { filesIn } from '../../support/tokenizerCases';

async function fixture(name: string): Promise<Tokenizer> {
  const tokenizer = await openTokenizer(filesIn(`test/fixtures/tokenizers/${name}`));
  if (typeof tokenizer === 'string') throw new Error(tokenizer);
  return tokenizer;
}

describe('prompts', () => {
  it('fills templates as Python does', () => {
    assert.equal(fillTemplate('a photo of a {}.', 'red {bird}'), 'a photo of a red {bird}.');
    assert.equal(fillTemplate('{{{}}} {0}', '$&'), '{$&} $&');
    for (const wrong of ['{1}', '{label}', '{', 'x}'])
      assert.throws(() => fillTemplate(wrong, 'x'), /only \{\} stands for a label/, wrong);
    assert.deepEqual(promptsOf(['a', 'b']), ['This is a photo of a.', 'This is a photo of b.']);
    assert.throws(() => promptsOf(['a', 'b'], 'no place'), /has no \{\}/);
  });

  it('reads labels line by line', () => {
    assert.deepEqual(labelsOf(' red bird \r\n\n\u3000two  dogs\t\rlast'), ['red bird', 'two  dogs', 'last']);
    assert.deepEqual(labelsOf('\n \n'), []);
  });

  it('pads to the longest text, or to the context where padding is attended to', async () => {
    const clip = await fixture('clip');
    const long = encodeTexts(clip, ['a small kettle', 'a'], 30, textLayout('clip'));
    assert.deepEqual(
      long.ids.map(({ length }) => length),
      [8, 8],
    );
    assert.deepEqual(long.mask[1], [1, 1, 1, 0, 0, 0, 0, 0]);
    const owl = encodeTexts(clip, ['a small kettle', 'a'], 12, textLayout('owlvit'));
    assert.ok(owl.ids.every(({ length }) => length === 12));
    const siglip = await fixture('siglip');
    const [row = []] = encodeTexts(siglip, ['A small, kettle!'], 16, textLayout('siglip')).ids;
    assert.deepEqual(row, [6, 4, 12, 31, 4, 23, 34, ...Array.from({ length: 9 }, () => 1)]);
  });

  it('pads on the right though the tokenizer pads on the left', async () => {
    const bytes = await fixture('bytes');
    assert.equal(bytes.padSide, 'left');
    const { ids } = encodeTexts(bytes, ['a small kettle', 'a'], 30);
    assert.equal(ids[1]?.at(-1), bytes.special.pad);
    assert.notEqual(ids[1]?.[0], bytes.special.pad);
  });

  it('says how many tokens did not fit', async () => {
    const clip = await fixture('clip');
    const { cut, ids } = encodeTexts(clip, ['a small kettle', 'a'], 5);
    assert.deepEqual(cut, [3, 0]);
    assert.equal(ids[0]?.length, 5);
    assert.equal(ids[0]?.at(-1), clip.special.eos);
  });

  it('cleans spaces for open_clip alone', async () => {
    const gpt2 = await fixture('qwen2');
    const of = (type: string) => encodeTexts(gpt2, ['  a \n small  kettle '], 30, textLayout(type)).ids[0];
    assert.deepEqual(
      of('open_clip'),
      encodeTexts(gpt2, ['a small kettle'], 30, textLayout('open_clip')).ids[0],
    );
    assert.notDeepEqual(of('clip')?.slice(0, 3), of('open_clip')?.slice(0, 3));
  });

  it('writes labels for Grounding DINO as its processor does', () => {
    assert.equal(groundingText([' A Red bird', 'two dogs ']), 'a red bird. two dogs.');
    assert.equal(groundingText('A red bird. Two'), 'A red bird. Two');
    assert.equal(groundingText(['a dog.', 'a cat']), 'a dog. a cat');
  });

  // Computed by transformers' generate_masks_with_special_tokens_and_transfer_map.
  const phrases: readonly (readonly [readonly number[], readonly string[], readonly number[]])[] = [
    [
      [101, 5, 6, 1012, 7, 1029, 8, 9, 1012, 102],
      [
        '1000000000',
        '0111000000',
        '0111000000',
        '0111000000',
        '0000110000',
        '0000110000',
        '0000001110',
        '0000001110',
        '0000001110',
        '0000000001',
      ],
      [0, 0, 1, 2, 0, 1, 0, 1, 2, 0],
    ],
    [
      [101, 5, 6, 102],
      ['1000', '0100', '0010', '0001'],
      [0, 0, 0, 0],
    ],
    [
      [101, 1012, 5, 1012, 1012, 6, 1012, 7, 102, 0, 0],
      [
        '10000000000',
        '01000000000',
        '00110000000',
        '00110000000',
        '00001000000',
        '00000110000',
        '00000110000',
        '00000001100',
        '00000001100',
        '00000000010',
        '00000000001',
      ],
      [0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0],
    ],
    [
      [5, 6, 7],
      ['100', '010', '001'],
      [0, 0, 0],
    ],
    [
      [5, 1012, 6, 1012],
      ['1100', '1100', '0010', '0001'],
      [0, 1, 0, 0],
    ],
  ];
  for (const [ids, mask, positions] of phrases)
    it(`cuts phrases of ${ids.join(' ')}`, () => {
      const found = phrasesOf(ids);
      assert.equal([...found.mask].join(''), mask.join(''));
      assert.deepEqual(found.positions, positions);
    });

  it('reads the label of a box off the tokens above the threshold, the ends left out', async () => {
    const bert = await fixture('bert-cased');
    const { ids } = bert.encode('the small kettle. a');
    const words = (scores: readonly number[]) => groundedLabel(bert, ids, scores, 0.25);
    assert.equal(words(ids.map(() => 0.9)), bert.decode(ids.slice(1, -1)));
    assert.equal(words([0.9, 0.3, 0.2, 0.26, ...ids.map(() => 0)]), bert.decode([ids[1] ?? 0, ids[3] ?? 0]));
    assert.equal(words([0.9, 0.25, 0, 0, 0]), '');
  });

  it('starts captions as BLIP and GIT do', async () => {
    const tokenizer = await fixture('bert-cased');
    const plain = tokenizer.encode('a small', { addSpecial: false }).ids;
    const start = 500;
    assert.deepEqual(captionStart({ kind: 'special', tokenizer, start }), [500]);
    assert.deepEqual(captionStart({ kind: 'special', tokenizer, prompt: 'a small', start }), [500, ...plain]);
    assert.deepEqual(captionStart({ kind: 'bare', tokenizer, prompt: 'a small', start: 4 }), [4, ...plain]);
  });
});
