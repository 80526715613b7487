import assert from 'node:assert/strict';
import { lookAtGpu, setUpText, thisMachine, type MachineLook } from '../../../src/inference/gpuSetUp';
import { candidates, requireProvider, viewProviders } from '../../../src/inference/providers';

const bare: MachineLook = {
  platform: 'linux',
  arch: 'x64',
  library: () => undefined,
  files: () => [],
  mayUse: () => true,
  environment: {},
  runtimeFolder: '/runtime',
};

const missingIn = (look: MachineLook, provider: string): readonly string[] =>
  (lookAtGpu(look).find(({ name }) => name === provider)?.requirements ?? [])
    .filter(({ found }) => found === undefined)
    .map(({ name }) => name);

describe('what GPU providers need', () => {
  it('is named by library on a bare machine, with the packages that have it', () => {
    assert.deepEqual(missingIn(bare, 'cuda'), [
      'libcuda.so.1',
      'libcudart.so.12',
      'libcublas.so.12',
      'libcublasLt.so.12',
      'libcurand.so.10',
      'libcufft.so.11',
      'libcudnn.so.9',
      'libonnxruntime_providers_shared.so',
      'libonnxruntime_providers_cuda.so',
    ]);
    const text = setUpText(lookAtGpu(bare));
    for (const words of ['libcudnn9-cuda-12', 'nvidia-cudnn-cu12', 'libvulkan1', 'mesa-vulkan-drivers'])
      assert.ok(text.includes(words), words);
  });

  it('is told apart: one library, the driver of Vulkan, or the permission', () => {
    const libraries = {
      ...bare,
      library: (name: string) => (name === 'libcudnn.so.9' ? undefined : `/lib/${name}`),
    };
    assert.deepEqual(missingIn({ ...libraries, files: () => ['/runtime/there'] }, 'cuda'), ['libcudnn.so.9']);
    const drivers = {
      ...libraries,
      files: (folders: readonly string[]) => (folders[0] === '/dev/dri' ? ['/dev/dri/renderD128'] : []),
    };
    assert.deepEqual(missingIn(drivers, 'webgpu'), ['*.json in vulkan/icd.d']);
    const stated = { ...drivers, environment: { VK_DRIVER_FILES: '/icd.json' } };
    assert.deepEqual(missingIn(stated, 'webgpu'), []);
    const denied = { ...stated, mayUse: () => false };
    assert.deepEqual(missingIn(denied, 'webgpu'), ['/dev/dri/renderD*']);
    assert.match(setUpText(lookAtGpu(denied)), /renderD128 may not be opened: add the user to its group/);
  });

  it('can be asked of this machine', () => {
    const look = thisMachine();
    assert.equal(look.library('libnothing-of-this-name.so.0'), undefined);
    if (look.platform === 'linux') assert.ok(look.library('libc.so.6'));
    assert.ok(setUpText(lookAtGpu(look)).endsWith('CPU: always there\n'));
  });
});

describe('providers of Linux on 64-bit Arm', () => {
  it('are the CPU alone: its runtime is built without WebGPU and CUDA', () => {
    assert.deepEqual(candidates('linux', 'arm64'), []);
    assert.deepEqual(
      viewProviders('cpu', new Map(), 'linux', 'arm64').map(({ name }) => name),
      ['cpu'],
    );
    assert.throws(
      () => requireProvider('webgpu', 'linux', 'arm64'),
      /not available on linux arm64; use auto or one of cpu/,
    );
    assert.deepEqual(
      candidates('linux', 'x64').map(({ name }) => name),
      ['cuda', 'webgpu'],
    );
  });
});
