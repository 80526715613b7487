// What the panel's explanations are asked of: the pages' records are what is computed, and what
// nobody wants any more ends without ending the process.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Walk } from '../../src/domain/explanation';
import type { Inference } from '../../src/inference/service';
import { OpenedModels } from '../../src/models/openedModels';
import { Explaining } from '../../src/useCases/explaining';
import { recordWalk, recordWhy, whyImage, whyInference, whyModels } from '../pages/recordWhy';
import { processPath } from './support';

describe('explanations of one image', function () {
  this.timeout(240_000);
  let inference: Inference;
  before(() => {
    inference = whyInference(processPath());
  });
  after(() => inference.dispose());

  it('the record that pages are tested with is what a model of known places gives', async () => {
    const recorded = JSON.parse(readFileSync('test/fixtures/pages/why-places.json', 'utf8')) as object;
    sameNumbers(await recordWhy(inference, whyModels.places), recorded, '');
  });

  it('the record of a patch that is followed is what the sample gives, and its formulas hold', async () => {
    const recorded = JSON.parse(readFileSync('test/fixtures/pages/why-walk.json', 'utf8')) as Walk;
    sameNumbers(await recordWalk(inference), recorded, '');
    const sums = recorded.steps.flatMap(({ sum }) => (sum ? [sum] : []));
    assert.equal(sums.length, 6);
    for (const { what, error, allowed } of sums) assert.ok(error <= allowed, what);
  });

  it('a question that nobody wants any more ends after its pass, and the next one is answered', async () => {
    const opened = await new OpenedModels().open(whyModels.places.checkpoint);
    const open = new AbortController();
    const explaining = await Explaining.open(
      inference,
      { opened, image: whyImage, options: {} },
      { signal: open.signal, progress: () => undefined },
    );
    const long = new AbortController();
    let passes = 0;
    const told = (message: string): void => {
      if (/^occlusion, \d+ of \d+$/.test(message) && ++passes === 3) long.abort();
    };
    const question = { method: 'occlusion', target: 0 };
    await assert.rejects(explaining.explain(question, { signal: long.signal, progress: told }), {
      name: 'AbortError',
    });
    assert.equal(passes, 3);
    const map = (await explaining.explain(question, { signal: open.signal, progress: () => undefined })).map;
    const top = map?.values.indexOf(Math.max(...map.values)) ?? -1;
    // Row 2 and column 5 of 8 × 8 patches of 8 pixels.
    assert.deepEqual([Math.floor(top / 64 / 8), Math.floor((top % 64) / 8)], [2, 5]);
    const file = await explaining.file(question, { signal: open.signal, progress: () => undefined });
    assert.match(
      Buffer.from(file.subarray(8, 200)).toString(),
      /"occlusion":\{"dtype":"F32","shape":\[64,64\]/,
    );
  });
});

/** Records have four digits of what was computed on another machine. */
const tolerance = 2e-3;

function sameNumbers(found: unknown, wanted: unknown, path: string): void {
  if (typeof found === 'number' && typeof wanted === 'number') {
    const far = Math.abs(found - wanted);
    assert.ok(far <= tolerance * Math.max(Math.abs(wanted), 1e-3), `${path}: ${found} for ${wanted}`);
  } else if (typeof found === 'object' && typeof wanted === 'object' && found && wanted) {
    assert.deepEqual(Object.keys(found), Object.keys(wanted), path);
    for (const [key, value] of Object.entries(found))
      sameNumbers(value, (wanted as Readonly<Record<string, unknown>>)[key], `${path}.${key}`);
  } else assert.equal(found, wanted, path);
}
