import { openModel } from '../../../src/models/openedModels';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { inspectionJson } from '../../../src/analysis/inspection';

const folder = 'test/fixtures/hostile';

interface DamagedCase {
  readonly id: string;
  readonly file: string;
  readonly what: string;
  readonly must_mention: readonly string[];
}

const cases = (JSON.parse(readFileSync(`${folder}/cases.json`, 'utf8')) as readonly DamagedCase[]).filter(
  ({ id }) => /^general\/(vit-(without|layer|shape|pos)|config-heads)/.test(id),
);

describe('checkpoints that are nearly a Vision Transformer', () => {
  it('has cases', () => assert.equal(cases.length, 7));

  for (const { id, file, what, must_mention } of cases)
    it(`${id} (${what}) opens, and says what is wrong`, async () => {
      const model = await openModel(`${folder}/files/${file}`);
      const { warnings, nearest, params } = inspectionJson(model);
      const said = JSON.stringify([warnings, nearest]);
      for (const words of must_mention)
        assert.ok(
          words.split('|').some((word) => said.includes(word)),
          `${words} in ${said}`,
        );
      assert.ok(Number(params) > 0);
    });
});
