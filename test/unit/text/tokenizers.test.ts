import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openTokenizer } from '../../../src/text/tokenizers/openTokenizer';
import { specialNames, type Tokenizer } from '../../../src/text/tokenizers/tokenizer';
import { filesIn, readTokenizerCases, type TokenizerCase } from '../../support/tokenizerCases';

async function open(folder: string, without: readonly string[] = []): Promise<Tokenizer> {
  const tokenizer = await openTokenizer(filesIn(folder, without));
  if (typeof tokenizer === 'string') throw new Error(tokenizer);
  return tokenizer;
}

/** Files that a class can be read from if there is no tokenizer.json. */
const olderFiles = ['vocab.txt', 'merges.txt', 'spiece.model', 'sentencepiece.bpe.model'];

function holds(tokenizer: Tokenizer, { texts, pairs, ...about }: TokenizerCase): void {
  for (const { text, ids, short, short_mask, plain_length, decoded } of texts) {
    const said = JSON.stringify(text);
    assert.deepEqual(tokenizer.encode(text, { maxLength: about.length }).ids, ids, `ids of ${said}`);
    const padTo = tokenizer.special.pad === undefined ? undefined : about.short;
    const padded = tokenizer.encode(text, { maxLength: about.short, padTo });
    assert.deepEqual(padded.ids, short, `short ids of ${said}`);
    if (short_mask !== undefined)
      assert.equal(padded.mask.filter((one) => one === 1).length, short_mask, `mask of ${said}`);
    const plain = tokenizer.encode(text, { addSpecial: false });
    assert.equal(plain.ids.length, plain_length, `plain length of ${said}`);
    if (decoded !== undefined)
      assert.equal(tokenizer.decode(ids, { skipSpecial: true }), decoded, `text of ${said}`);
  }
  for (const { text, pair, input_ids, token_type_ids } of pairs) {
    if (input_ids === undefined) continue;
    const said = JSON.stringify([text, pair]);
    const encoding = tokenizer.encode(text, { pair, maxLength: about.short });
    assert.deepEqual(encoding.ids, input_ids, `ids of ${said}`);
    assert.deepEqual(encoding.typeIds, token_type_ids, `types of ${said}`);
  }
}

describe('tokenizers', () => {
  const cases = readTokenizerCases();
  for (const about of cases) {
    it(`gives the library's ids for ${about.folder}`, async () => {
      const tokenizer = await open(about.folder);
      holds(tokenizer, about);
      assert.equal(tokenizer.kind, about.tokenizer_class);
      assert.equal(tokenizer.size, about.vocabulary);
      assert.equal(tokenizer.padSide, about.padding_side);
      assert.deepEqual(tokenizer.inputs, about.names);
      for (const name of specialNames)
        assert.equal(tokenizer.special[name], about.special[`${name}_token`]?.[1], name);
    });

    const hasOlder = olderFiles.some((name) => existsSync(join(about.folder, name)));
    if (!hasOlder || !existsSync(join(about.folder, 'tokenizer.json'))) continue;
    it(`gives them without tokenizer.json for ${about.folder}`, async () => {
      holds(await open(about.folder, ['tokenizer.json']), about);
    });
  }
});
