import assert from 'node:assert/strict';
import { expanded, folded } from '../../../src/architectures/published/complete';
import { lostNames, withoutNumbers } from '../../../src/architectures/recognise/complete';
import { buildGraph, recognise, type Known } from '../../../src/architectures/recognise/recognise';
import type { ConfigValue, Recognition } from '../../../src/architectures/family';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { openCheckpoint } from '../../../src/checkpoint/open';
import { checkpointPath, readCases } from '../../support/cases';
import { opened } from '../../support/renamed';
import { seeded } from '../../support/random';

/** A checkpoint without the tensors of these names. */
function without({ selected, ...file }: Checkpoint, isLost: (name: string) => boolean): Checkpoint {
  const tensors = selected.tensors.filter(({ name }) => !isLost(name));
  const rest = { ...selected, tensors };
  return { ...file, selected: rest, stateDicts: [rest] };
}

const missingIn = (recognition: Recognition): readonly string[] =>
  recognition.family === null ? [] : recognition.warnings.filter((warning) => warning.startsWith('Missing:'));

/** What a model is said to lack, and what it still answers. */
const cases: readonly (readonly [id: string, lost: RegExp, named: string, task: string])[] = [
  ['vit-timm-safetensors', /^norm\./, 'norm.bias, norm.weight', 'features'],
  ['vit-timm-safetensors', /^patch_embed\.proj\.bias$/, 'patch_embed.proj.bias', 'classify'],
  ['vit-timm-safetensors', /norm1\.bias$/, 'blocks.*.norm1.bias', 'classify'],
  ['vit-transformers-sharded', /layernorm\.(?:weight|bias)$/, 'vit.layernorm.bias', 'features'],
  ['deit-distilled-timm-safetensors', /^head_dist\./, 'head_dist.bias, head_dist.weight', 'features'],
  ['deit3-timm-hub-safetensors', /ls2\.gamma$/, 'blocks.*.ls2.gamma', 'classify'],
  ['vit-beit3-timm-hub-safetensors', /attn\.norm\./, 'blocks.*.attn.norm.bias', 'features'],
];

describe('names of known models', () => {
  it('are written as a shell expands them, and read again', () => {
    const names = [
      'norm.bias',
      'norm.weight!',
      'pos_embed',
      'blocks.*.attn.q.bias',
      'blocks.*.gamma',
      'a/b/c',
    ];
    assert.deepEqual([...expanded(folded(names))].sort(), [...names].sort());
    assert.deepEqual(expanded(''), []);
  });

  it('have a star for the numbers of long lists, and keep those of short sequences', () => {
    const names = [
      'blocks.3.norm1.bias',
      'blocks.3.gamma_1',
      'stem.1.weight',
      'features.0.weight',
      'features.8.weight',
    ];
    const starred = [
      'blocks.*.norm1.bias',
      'blocks.*.gamma_1',
      'stem.1.weight',
      'features.*.weight',
      'features.*.weight',
    ];
    assert.deepEqual(withoutNumbers(names), starred);
  });

  const names = (layers: readonly string[], others: readonly string[]) => ({
    layers: new Set(layers),
    others: new Set(others),
  });
  const models = [
    names(['proj.weight'], ['norm.weight', 'norm.bias', 'proj.bias']),
    names(['proj.weight'], ['fc_norm.weight', 'fc_norm.bias', 'proj.bias']),
    names(['proj.weight', 'pool.q.weight'], ['norm.weight', 'norm.bias', 'proj.bias', 'pool.q.bias']),
  ];
  const lost = (...own: readonly string[]): readonly string[] => lostNames(new Set(own), models);

  it('tell what is lost of the model that is nearest', () =>
    assert.deepEqual(lost('proj.weight', 'norm.weight', 'norm.bias'), ['proj.bias']));

  it('tell nothing of a model that has all of a known one', () =>
    assert.deepEqual(lost('proj.weight', 'proj.bias', 'fc_norm.weight', 'fc_norm.bias', 'mine.weight'), []));

  it('tell what goes with a part that the known one has not', () =>
    assert.deepEqual(lost('proj.weight', 'proj.bias', 'norm.weight', 'norm.bias', 'pool.q.weight'), [
      'pool.q.bias',
    ]));

  it('tell nothing of a model of other layers', () => assert.deepEqual(lost('norm.weight'), []));
});

