import assert from 'node:assert/strict';
import { exitReason } from '../../../src/inference/client';
import { commonFolder } from '../../../src/inference/weights';
import { temporaryFailure } from '../../../src/inference/temporary';
import { neededBytes, requireMemory } from '../../../src/inference/memory';
import { describePreprocessing, parseOverrides } from '../../../src/preprocessing/lines';
import { resolvePreprocessing } from '../../../src/preprocessing/resolve';
import type { Graph } from '../../../src/graph/graph';

describe('why the inference process ended', () => {
  it('is said for signals, Windows codes, a full heap and plain exits', () => {
    assert.match(exitReason(null, 'SIGKILL', ''), /memory ran out/);
    assert.match(exitReason(null, 'SIGBUS', ''), /overwritten/);
    assert.match(exitReason(0xc0000005, null, ''), /access violation/);
    assert.match(exitReason(-1073741819, null, ''), /access violation/);
    assert.match(
      exitReason(null, 'SIGABRT', 'FATAL ERROR: JavaScript heap out of memory'),
      /JavaScript memory ran out/,
    );
    assert.equal(
      exitReason(7, null, 'first\nlast words\n'),
      'the inference process ended because it exited with code 7: last words',
    );
    assert.match(exitReason(null, 'SIGUSR2', ''), /it received SIGUSR2/);
  });
});

describe('a temporary folder that cannot be used', () => {
  const failure = (code: string): Error =>
    temporaryFailure(Object.assign(new Error(`${code}: write`), { code }), 346e6);

  it('is named with what is wrong, what it is for and what to do', () => {
    assert.match(
      failure('ENOSPC').message,
      /^the temporary folder .* is full \(ENOSPC\).* 346 MB.*Make room/,
    );
    assert.match(failure('ENOENT').message, /^the temporary folder .* does not exist \(ENOENT\)/);
    assert.match(failure('EIO').message, /cannot be used: EIO: write/);
    assert.equal(failure('ENOSPC').name, 'TemporaryFolderError');
  });
});

describe('the folder of external data', () => {
  it('is the deepest that holds every file', () => {
    assert.equal(commonFolder(['/a/b/x']), '/a/b');
    assert.equal(commonFolder(['/a/b/x', '/a/b/y']), '/a/b');
    assert.equal(commonFolder(['/a/b/x', '/a/bc/y']), '/a');
    assert.equal(commonFolder(['/a/x', '/a/b/c/y']), '/a');
    assert.equal(commonFolder(['/a/x', '/tmp/y']), '/');
    assert.equal(commonFolder([]), '');
  });
});

describe('the memory limit', () => {
  const values = new Map([
    ['x', { name: 'x', dtype: 'F32', shape: [10, 20] }],
    ['w', { name: 'w', dtype: 'F16', shape: [30, 20] }],
    ['y', { name: 'y', dtype: 'F32', shape: [10, 30] }],
  ]);
  const graph = {
    values,
    initializers: new Map([['w', values.get('w')]]),
    nodes: [{ inputs: ['x', 'w', ''], outputs: ['y'] }],
  } as unknown as Graph;

  it('counts parameters as float32 and twice the largest operator', () => {
    assert.equal(neededBytes(graph), 4 * (30 * 20 + 2 * (10 * 20 + 10 * 30)));
  });

  it('names what is needed, what is allowed and a next step', () => {
    requireMemory(graph, 1e6);
    assert.throws(
      () => requireMemory(graph, 100),
      /needs about 1 MB of memory, and 1 MB are allowed; choose a smaller/,
    );
  });
});

describe('preprocessing as lines that can be changed', () => {
  const preprocessing = resolvePreprocessing({
    sidecars: {},
    fileName: '/somewhere/model.safetensors',
    dialect: 'timm',
    imageSize: [224, 224],
  });

  it('say the source of every setting, and which are assumed', () => {
    const lines = describePreprocessing(preprocessing, [640, 480]);
    const byKey = new Map(lines.map((line) => [line.key, line]));
    assert.equal(byKey.get('image_size')?.text, '640 × 480 → 224 × 224');
    assert.equal(byKey.get('mean')?.text, '0.5, 0.5, 0.5 (half)');
    assert.equal(byKey.get('mean')?.assumed, true);
    assert.equal(byKey.get('filter')?.value, 'bicubic');
    assert.equal(byKey.get('mean')?.summary, 'mean 0.5, 0.5, 0.5 (half)');
    const sentence = lines.map(({ summary }) => summary).join(' → ');
    assert.equal(sentence.split('bicubic').length, 2, `${sentence}: the filter is said once`);
    for (const { choices, key } of lines) assert(key === 'image_size' || choices!.length > 1, key);
  });

  it('make a sentence in the order of the steps, of crops that follow from the resizing, too', () => {
    const preprocessor = { image_processor_type: 'ConvNextImageProcessor', size: { shortest_edge: 224 } };
    const cropping = resolvePreprocessing({
      sidecars: { preprocessor },
      fileName: '/somewhere/model.safetensors',
      dialect: 'transformers',
    });
    const sentence = describePreprocessing(cropping, [640, 480]).map(({ summary }) => summary);
    assert.deepEqual(sentence.filter(Boolean).slice(0, 3), [
      '640 × 480',
      'shorter side to 256, bicubic',
      'centre 224 × 224',
    ]);
    const sam = { image_processor_type: 'SamImageProcessor' };
    const padding = resolvePreprocessing({
      sidecars: { preprocessor: sam },
      fileName: '/somewhere/model.safetensors',
      dialect: 'transformers',
    });
    const words = describePreprocessing(padding, [640, 480]).map(({ summary }) => summary);
    assert.deepEqual(words.filter(Boolean).slice(0, 2), ['640 × 480', 'longer side to 1024, bilinear']);
    assert.ok(words.includes('padded to 1024 × 1024'));
  });

  it('are read back, every offered choice included', () => {
    for (const { key, choices = [] } of describePreprocessing(preprocessing, [640, 480]))
      for (const choice of choices) assert.notEqual(parseOverrides({ [key]: choice }), undefined);
    assert.deepEqual(parseOverrides({ mean: 'imagenet', std: '0.5', cropPct: '0.95' }), {
      mean: [0.485, 0.456, 0.406],
      std: [0.5, 0.5, 0.5],
      cropPct: 0.95,
    });
  });

  it('are refused with key, value and what is allowed', () => {
    assert.throws(() => parseOverrides({ colour: 'red' }), /colour cannot be set; .*filter/);
    assert.throws(() => parseOverrides({ cropPct: '2' }), /cropPct: 2 found; a number above 0/);
    assert.throws(() => parseOverrides({ std: '0' }), /std: 0 found/);
    assert.throws(() => parseOverrides({ mean: '1,2' }), /mean: 1,2 found; one number, three/);
  });
});
