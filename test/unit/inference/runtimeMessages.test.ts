import assert from 'node:assert/strict';
import { at } from '../../../src/domain/lists';
import { explain, viewProviders } from '../../../src/inference/providers';
import { explainRuntime } from '../../../src/inference/runtimeMessages';
import type { ProviderCheck } from '../../../src/inference/remoteApi';

/** What onnxruntime-node 1.30 says, word by word, and what is said of it. */
const messages: readonly (readonly [title: string, says: string, sentence: RegExp, next: RegExp])[] = [
  [
    'CUDA',
    'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library',
    /^The library that the runtime needs for CUDA is not installed\.$/,
    /CPU or WebGPU/,
  ],
  [
    'WebGPU',
    '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters\n',
    /^No graphics adapter that WebGPU can use was found\.$/,
    /graphics driver/,
  ],
  [
    'Core ML',
    'no available backend found. ERR: [coreml] backend not found.',
    /^The runtime of this machine has no Core ML\.$/,
    /CPU/,
  ],
  [
    'CUDA',
    'Failed to load library libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file',
    /CUDA libraries/,
    /cuDNN/,
  ],
  ['WebGPU', 'the inference process ended because it received SIGSEGV', /WebGPU ended/, /driver/],
];

describe('what the runtime says of a provider', () => {
  for (const [title, says, sentence, next] of messages)
    it(`is told in a sentence: ${says.slice(0, 60)}`, () => {
      const told = explainRuntime(says, title);
      assert.match(told.sentence, sentence);
      assert.match(told.next, next);
    });

  it('is quoted in brief, without places in source files, if it is not known', () => {
    const { sentence, next } = explainRuntime(
      `/onnxruntime_src/onnxruntime/core/x.cc:12 onnxruntime::X::Y(int) Something odd happened\n    at foo (bar.js:1)`,
      'CUDA',
    );
    assert.equal(sentence, 'CUDA failed: “Something odd happened”.');
    assert.match(next, /log/);
    const long = explainRuntime('word '.repeat(200), 'CUDA').sentence;
    assert.ok(long.length < 130, long);
    assert.equal(explainRuntime('', 'CUDA').sentence, 'CUDA failed: “no reason given”.');
  });

  it('reaches people with its next step, and never in its own words', () => {
    const [title, says] = at(messages, 1);
    const failed: ProviderCheck = {
      provider: 'webgpu',
      agrees: false,
      reason: says,
      software: '',
      cpuMilliseconds: 0,
      providerMilliseconds: 0,
    };
    const views = viewProviders('cpu', new Map([['webgpu', failed]]), 'linux');
    const view = views.find((each) => each.title === title);
    assert.equal(view?.state, 'missing');
    assert.match(view?.next ?? '', /driver/);
    assert.doesNotMatch(JSON.stringify(views) + explain(failed), /onnxruntime|::|\.cc/);
  });

  it('is not what a comparison with the CPU found', () => {
    const differs = {
      agrees: false,
      reason: 'differs from the CPU: logits by 2e-2',
      providerMilliseconds: 9,
    };
    const check: ProviderCheck = { provider: 'webgpu', software: '', cpuMilliseconds: 9, ...differs };
    assert.equal(explain(check), differs.reason);
  });
});
