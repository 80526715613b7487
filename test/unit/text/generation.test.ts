import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { generate, type NextLogits } from '../../../src/text/generation/generate';
import { logSoftmax } from '../../../src/text/generation/logits';
import { settleGeneration } from '../../../src/text/generation/settings';
import type { Json } from '../../../src/text/json';

interface TableCase {
  readonly arguments: Json;
  readonly file: Json;
  readonly prompt: readonly number[];
  readonly ids: readonly (readonly number[])[];
  readonly scores: readonly (readonly number[])[];
  readonly score?: readonly number[];
}

const { first, second, cases } = JSON.parse(readFileSync('test/fixtures/generation/cases.json', 'utf8')) as {
  readonly first: readonly (readonly number[])[];
  readonly second: readonly (readonly number[])[];
  readonly cases: readonly TableCase[];
};

/** The table's logits; every step must go on from a row whose tokens it holds. */
function table(): NextLogits {
  let before: readonly (readonly number[])[] = [];
  return (ids, order) => {
    assert.equal(order.length, ids.length);
    if (before.length > 0)
      ids.forEach((row, index) => assert.deepEqual(row.slice(0, -1), before[order[index] ?? -1], 'order'));
    before = ids;
    return Promise.resolve(
      ids.map((row) => {
        const last = first[row.at(-1) ?? -1] ?? [];
        const other = second[row.at(-2) ?? 0] ?? [];
        return Float32Array.from(last, (value, id) => value + (other[id] ?? 0));
      }),
    );
  };
}

/** Sums of 25 logarithms as 32-bit floats, in another order than the library's. */
const tolerance = 2e-5;

const near = (found: readonly number[], wanted: readonly number[], what: string): void => {
  assert.equal(found.length, wanted.length, what);
  found.forEach((value, index) => {
    const other = wanted[index] ?? NaN;
    assert.ok(value === other || Math.abs(value - other) <= tolerance, `${what}: ${value}, not ${other}`);
  });
};

