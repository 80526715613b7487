import { PathRunner } from '../../src/useCases/run';
import { modelRequest } from '../../src/inference/modelRequest';
import assert from 'node:assert/strict';
import {
  closeSync,
  copyFileSync,
  openSync,
  statSync,
  writeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceClient } from '../../src/inference/client';
import { createInference } from '../../src/inference/service';
import { createMemoryStore } from '../../src/inference/providers';
import { OpenedModels } from '../../src/models/openedModels';
import { resolvePreprocessing } from '../../src/preprocessing/resolve';
import { defaultLimits } from '../../src/inference/memory';
import {
  classesOf,
  firstOf,
  processPath,
  sampleModel,
  sampleImage,
  silent,
  stepOf,
  temporaryFolder,
  testInference,
  writeSparseVit,
} from './support';

const isRunning = (processId: number): boolean => {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
};

/**
 * Writes small values over all but the first and last megabyte of a sparse file, others in every
 * megabyte: the runtime shares equal weights.
 */
function fillValues(path: string): void {
  const block = new Float32Array(2 ** 18);
  const end = statSync(path).size - block.byteLength;
  const file = openSync(path, 'r+');
  for (let at = block.byteLength; at < end; at += block.byteLength) {
    block.fill(1e-3 + at * 1e-12);
    writeSync(file, new Uint8Array(block.buffer), 0, block.byteLength, at);
  }
  closeSync(file);
}

/** A model whose run takes about a second: long enough to be interrupted. */
const slow = { dim: 768, depth: 4, patch: 16, image: 640, classes: 10 };

