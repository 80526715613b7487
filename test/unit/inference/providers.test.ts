import assert from 'node:assert/strict';
import {
  chooseProvider,
  compareAnswers,
  createMemoryStore,
  explain,
  graphIdentity,
  isSettled,
  softwareAdapter,
  verdictKey,
  viewProviders,
  type Compared,
} from '../../../src/inference/providers';
import { missingRuntime } from '../../../src/inference/runtime';
import type { ProviderCheck } from '../../../src/inference/remoteApi';
import type { Graph } from '../../../src/graph/graph';

const answer = (
  values: readonly number[],
  attention: readonly number[] = [],
  means: 'logits' | 'features' = 'logits',
): Compared => ({
  outputs: [{ name: means, means, shape: [values.length], values: Float32Array.from(values) }],
  attention: [Float32Array.from(attention)],
});

const check = (provider: string, more: Partial<ProviderCheck> = {}): ProviderCheck => ({
  provider,
  agrees: true,
  reason: 'agrees with the CPU: largest difference 1e-6',
  software: '',
  cpuMilliseconds: 100,
  providerMilliseconds: 50,
  ...more,
});

describe('agreement of a provider with the CPU', () => {
  it('accepts rounding and refuses another first class, other probabilities, other attention', () => {
    assert.equal(compareAnswers(answer([1, 2], [0.5]), answer([1.00001, 2], [0.50001])).agrees, true);
    assert.equal(compareAnswers(answer([1, 2]), answer([2, 1])).agrees, false);
    assert.match(compareAnswers(answer([1, 2]), answer([1, 2.1])).reason, /logits by 2e-2/);
    assert.match(compareAnswers(answer([1, 2], [0.5]), answer([1, 2], [0.52])).reason, /attention by 2e-2/);
  });

  it('accepts a near tie whichever of the two comes first', () => {
    assert.equal(compareAnswers(answer([1, 1.0001]), answer([1.0001, 1])).agrees, true);
  });

  it('never takes NaN, infinity or a missing output for agreement', () => {
    for (const values of [[NaN, 2], [Infinity, Infinity], [1]])
      assert.equal(compareAnswers(answer([1, 2]), answer(values)).agrees, false, String(values));
    assert.equal(compareAnswers(answer([1, 2], [0.5]), answer([1, 2], [NaN])).agrees, false);
  });

  it('compares features relative to their largest value', () => {
    const features = (values: readonly number[]): Compared => answer(values, [], 'features');
    assert.equal(compareAnswers(features([100, 1]), features([100.05, 1])).agrees, true);
    assert.equal(compareAnswers(features([1, 0.5]), features([1.05, 0.5])).agrees, false);
  });
});

describe('the choice of a provider', () => {
  it('takes the fastest that agrees and beats the CPU', () => {
    assert.equal(chooseProvider([]), 'cpu');
    assert.equal(chooseProvider([check('webgpu'), check('cuda', { providerMilliseconds: 20 })]), 'cuda');
    assert.equal(chooseProvider([check('webgpu', { providerMilliseconds: 101 })]), 'cpu');
    assert.equal(chooseProvider([check('webgpu', { agrees: false })]), 'cpu');
  });

  it('never takes a software adapter or a provider that was not timed', () => {
    assert.equal(chooseProvider([check('webgpu', { software: 'SwiftShader' })]), 'cpu');
    const untimed = check('webgpu', { cpuMilliseconds: 0 });
    assert.equal(chooseProvider([untimed]), 'cpu');
    assert.equal(isSettled(untimed), false);
    assert.equal(isSettled(check('webgpu')), true);
  });

  it('shows the one used and the reasons against the others', () => {
    const checks = new Map([
      ['webgpu', check('webgpu', { providerMilliseconds: 310 })],
      [
        'cuda',
        check('cuda', { agrees: false, reason: 'no driver', providerMilliseconds: 0, cpuMilliseconds: 0 }),
      ],
    ]);
    const views = viewProviders('cpu', checks, 'linux');
    assert.deepEqual(
      views.map(({ name, state }) => [name, state]),
      [
        ['cuda', 'missing'],
        ['webgpu', 'available'],
        ['cpu', 'used'],
      ],
    );
    assert.match(views[1]!.reason, /3\.1× slower than the CPU/);
    assert.equal(viewProviders('cpu', new Map(), 'linux')[1]!.state, 'unchecked');
    assert.deepEqual(
      viewProviders('cpu', new Map(), 'darwin').map(({ name }) => name),
      ['coreml', 'webgpu', 'cpu'],
    );
  });

  it('says how fast a provider is', () => {
    assert.match(explain(check('webgpu')), /2\.0× faster than the CPU/);
    assert.match(explain(check('webgpu', { software: 'WARP' })), /software adapter \(WARP\), never chosen/);
  });

  it('tells software adapters from real devices by what the process has open', () => {
    const swiftShader = ['/usr/lib/chromium/libvk_swiftshader.so'];
    assert.equal(softwareAdapter(swiftShader, []), 'SwiftShader');
    assert.equal(
      softwareAdapter(['/usr/lib/libvulkan_radeon.so', '/usr/lib/libvulkan_lvp.so'], []),
      'llvmpipe',
    );
    assert.equal(softwareAdapter(['/usr/lib/libvulkan_lvp.so'], ['/dev/dri/renderD128']), '');
    assert.equal(softwareAdapter(['C:\\Windows\\System32\\d3d10warp.dll'], []), 'WARP');
    assert.equal(softwareAdapter(['C:\\Windows\\d3d10warp.dll', 'C:\\Windows\\nvwgf2umx.dll'], []), '');
    assert.equal(softwareAdapter([], []), '');
  });

  it('remembers a verdict per provider, runtime version and model', async () => {
    const graph = (rows: number): Graph =>
      ({
        nodes: [{ op: 'MatMul', outputs: ['y'] }],
        values: new Map([['y', { name: 'y', dtype: 'F32', shape: [rows, 2] }]]),
      }) as unknown as Graph;
    const store = createMemoryStore();
    const key = verdictKey('webgpu', '1.30.0', graphIdentity(graph(3)));
    await store.set(key, check('webgpu'));
    assert.equal(store.get(verdictKey('webgpu', '1.30.0', graphIdentity(graph(3))))?.provider, 'webgpu');
    for (const other of [
      verdictKey('cuda', '1.30.0', graphIdentity(graph(3))),
      verdictKey('webgpu', '1.31.0', graphIdentity(graph(3))),
      verdictKey('webgpu', '1.30.0', graphIdentity(graph(4))),
    ])
      assert.equal(store.get(other), undefined);
  });
});

describe('machines without a native runtime', () => {
  const machine = { platform: 'linux', arch: 'x64', glibc: '2.36' };

  it('are told before anything is loaded, with what still works', () => {
    assert.equal(missingRuntime(machine), '');
    assert.match(
      missingRuntime({ ...machine, glibc: '' }),
      /musl \(Alpine\).*Inspecting checkpoints.*work here/,
    );
    assert.match(missingRuntime({ ...machine, glibc: '2.17' }), /glibc 2\.17.*2\.28/);
    assert.match(missingRuntime({ platform: 'darwin', arch: 'x64', glibc: '' }), /Intel Mac/);
    assert.match(missingRuntime({ platform: 'freebsd', arch: 'x64', glibc: '' }), /freebsd x64.*linux-x64/);
    assert.equal(missingRuntime({ platform: 'darwin', arch: 'arm64', glibc: '' }), '');
    assert.equal(missingRuntime({ platform: 'win32', arch: 'arm64', glibc: '' }), '');
  });
});
