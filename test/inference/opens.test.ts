import { headerKey } from '../../src/checkpoint/header';
import assert from 'node:assert/strict';
import fileSystem from 'node:fs/promises';
import { realpathSync } from 'node:fs';
import { WorkspaceMemory } from '../../src/editor/documents/memory';
import { settleRemembered } from '../../src/editor/documents/openRemembered';
import { openOnce } from '../../src/models/openedModels';
import { createMemoryStore } from '../../src/inference/providers';
import { defaultLimits } from '../../src/inference/memory';
import { createInference, type Inference } from '../../src/inference/service';
import { checkpointPath, readCases } from '../support/cases';
import { classesOf, processPath, sampleModel, sampleImage, silent } from './support';

/** What VS Code keeps for a workspace, in memory. */
function memento() {
  const kept = new Map<string, unknown>();
  return {
    keys: () => [...kept.keys()],
    get: <T>(key: string, otherwise?: T) => (kept.get(key) ?? otherwise) as T,
    update: async (key: string, value: unknown) => void kept.set(key, value),
  };
}

describe('from the click on an image to its run', () => {
  const { open } = fileSystem;
  let opened: string[] = [];
  let inference: Inference;
  before(() => {
    fileSystem.open = (path, ...more) => {
      opened.push(realpathSync(path));
      return open(path, ...more);
    };
    inference = createInference({
      processPath: processPath(),
      store: createMemoryStore(),
      log: silent,
      limits: defaultLimits,
    });
  });
  after(async () => {
    fileSystem.open = open;
    await inference.dispose();
  });

  const onnx = readCases().find(({ id }) => id === 'vit-onnx-legacy');
  const checkpoints = [
    [sampleModel, { heads: '3' }],
    ['media/sample/vitrine-sample-64', {}],
    [onnx ? checkpointPath(onnx) : '', {}],
  ] as const;
  for (const [path, assumed] of checkpoints)
    it(`no file of ${path} is opened twice`, async () => {
      opened = [];
      const memory = new WorkspaceMemory(memento());
      const file = await openOnce(path);
      await memory.setAssumptions(headerKey(file.checkpoint.selected.tensors), assumed);
      const model = await settleRemembered(file, memory);
      const run = await inference.classify({ opened: model, image: sampleImage, attention: true });
      assert.ok(classesOf(run).top.length > 0);
      await inference.attention(run.run, { kind: 'mean' }, 'raw');
      // Another size is settled on what was read.
      const step = run.inputSize.step[0] * 2;
      const imageSize = [run.inputSize.native[0] + step, run.inputSize.native[1] + step] as const;
      await inference.classify({ opened: model, image: sampleImage, options: { imageSize } });
      assert.ok(opened.length > 0, 'opening is not counted');
      assert.deepEqual(opened, [...new Set(opened)]);
    });
});