describe('the inference process', () => {
  const folder = temporaryFolder();
  const slowModel = join(folder, 'vit_base_patch16_640.safetensors');
  let processIds: number[] = [];
  let inference: PathRunner;

  const log = { ...silent, debug: (text: string) => remember(text) };
  const remember = (text: string): void => {
    const started = /^inference process (\d+) started$/.exec(text);
    if (started) processIds.push(Number(started[1]));
  };
  const sample = { checkpoint: sampleModel, image: sampleImage };
  const slowRequest = { checkpoint: slowModel, image: sampleImage };

  /** Called when the process begins to load a model, which a run follows. */
  let onLoading = (): void => undefined;

  before(() => writeSparseVit(slowModel, slow));
  beforeEach(() => {
    processIds = [];
    inference = testInference({ log, onProgress: () => onLoading() });
  });
  let measured: InferenceClient | undefined;
  afterEach(() => Promise.all([inference.dispose(), measured?.dispose()]));

  /** A long run under way in a process that was started before. */
  const startSlowRun = async (request = slowRequest, signal?: AbortSignal) => {
    await inference.classify(sample);
    const loading = new Promise<void>((resolve) => (onLoading = resolve));
    const run = inference.classify({ ...request, ...(signal && { signal }) });
    run.catch(() => undefined);
    await loading;
    return { run };
  };

  it('starts with the first request and not before', async () => {
    assert.deepEqual(processIds, []);
    await inference.classify(sample);
    await inference.classify(sample);
    assert.equal(processIds.length, 1);
  });

  it('is gone when dispose returns, and asked again it says so', async () => {
    await inference.classify(sample);
    await inference.dispose();
    assert.equal(isRunning(processIds[0]!), false);
    await assert.rejects(inference.classify(sample), /was stopped/);
  });

  it('is let go when nobody asks for a while, and starts again', async () => {
    const brief = testInference({ log, limits: { idleMilliseconds: 50 } });
    const view = await brief.classify({ ...sample, attention: true });
    while (isRunning(processIds[0]!)) await delay(20);
    // The maps went with it; asking for them brings both back.
    const { rows } = await brief.attention(view.run, { kind: 'mean' }, 'raw');
    assert.equal(rows.length, view.probes.length);
    assert.equal(processIds.length, 2);
    await brief.dispose();
  });

  it('starts again where it died while nobody asked, even in the same moment', async () => {
    await inference.classify(sample);
    process.kill(processIds[0]!, 'SIGKILL');
    await inference.classify(sample);
    process.kill(processIds[1]!, 'SIGKILL');
    while (isRunning(processIds[1]!)) await delay(1);
    await inference.classify(sample);
    assert.equal(processIds.length, 3);
  });

  it('keeps nobody who listened to a signal that lives on, after any number of requests', async () => {
    const { signal } = new AbortController();
    for (let run = 0; run < 20; run++) {
      const { run: answered } = await inference.classify({ ...sample, attention: true, signal });
      await inference.attention(answered, { kind: 'mean' }, 'raw', { signal });
      await inference.preprocess({ ...sample, signal });
    }
    await assert.rejects(inference.classify({ ...sample, image: 'nowhere.png', signal }), /nowhere/);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('runs the other models on after one that was refused for memory', async () => {
    const limited = testInference({ limits: { models: 1, memoryBytes: 60e6 } });
    const { top } = classesOf(await limited.classify(sample));
    const large = limited.classify({ ...sample, options: { imageSize: [1280, 1280] } });
    await assert.rejects(large, /of memory.*are allowed/);
    assert.deepEqual(classesOf(await limited.classify(sample)).top, top);
    await limited.dispose();
  });

  it('cancels a run that is under way, and answers the next request', async () => {
    const abort = new AbortController();
    const { run } = await startSlowRun(slowRequest, abort.signal);
    const started = performance.now();
    abort.abort();
    await assert.rejects(run, { name: 'cancelled' });
    assert(performance.now() - started < 500, 'cancelling took half a second');
    assert.equal(firstOf(await inference.classify(sample)).label, 'cat');
    assert.equal(processIds.length, 2);
  });

  it('drops a waiting request when it is cancelled, without disturbing the one that runs', async () => {
    const abort = new AbortController();
    const first = inference.classify(sample);
    const second = inference.classify({ ...sample, signal: abort.signal });
    abort.abort();
    await assert.rejects(second, { name: 'cancelled' });
    assert.equal(firstOf(await first).label, 'cat');
    assert.equal(processIds.length, 1);
  });

  it('lets a cancelled request that is nearly done end, and keeps the process', async () => {
    const client = new InferenceClient({ processPath: processPath(), log: silent });
    const known = await client.request(async (remote) => remote.memory().then(() => client.processId));
    const abort = new AbortController();
    const asked = client.request((remote) => remote.memory(), abort.signal);
    // It runs as soon as the one before has ended.
    await Promise.resolve();
    abort.abort();
    await assert.rejects(asked, { name: 'cancelled' });
    assert.equal(await client.request(async (remote) => remote.memory().then(() => client.processId)), known);
    await client.dispose();
  });

  it('ends everything by cancel()', async () => {
    const runs = [inference.classify(slowRequest), inference.classify(sample)];
    await delay(50);
    inference.cancel();
    for (const run of runs) await assert.rejects(run, { name: 'cancelled' });
    assert.equal(firstOf(await inference.classify(sample)).label, 'cat');
  });

  for (const [signal, message] of [
    ['SIGSEGV', /ended because the native runtime crashed \(SIGSEGV\)/],
    ['SIGKILL', /ended because the system killed it \(SIGKILL\), most likely because memory ran out/],
    ['SIGBUS', /ended because a file that it was reading was cut off or overwritten \(SIGBUS\)/],
  ] as const) {
    it(`says why it ended after ${signal}, and answers the next request`, async () => {
      const { run } = await startSlowRun();
      process.kill(processIds[0]!, signal);
      await assert.rejects(run, message);
      assert.equal(firstOf(await inference.classify(sample)).label, 'cat');
      assert.equal(processIds.length, 2);
    });
  }

  it('survives a checkpoint that is cut off while it runs', async () => {
    const path = join(folder, 'cut', 'model.safetensors');
    mkdirSync(join(folder, 'cut'));
    writeSparseVit(path, slow);
    const request = { checkpoint: path, image: sampleImage };
    const { run } = await startSlowRun(request);
    truncateSync(path, 1e6);
    await assert.rejects(run, /model\.safetensors|cut off or overwritten/);
    await assert.rejects(inference.classify(request), { name: 'CheckpointError' });
    writeSparseVit(path, slow);
    assert.equal(classesOf(await inference.classify(request)).classes, slow.classes);
  });

  it('reads a checkpoint again that was overwritten between two requests', async () => {
    const copy = join(folder, 'overwritten');
    mkdirSync(copy);
    for (const name of ['config.json', 'model.safetensors'])
      copyFileSync(join(sampleModel, name), join(copy, name));
    const request = { checkpoint: copy, image: sampleImage };
    const before = await inference.classify(request);
    const weights = join(copy, 'model.safetensors');
    const bytes = readFileSync(weights);
    bytes.fill(0, bytes.length - 4 * 1000);
    writeFileSync(weights, bytes);
    const after = await inference.classify(request);
    assert.notEqual(firstOf(after).score, firstOf(before).score);
  });

  it('leaves nothing behind when its parent disappears', async () => {
    const client = new InferenceClient({ processPath: processPath(), log: silent });
    await client.request((remote) => remote.memory());
    const processId = client.processId!;
    await client.stop();
    assert.equal(isRunning(processId), false);
    assert(!readdirSync(tmpdir()).some((name) => name.startsWith(`vitrine-${processId}-`)));
  });

  it('removes temporary folders of processes that were killed', async () => {
    const leftover = join(tmpdir(), 'vitrine-999999999-test');
    mkdirSync(leftover);
    await inference.classify(sample);
    assert.equal(existsSync(leftover), false);
  });

  it('writes nothing into the home folder and queues no telemetry', async () => {
    const home = join(folder, 'home');
    mkdirSync(home);
    const away = testInference({ environment: { HOME: home, XDG_CACHE_HOME: join(home, 'cache') } });
    await away.classify(sample);
    await away.dispose();
    assert.deepEqual(readdirSync(home), []);
  });

  it('refuses a process of another version, and one that cannot start', async () => {
    const other = join(folder, 'other.js');
    writeFileSync(
      other,
      `process.on('message', ({ id }) => process.send({ kind: 'reply', id, value: { version: 0, runtime: { version: null, reason: '' } } }));`,
    );
    const broken = join(folder, 'broken.js');
    writeFileSync(broken, `throw new Error('no such library');`);
    for (const [path, message] of [
      [other, /speaks version 0, this window version \d+; reload the window/],
      [broken, /ended because it exited with code 1.*/],
    ] as const) {
      const service = new PathRunner(
        createInference({
          processPath: path,
          store: createMemoryStore(),
          log: silent,
          limits: defaultLimits,
        }),
      );
      await assert.rejects(service.classify(sample), message);
      await service.dispose();
    }
  });

  it('gives the memory of a released model back', async () => {
    const client = (measured = new InferenceClient({ processPath: processPath(), log: silent }));
    const path = join(folder, 'filled.safetensors');
    writeSparseVit(path, slow);
    fillValues(path);
    const opened = await new OpenedModels().open(path, {});
    const model = modelRequest(opened, opened.model.graph(), {
      threads: 0,
      attention: { whole: 0, kept: 0 },
    });
    const { checkpoint, recognition } = opened.model;
    const preprocessing = resolvePreprocessing({
      ...checkpoint,
      fileName: path,
      dialect: recognition.dialect,
      imageSize: [slow.image, slow.image],
    });
    const image = { path: sampleImage, asStored: false, preprocessing, displaySide: 0 };
    const settings = { provider: 'cpu', attention: false, step: stepOf(opened.model) };
    const resident = () => client.request((remote) => remote.memory());
    const run = () => client.request((remote) => remote.runImage(model.key, image, settings));
    // The image decoder stays; it is no part of the model.
    await client.request((remote) => remote.preprocess(image));
    const idle = await resident();
    await client.request((remote) => remote.load(model, settings));
    // The third run is made by the packed session.
    for (let count = 0; count < 3; count++) await run();
    const loaded = await resident();
    await client.request((remote) => remote.release(model.key));
    const released = await resident();
    const weights = opened.model.checkpoint.size;
    assert(loaded - idle > 0.8 * weights, `${loaded - idle} bytes more after loading ${weights}`);
    assert(released - idle < 0.5 * weights, `${released - idle} bytes more after releasing ${weights}`);
  });
});
