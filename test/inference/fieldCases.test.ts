import assert from 'node:assert/strict';
import { readFieldChecks } from '../support/field/cases';
import { runFieldChecks, type Verdicts } from '../support/field/run';

const checks = readFieldChecks();

describe('field cases', function () {
  this.timeout(900_000);
  let verdicts: Verdicts = [];
  before(async () => {
    verdicts = await runFieldChecks(checks);
  });

  for (const [index, { id, check }] of checks.entries())
    it(`${id}: ${[check.command, check.open, check.image, ...(check.args ?? [])].join(' ')} (${index + 1})`, () => {
      assert.deepEqual(verdicts[index], []);
    });

  after(() => {
    const whole = new Map<string, boolean>();
    for (const [index, { id, check }] of checks.entries()) {
      const why = verdicts[index] ?? ['was not run'];
      whole.set(id, (whole.get(id) ?? true) && why.length === 0);
      if (why.length > 0)
        console.log(`BAD ${id} | ${check.command} ${check.open} ${check.image ?? ''} | ${why.join('; ')}`);
    }
    const [right, cases] = [
      verdicts.filter((why) => why.length === 0).length,
      [...whole.values()].filter(Boolean).length,
    ];
    if (checks.length > 0)
      console.log(`${right} of ${checks.length} field checks right (${cases} of ${whole.size} cases whole)`);
  });
});