describe('a model that has lost a part', () => {
  for (const [id, lost, named, task] of cases)
    it(`${id} without ${String(lost)} names ${named}`, async () => {
      const found = recognise(without(await opened(id), (name) => lost.test(name)));
      assert(found.family !== null, found.family === null ? found.reason : '');
      const [warning = ''] = missingIn(found);
      assert(warning.startsWith(`Missing: ${named}`), warning || 'no warning');
      assert.equal(found.task, task);
    });

  it('is told from one without a classifier, which is no loss', async () => {
    const found = recognise(without(await opened('vit-timm-safetensors'), (name) => /^head\./.test(name)));
    assert.deepEqual(missingIn(found), []);
  });

  it('is not what any golden case is', async function () {
    this.timeout(240_000);
    const said: string[] = [];
    for (const golden of readCases()) {
      if (golden.format === 'onnx') continue;
      const file = await openCheckpoint(checkpointPath(golden));
      for (const text of missingIn(recognise(file, { assume: golden.assume })))
        said.push(`${golden.id}: ${text}`);
    }
    assert.deepEqual(said, []);
  });

  it('is refused, answers less, or is warned of, but for losses that no file tells', async function () {
    this.timeout(480_000);
    const silent: string[] = [];
    for (const golden of readCases()) {
      if (golden.format === 'onnx') continue;
      const file = await openCheckpoint(checkpointPath(golden));
      const { assume } = golden;
      const whole = recognise(file, { assume });
      if (whole.family === null || !whole.translation) continue;
      const lost = someKind(file, whole, seeded(sumOf(golden.id))());
      if (isSilent(file, whole, lost, assume)) silent.push(`${golden.id}: ${lost.kind}`);
    }
    assert.deepEqual(silent, untold);
  });
});

/** A seed of its own for each case, so that another case changes nothing of it. */
const sumOf = (text: string): number => [...text].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);

type Assume = Readonly<Record<string, ConfigValue>>;

/** One of the kinds of parameters that a model reads, and the names of that kind in the file. */
function someKind(
  file: Checkpoint,
  known: Known,
  place: number,
): { kind: string; names: ReadonlySet<string> } {
  const { used } = buildGraph(file, known);
  const names = file.selected.tensors.map(({ name }) => name).filter((name) => used.has(name));
  const kinds = withoutNumbers(names);
  const kind = kinds[Math.floor(place * kinds.length)] ?? '';
  return { kind, names: new Set(names.filter((_, index) => kinds[index] === kind)) };
}

/** Whether a model without these parameters answers as much as with them, and says no more. */
function isSilent(
  file: Checkpoint,
  whole: Known,
  { names }: { readonly names: ReadonlySet<string> },
  assume: Assume,
): boolean {
  const rest = without(file, (name) => names.has(name));
  try {
    const found = recognise(rest, { assume });
    if (found.family === null || found.warnings.some((text) => !whole.warnings.includes(text))) return false;
    const outputs = (model: Checkpoint, known: Known): string =>
      buildGraph(model, known)
        .graph.outputs.map(({ name }) => name)
        .join();
    return outputs(rest, found) === outputs(file, whole);
  } catch {
    // What the case assumes cannot be of what is left.
    return false;
  }
}

/** Losses of the kind that published models are without. */
const untold: readonly string[] = [
  // Built with and without a class token.
  'dinov3-timm-safetensors: cls_token',
  // Built with and without biases of q, k and v.
  'pth-f16: blocks.*.attn.qkv.bias',
  'pth-zip-protocol5: blocks.*.attn.qkv.bias',
  // Rotation along the axes has no frequencies of its own.
  'rope-mixed-ape-resized-timm-hub-safetensors: rope.freqs',
  'siglip-timm-safetensors: blocks.*.attn.qkv.bias',
  // Names that are anyone's, whose models differ.
  'torch-attention-pth: blocks.*.attn.in_proj_bias',
  'torch-encoder-pth: transformer_encoder.layers.*.self_attn.out_proj.bias',
  'vit-beit3-timm-hub-safetensors: blocks.*.attn.qkv.bias',
  'vit-rms-timm-hub-safetensors: blocks.*.attn.qkv.bias',
];
