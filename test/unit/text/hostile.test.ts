import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { TextError } from '../../../src/text/errors';
import { textLimits } from '../../../src/text/limits';
import { openTokenizer } from '../../../src/text/tokenizers/openTokenizer';
import { tokenizerFiles } from '../../../src/text/tokenizers/sidecars';
import type { Tokenizer } from '../../../src/text/tokenizers/tokenizer';
import { seeded } from '../../support/random';

const root = 'test/fixtures/tokenizers';

type Files = ReadonlyMap<string, Uint8Array>;

const filesOf = (name: string): Map<string, Uint8Array> =>
  new Map(
    tokenizerFiles
      .filter((file) => existsSync(join(root, name, file)))
      .map((file) => [file, readFileSync(join(root, name, file))]),
  );

const open = (files: Files): Promise<Tokenizer | string> =>
  openTokenizer({ read: (name) => Promise.resolve(files.get(name)) });

const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

/** A damaged tokenizer gives a sentence, or works, or refuses a text in words: nothing else. */
async function isCalm(files: Files): Promise<boolean> {
  const tokenizer = await open(files);
  if (typeof tokenizer === 'string') {
    assert.match(tokenizer, /^[A-Zvs].*\.$|token ids can\.$/s);
    return false;
  }
  for (const text of ['a small kettle <mask>', 'é 🙂 \u0301', '']) {
    try {
      tokenizer.decode(tokenizer.encode(text, { maxLength: 5, pair: 'x' }).ids);
    } catch (error) {
      assert.ok(error instanceof TextError, String(error));
    }
  }
  return true;
}

describe('damaged tokenizers', () => {
  for (const name of readdirSync(root).filter((each) => each !== 'make'))
    it(`are refused in words: ${name}`, async () => {
      const files = filesOf(name);
      const random = seeded(7);
      let works = 0;
      let tries = 0;
      for (const [file, whole] of files) {
        const cuts = [0, 1, 0.3, 0.9, 0.999].map((share) =>
          whole.subarray(0, Math.floor(whole.length * share)),
        );
        const flipped = Array.from({ length: 12 }, () => {
          const copy = Uint8Array.from(whole);
          for (let count = 0; count < 4; count++)
            copy[Math.floor(random() * copy.length)] = Math.floor(random() * 256);
          return copy;
        });
        for (const damaged of [...cuts, ...flipped]) {
          tries++;
          if (await isCalm(new Map([...files, [file, damaged]]))) works++;
        }
      }
      assert.ok(works < tries, 'no damage was noticed');
    });

  const missing: readonly (readonly [string, readonly string[], RegExp])[] = [
    [
      'clip',
      ['vocab.json', 'merges.txt'],
      /^tokenizer\.json \(or vocab\.json and merges\.txt\) of CLIPTokenizer is missing/,
    ],
    ['clip', ['merges.txt'], /^tokenizer\.json \(or merges\.txt\) of CLIPTokenizer is missing/],
    ['siglip', ['spiece.model'], /^spiece\.model of SiglipTokenizer is missing/],
    ['marian', ['target.spm', 'vocab.json'], /^target\.spm and vocab\.json of MarianTokenizer are missing/],
    ['t5', ['spiece.model', 'tokenizer_config.json'], /^tokenizer\.json of the tokenizer is missing/],
    ['fused', ['tokenizer.json'], /^tokenizer\.json of the tokenizer is missing/],
  ];
  for (const [name, gone, sentence] of missing)
    it(`say which file is missing: ${name} without ${gone.join(', ')}`, async () => {
      const files = filesOf(name);
      for (const file of gone) files.delete(file);
      const found = await open(files);
      assert.ok(typeof found === 'string');
      assert.match(found, sentence);
      assert.match(found, /words cannot be read, token ids can\.$/);
    });

  it('are opened by what only one class has if no file names it', async () => {
    for (const [name, kind] of [
      ['clip', 'CLIPTokenizer'],
      ['bart', 'RobertaTokenizer'],
      ['gpt2-prefix', 'GPT2Tokenizer'],
      ['bert-cased', 'BertTokenizer'],
    ] as const) {
      const files = filesOf(name);
      files.delete('tokenizer_config.json');
      const found = await open(files);
      if (typeof found === 'string') throw new Error(found);
      assert.equal(found.kind, kind);
      assert.match(found.source, /assumed/);
    }
  });

  it("take a model's own class if its files name none, and SigLIP 2's over a wrong one", async () => {
    const kindOf = async (name: string, config: object, model: object) => {
      const files = filesOf(name);
      files.set('tokenizer_config.json', bytes(config));
      files.set('config.json', bytes(model));
      const found = await open(files);
      return typeof found === 'string' ? found : found.kind;
    };
    assert.equal(await kindOf('t5', {}, { model_type: 't5' }), 'T5Tokenizer');
    assert.equal(await kindOf('siglip', {}, { model_type: 'siglip' }), 'SiglipTokenizer');
    assert.equal(
      await kindOf('clip', { tokenizer_class: 'CLIPTokenizerFast' }, { model_type: 'blip' }),
      'CLIPTokenizer',
    );
    assert.equal(
      await kindOf('bytes', { tokenizer_class: 'GemmaTokenizer' }, { model_type: 'siglip2' }),
      'Siglip2Tokenizer',
    );
    assert.equal(
      await kindOf('bytes', { tokenizer_class: 'LlamaTokenizer' }, { model_type: 'llava' }),
      'TokenizersBackend',
    );
  });

  it('are bounded', async () => {
    const nested = (depth: number): object =>
      depth === 0 ? { type: 'NFC' } : { type: 'Sequence', normalizers: [nested(depth - 1)] };
    const files = filesOf('fused');
    const file = JSON.parse(Buffer.from(files.get('tokenizer.json') ?? []).toString()) as object;
    const withFile = (more: object) =>
      open(new Map([...files, ['tokenizer.json', bytes({ ...file, ...more })]]));
    assert.match(String(await withFile({ normalizer: nested(20) })), /not supported/);
    assert.match(
      String(await withFile({ normalizer: { type: 'Odd' } })),
      /a normaliser of type "Odd" is not supported/,
    );
    const steps = Array.from({ length: 100 }, () => ({ type: 'NFC' }));
    assert.match(
      String(await withFile({ normalizer: { type: 'Sequence', normalizers: steps } })),
      /100 steps; 64 are read/,
    );
    const t5 = filesOf('t5');
    t5.set('tokenizer_config.json', bytes({ tokenizer_class: 'T5Tokenizer', extra_ids: 1e9 }));
    assert.match(String(await open(t5)), /extra_ids of 1000000000 tokens/);
    const found = await withFile({});
    if (typeof found === 'string') throw new Error(found);
    assert.throws(() => found.encode('x'.repeat(textLimits.textCharacters + 1)), /characters/);
    assert.throws(() => found.encode('x', { padTo: 1e9 }), /padding to 1000000000 tokens/);
  });
});
