// Class names inside of pickled checkpoints: test/fixtures/classNames.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { unpickle } from '../../../src/checkpoint/pickle/pickle';
import { collectTensors } from '../../../src/checkpoint/pickle/tree';

interface Case {
  readonly title: string;
  readonly protocol: number;
  readonly pickle: string;
  /** Null if the pickle holds no names. */
  readonly source: string | null;
  readonly names: readonly string[] | null;
}

const cases = JSON.parse(readFileSync('test/fixtures/classNames/cases.json', 'utf8')) as readonly Case[];

describe('class names in a pickled checkpoint', () => {
  for (const { title, protocol, pickle, source, names } of cases)
    it(`${source === null ? 'are not' : 'are'} ${title}, protocol ${protocol}`, () => {
      const { value } = unpickle(Buffer.from(pickle, 'base64'));
      assert(value !== undefined);
      const expected = source === null ? [] : [{ source, names }];
      assert.deepEqual(collectTensors(value).classNames, expected);
    });
});