describe('generation', () => {
  for (const { arguments: given, file, prompt, ids, scores, score } of cases) {
    it(`writes what transformers writes with ${JSON.stringify({ ...file, ...given })}`, async () => {
      const { settings, unsupported } = settleGeneration({ given, file, promptLength: prompt.length });
      assert.deepEqual(unsupported, []);
      // A model without an encoder takes the prompt for what the encoder read.
      const found = await generate(prompt, settings, table(), { encoderIds: prompt });
      assert.deepEqual(
        found.map((each) => each.ids),
        ids,
      );
      found.forEach(({ tokens }, index) =>
        near(
          tokens.map((token) => token.score),
          scores[index] ?? [],
          'scores',
        ),
      );
      if (score !== undefined)
        near(
          found.map((each) => each.score ?? NaN),
          score,
          'sequence scores',
        );
    });
  }

  const settle = (given: Json, positions?: number) =>
    settleGeneration({ given: { eos_token_id: 1, ...given }, promptLength: 1, positions });

  it('draws the same for the same seed, and by the probabilities', async () => {
    const draw = async (seed: number, more: Json = {}) => {
      const { settings } = settle({ do_sample: true, seed, max_new_tokens: 12, ...more });
      return (await generate([2], settings, table()))[0]?.ids ?? [];
    };
    assert.deepEqual(await draw(5), await draw(5));
    const firsts = await Promise.all(Array.from({ length: 400 }, (_, seed) => draw(seed)));
    const counts = new Map<number, number>();
    for (const ids of firsts) counts.set(ids[1] ?? -1, (counts.get(ids[1] ?? -1) ?? 0) + 1);
    const logits = (await table()([[2]], [0]))[0] ?? new Float32Array();
    const total = logits.reduce((sum, value) => sum + Math.exp(value), 0);
    for (const [id, value] of logits.entries()) {
      const likely = Math.exp(value) / total;
      // Four standard deviations of 400 draws.
      const bound = 4 * Math.sqrt((likely * (1 - likely)) / 400) + 1 / 400;
      assert.ok(Math.abs((counts.get(id) ?? 0) / 400 - likely) < bound, `token ${id}`);
    }
    const top = await Promise.all(Array.from({ length: 60 }, (_, seed) => draw(seed, { top_k: 2 })));
    const likeliest = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0)).slice(0, 2);
    assert.deepEqual(new Set(top.map((ids) => ids[1])), new Set(likeliest));
    const greedy = await generate([2], settle({ max_new_tokens: 12 }).settings, table());
    assert.deepEqual(await draw(9, { top_p: 0.001 }), greedy[0]?.ids);
    assert.deepEqual(await draw(9, { min_p: 1 }), greedy[0]?.ids);
    assert.deepEqual(await draw(9, { temperature: 0.001 }), greedy[0]?.ids);
  });

  it('draws several sequences at once, each as its rows say', async () => {
    const { settings } = settle({ do_sample: true, num_return_sequences: 5, max_new_tokens: 15, seed: 3 });
    const found = await generate([2], settings, table());
    assert.equal(found.length, 5);
    assert.ok(new Set(found.map(({ ids }) => ids.join())).size > 1);
  });

  it('stops where it is told to, with what there is', async () => {
    for (const given of [{}, { num_beams: 3 }] as const) {
      const control = new AbortController();
      let steps = 0;
      const { settings } = settle({ ...given, min_new_tokens: 15, max_new_tokens: 15 });
      const onStep = () => {
        if (++steps === 4) control.abort();
      };
      const [found] = await generate([2], settings, table(), { signal: control.signal, onStep });
      assert.equal(found?.ending, 'stopped');
      assert.equal(found?.tokens.length, 4);
    }
  });

  it('writes no more tokens than there are positions', async () => {
    const { settings, sources } = settle({ max_new_tokens: 30, min_new_tokens: 30 }, 8);
    assert.equal(sources['max_length'], 'positions');
    const [found] = await generate([2], settings, table());
    assert.equal(found?.ids.length, 8);
    assert.equal(found?.ending, 'length');
    await assert.rejects(
      generate(
        Array.from({ length: 8 }, () => 2),
        settings,
        table(),
      ),
      /8 tokens; 8 is/,
    );
  });

  it('says where settings come from, and what it does not do', () => {
    const { settings, sources, unsupported } = settleGeneration({
      given: { num_beams: 2 },
      file: { num_beams: 4, length_penalty: 0.6, eos_token_id: [1, 3], guidance_scale: 1.5, typical_p: 1 },
      config: { length_penalty: 9 },
      promptLength: 3,
    });
    assert.equal(settings.beams, 2);
    assert.equal(settings.maxLength, 23);
    assert.deepEqual(settings.end, [1, 3]);
    assert.equal(settings.pad, 1);
    assert.equal(sources['num_beams'], 'given');
    assert.equal(sources['length_penalty'], 'generation_config.json');
    assert.equal(sources['repetition_penalty'], 'default');
    assert.deepEqual(unsupported, ['guidance_scale = 1.5']);
    const old = settleGeneration({ config: { decoder: { eos_token_id: 7 }, num_beams: 6 }, promptLength: 1 });
    assert.equal(old.settings.beams, 6);
    assert.deepEqual(old.settings.end, [7]);
    assert.equal(old.sources['num_beams'], 'config.json');
  });

  it('keeps logarithms apart from scores that are as low as floats go', () => {
    const scores = new Float32Array(16).fill(-3.4e38);
    logSoftmax(scores);
    for (const score of scores) assert.ok(Math.abs(score + Math.log(16)) < 1e-6, String(score));
  });

  it('refuses values that make no sense', () => {
    for (const [given, message] of [
      [{ num_beams: 0 }, /num_beams is 0/],
      [{ num_beams: 2.5 }, /no whole number/],
      [{ num_beams: 1e9 }, /num_beams is 1000000000/],
      [{ temperature: 'warm' }, /temperature is "warm"/],
      [{ eos_token_id: ['x'] }, /eos_token_id holds "x"/],
      [{ num_return_sequences: 2 }, /more than the 1 beams/],
      [{ max_new_tokens: 0 }, /max_new_tokens is 0/],
    ] as const)
      assert.throws(() => settle(given), message);
  });
});
