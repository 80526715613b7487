import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { PathRunner } from '../../src/useCases/run';
import { classesOf, sampleImage, sampleModel, temporaryFolder, testInference } from './support';

/** More calls than a request makes of the inference process. */
const mostCalls = 40;
const vit = resolve('test/fixtures/cases/vit-timm-safetensors/model.safetensors');
const detector = resolve('media/sample/vitrine-detector');

type Work = (runner: PathRunner) => Promise<unknown>;

/** What people ask for, in the order in which they do. */
const works: Readonly<Record<string, Work>> = {
  'an image and its maps': async (runner) => {
    const run = await runner.classify({ checkpoint: sampleModel, image: sampleImage, attention: true });
    const { rows } = await runner.attention(run.run, { kind: 'mean' }, 'raw');
    return [classesOf(run).top, rows];
  },
  'one model after another': async (runner) => {
    const asked = { image: sampleImage, displaySide: 0 };
    const first = await runner.classify({ ...asked, checkpoint: vit });
    const second = await runner.classify({ ...asked, checkpoint: detector });
    return [first.answer, second.answer];
  },
  'an explanation': async (runner) => {
    const asked = { checkpoint: sampleModel, image: sampleImage, displaySide: 0 };
    const { pixelValues } = await runner.preprocess(asked);
    const methods = ['cam.gradcam'];
    const { outcomes } = await runner.explain({ checkpoint: sampleModel, pixels: pixelValues, methods });
    return outcomes;
  },
};

/** Every number of a value, in the order in which it holds them. */
function numbersIn(value: unknown): readonly number[] {
  if (typeof value === 'number') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return ArrayBuffer.isView(value) ? [...(value as Float32Array)] : Object.values(value).flatMap(numbersIn);
}

/** Threads share the work in other ways each time, and add in another order. */
const tolerance = 1e-5;

function assertSame(found: unknown, right: unknown, when: string): void {
  const [own, other] = [numbersIn(found), numbersIn(right)];
  assert.ok(own.length > 0 && own.length === other.length, when);
  const worst = own.reduce((most, value, index) => Math.max(most, Math.abs(value - (other[index] ?? 0))), 0);
  assert.ok(worst <= tolerance, `${when}: off by ${worst}`);
}

/** Does some work while the call of this number goes wrong; whether it came to that. */
async function withFault(folder: string, work: Work, call: number, kind: 'fails' | 'ends', right: unknown) {
  const fault = join(folder, 'fault');
  writeFileSync(fault, `${call} ${kind}`);
  const runner = testInference({
    processPath: resolve('dist/test/support/faultyProcess.js'),
    environment: { VITRINE_FAULT: fault },
  });
  try {
    const ended = await work(runner).then(
      (value) => ({ value }),
      (error: unknown) => ({ error: error as Error }),
    );
    if ('error' in ended) assert.match(ended.error.message, /an injected fault|inference process/);
    else assertSame(ended.value, right, `during call ${call}, which ${kind}`);
    const happened = !existsSync(fault);
    // Whatever had begun is not taken for done.
    if (happened) assertSame(await work(runner), right, `after call ${call}, which ${kind}`);
    return happened;
  } finally {
    await runner.dispose();
  }
}

const leftovers = (): readonly string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(`vitrine-${process.pid}-`));

describe('a call of the inference process that goes wrong', () => {
  const folder = temporaryFolder();
  for (const [name, work] of Object.entries(works))
    for (const kind of ['fails', 'ends'] as const)
      it(`${kind} once, and ${name} is there the next time`, async () => {
        const runner = testInference();
        const right = await work(runner).finally(() => runner.dispose());
        let call = 0;
        while (call < mostCalls && (await withFault(folder, work, call, kind, right))) call++;
        assert.ok(call >= 4 && call < mostCalls, `${call} calls`);
        assert.deepEqual(leftovers(), []);
      });
});
