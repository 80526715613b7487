import assert from 'node:assert/strict';
import * as runtime from 'onnxruntime-node';
import { phraseMask } from '../../src/architectures/blocks/phrases';
import { GraphBuilder } from '../../src/graph/builder';
import { writeOnnx } from '../../src/graph/onnx/export';
import { phraseEnds, phrasesOf } from '../../src/text/prompts';

/** What the graph makes of a text: 1 where a row's token sees a column's, and places. */
async function phrasesInGraph(ids: readonly number[]) {
  const b = new GraphBuilder('phrases', { find: () => undefined });
  const { mask, seen, places } = phraseMask(b, b.input('ids', [1, ids.length], 'I64'), phraseEnds);
  b.output('mask', mask, 'state');
  b.output('seen', seen, 'state');
  b.output('places', places, 'state');
  const bytes = writeOnnx(b.build(), { locate: ({ name }) => assert.fail(`${name} is no parameter`) });
  const session = await runtime.InferenceSession.create(bytes);
  const given = BigInt64Array.from(ids, (id) => BigInt(id));
  const found = await session.run({ ids: new runtime.Tensor('int64', given, [1, ids.length]) });
  return {
    hidden: [...(found['mask']!.data as Float32Array)],
    seen: [...(found['seen']!.data as Float32Array)],
    places: [...(found['places']!.data as BigInt64Array)].map(Number),
  };
}

/** [CLS], [SEP], a dot and a question mark by BERT's ids, and words. */
const [cls, sep, dot, mark] = phraseEnds as readonly [number, number, number, number];
const texts: readonly (readonly number[])[] = [
  [cls, 7, 8, dot, 9, dot, 10, 11, dot, sep],
  [cls, 7, dot, sep],
  [cls, 7, mark, 8, 9, sep],
  [7, 8, dot, 9],
  [7, dot, dot, 8, sep],
  [cls, 7, 8],
  [7],
];

describe('phrases of a text in the graph', () => {
  for (const ids of texts)
    it(`${ids.join(' ')}: as the library cuts them`, async () => {
      const expected = phrasesOf(ids);
      const { hidden, seen, places } = await phrasesInGraph(ids);
      assert.deepEqual(seen, [...expected.mask]);
      assert.deepEqual(places, expected.positions);
      assert.ok(hidden.every((value, at) => (seen[at] === 1 ? Math.abs(value) === 0 : value < -1e38)));
    });
});
