import type { PathRunner } from '../../src/useCases/run';
import type { ProviderView } from '../../src/tasks/run';
import assert from 'node:assert/strict';
import { softwareVulkan } from '../run/vulkan.mjs';
import { createMemoryStore } from '../../src/inference/providers';
import { skip } from '../support/skip';
import { classesOf, firstOf, sampleModel, sampleImage, testInference } from './support';

const request = { checkpoint: sampleModel, image: sampleImage, attention: true };
const named = (views: readonly ProviderView[], name: string): ProviderView =>
  views.find((view) => view.name === name) ?? assert.fail(`no provider ${name}`);

describe('WebGPU on software Vulkan', () => {
  const environment = softwareVulkan();
  const store = createMemoryStore();
  const inferences: PathRunner[] = [];
  const create = (options: Parameters<typeof testInference>[0] = {}): PathRunner => {
    const inference = testInference({ environment, store, ...options });
    inferences.push(inference);
    return inference;
  };

  before(function () {
    if (!environment) skip(this, 'no software Vulkan driver is installed (Chromium brings one)');
  });
  after(() => Promise.all(inferences.map((inference) => inference.dispose())));

  it('runs where the user chose it, agrees with the CPU and says so', async () => {
    const inference = create();
    const [gpu, cpu] = [
      await inference.classify({ ...request, options: { provider: 'webgpu' } }),
      await inference.classify({ ...request, options: { provider: 'cpu' } }),
    ];
    assert.equal(gpu.provider.used, 'webgpu');
    assert.deepEqual(gpu.warnings, []);
    for (const [index, { score }] of classesOf(cpu).top.entries())
      assert(Math.abs(classesOf(gpu).top[index]!.score - score) < 1e-3);
    assert.match(named(gpu.provider.all, 'webgpu').reason, /agrees with the CPU/);
    const query = { kind: 'special', name: 'cls' } as const;
    const [{ rows: found }, { rows: expected }] = [
      await inference.attention(gpu.run, query, 'raw'),
      await inference.attention(cpu.run, query, 'raw'),
    ];
    for (const [layer, row] of expected.entries())
      assert(
        row.every((value, key) => Math.abs(value - found[layer]![key]!) < 1e-3),
        `layer ${layer}`,
      );
  });

  it('is checked in the background after an answer of the CPU, and not taken by itself', async () => {
    const shared = createMemoryStore();
    let report: (views: readonly ProviderView[]) => void = () => undefined;
    const reported = new Promise<readonly ProviderView[]>((resolve) => (report = resolve));
    const inference = create({ store: shared, background: true, onProviders: (_, views) => report(views) });
    const first = await inference.classify(request);
    assert.equal(first.provider.used, 'cpu');
    assert.equal(named(first.provider.all, 'webgpu').state, 'unchecked');
    const views = await reported;
    assert.match(named(views, 'webgpu').reason, /software adapter \(SwiftShader\), never chosen by itself/);
    assert.equal(named(views, 'cuda').state, 'missing');
    // Remembered: another service over the same store knows it without checking.
    const second = await create({ store: shared }).classify(request);
    assert.equal(second.provider.used, 'cpu');
    assert.match(named(second.provider.all, 'webgpu').reason, /SwiftShader/);
  });

  it('is taken by auto where the verdict says that it is better, and left again when it fails', async () => {
    const better = createMemoryStore();
    // The verdict of a real GPU, as an earlier session would have left it.
    const lying = {
      ...better,
      get: (key: string) =>
        better.get(key) ??
        (key.startsWith('provider webgpu')
          ? {
              provider: 'webgpu',
              agrees: true,
              reason: 'agrees',
              software: '',
              cpuMilliseconds: 9,
              providerMilliseconds: 1,
            }
          : undefined),
    };
    assert.equal((await create({ store: lying }).classify(request)).provider.used, 'webgpu');
    const without = { VK_ICD_FILENAMES: '/nonexistent.json', LD_LIBRARY_PATH: '' };
    const view = await create({ store: lying, environment: without }).classify(request);
    assert.equal(view.provider.used, 'cpu');
    assert.equal(firstOf(view).label, 'cat');
    assert.equal(named(view.provider.all, 'webgpu').state, 'missing');
  });

  it('ends in an error with a next step where the user chose it and there is no adapter', async () => {
    const inference = create({
      store: createMemoryStore(),
      environment: { VK_ICD_FILENAMES: '/nonexistent.json', LD_LIBRARY_PATH: '' },
    });
    await assert.rejects(
      inference.classify({ ...request, options: { provider: 'webgpu' } }),
      /WebGPU cannot be used here: .*adapter.*Choose another provider/,
    );
    assert.equal((await inference.classify(request)).provider.used, 'cpu');
  });
});
