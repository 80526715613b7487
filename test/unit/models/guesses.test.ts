import { openAt } from '../../support/open';
import assert from 'node:assert/strict';
import { hyperparameterOf, hyperparameters, labelOf } from '../../../src/architectures/hyperparameters';
import { keysOfAny } from '../../../src/architectures/recognise/settle';
import { families } from '../../../src/architectures/registry';
import { guessWarning } from '../../../src/models/guesses';
import type { Evidence } from '../../../src/domain/evidence';
import { checkpointPath, readCases } from '../../support/cases';

const start = 'Assumed, not stored in the file: ';
const guessed = (value: Evidence['value']): Evidence => ({ value, source: 'assumed: why', assumed: true });
const told = (value: Evidence['value']): Evidence => ({ value, source: 'a tensor', assumed: false });

async function warningsOf(id: string, assume = {}): Promise<readonly string[]> {
  const golden = readCases().find((each) => each.id === id)!;
  const { recognition } = await openAt(checkpointPath(golden), { assume });
  return recognition.family === null ? [] : recognition.warnings;
}

describe('guesses', () => {
  it('are warned of in one line, without what the file tells or shapes settle', () => {
    const evidence = {
      depth: guessed(12),
      heads: guessed([1, 2, 4]),
      image_size: guessed([224, 192]),
      activation: guessed('quick_gelu'),
      mlp_activation: guessed('gelu'),
      eps: told(1e-6),
    };
    assert.equal(
      guessWarning({ evidence, warnings: [] }),
      `${start}heads (1, 2, 4), image size 224 × 192, activation quick_gelu, MLP activation gelu.`,
    );
    assert.equal(guessWarning({ evidence: { heads: told(3) }, warnings: [] }), undefined);
  });

  it('are not named twice', () => {
    const evidence = {
      grid: guessed([2, 3]),
      pool: guessed('token+avg'),
      head_activation: guessed('relu'),
      heads: guessed(3),
    };
    const warnings = [
      'The position table pos_embed fits several grids (2 × 3, 3 × 2). State the image size or the grid.',
      'The activation of fc is not in the file; set head_activation if it is another.',
      'not run: heads, pool',
    ];
    assert.equal(guessWarning({ evidence, warnings }), `${start}pooling token+avg, heads 3.`);
  });

  it('of an unknown key are named, too', () => {
    assert.equal(guessWarning({ evidence: { new_key: guessed(2) }, warnings: [] }), `${start}new key 2.`);
  });

  for (const [id, words] of [
    ['clip-vit-timm-safetensors', 'activation gelu'],
    ['xcit-original-pth', 'norm over all tokens true'],
    ['pvtv2-original-pth', 'heads (1, 2, 2, 3)'],
    ['eva02-original-pth', 'pooling token'],
    ['davit-original-pth', 'window 7'],
    ['resnet-bottleneck-timm-pth', 'image size 224 × 224'],
  ] as const)
    it(`of ${id} are told: ${words}`, async () => {
      const found = (await warningsOf(id)).filter((warning) => warning.startsWith(start));
      assert.equal(found.length, 1);
      assert.ok(found[0]?.includes(words), found[0]);
    });

  it('are none of what the user gives', async () => {
    const [heads, gelu] = [{ heads: 1 }, { heads: 1, activation: 'gelu', eps: 1e-6 }];
    assert.doesNotMatch((await warningsOf('vit-timm-safetensors', heads)).join(), /heads/);
    assert.doesNotMatch((await warningsOf('vit-timm-safetensors', gelu)).join(), /Assumed/);
  });
});

describe('the words of hyper-parameters', () => {
  it('are written for every key that a golden case gives evidence of', async function () {
    this.timeout(120_000);
    const keys = new Set<string>();
    for (const golden of readCases()) {
      const { recognition } = await openAt(checkpointPath(golden), { assume: golden.assume });
      if (recognition.family === null) continue;
      for (const key of Object.keys(recognition.evidence)) keys.add(key);
    }
    assert.ok(keys.size > 60, `${keys.size} keys`);
    assert.deepEqual(
      [...keys].filter((key) => hyperparameterOf(key) === undefined),
      [],
    );
  });

  it('are written for every key that may be set', () => {
    const keys = [...keysOfAny, ...families.flatMap(({ assumable }) => assumable)];
    assert.deepEqual(
      keys.filter((key) => !(key in hyperparameters)),
      [],
    );
  });

  it('are different for different keys', () => {
    const words = Object.keys(hyperparameters).map(labelOf);
    assert.deepEqual(
      words.filter((word, index) => words.indexOf(word) !== index),
      [],
    );
  });
});
