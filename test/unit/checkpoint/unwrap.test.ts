import assert from 'node:assert/strict';
import type { Tensor } from '../../../src/checkpoint/tensors';
import { orderStateDicts, unwrapNames } from '../../../src/checkpoint/unwrap';

const tensor = (name: string): Tensor => ({
  name,
  dtype: 'F32',
  shape: [1],
  start: 0,
  storage: { kind: 'inline', bytes: new Uint8Array(4) },
});

/**
 * Paths of groups with the names in them, and `name [stripped]: names` of what becomes of them, the
 * best first.
 */
const cases: Readonly<
  Record<
    string,
    { groups: Readonly<Record<string, readonly string[]>>; lightning?: true; becomes: readonly string[] }
  >
> = {
  'a bare state dict': { groups: { '': ['a', 'b.c'] }, becomes: [' []: a b.c'] },
  'EMA before the model': {
    groups: { model: ['a'], model_ema: ['a'] },
    becomes: ['model_ema []: a', 'model []: a'],
  },
  'EMA with a suffix': {
    groups: { state_dict: ['a'], state_dict_ema: ['a'] },
    becomes: ['state_dict_ema []: a', 'state_dict []: a'],
  },
  'EMA before a teacher': {
    groups: { teacher: ['backbone.a'], 'ema.model': ['a'] },
    becomes: ['ema.model []: a', 'teacher.backbone [backbone.]: a'],
  },
  "the teacher's backbone before everything but EMA": {
    groups: {
      student: ['module.backbone.a', 'module.head.b'],
      teacher: ['backbone.a', 'head.b'],
      model: ['a'],
    },
    becomes: [
      'teacher.backbone [backbone.]: a',
      'model []: a',
      'student.backbone [module.backbone.]: a',
      'student.head [module.head.]: b',
      'teacher.head [head.]: b',
    ],
  },
  'teacher and student inside one state dict': {
    groups: { model: ['teacher.backbone.a', 'student.backbone.a', 'teacher.dino_head.b'] },
    becomes: [
      'model.teacher.backbone [teacher.backbone.]: a',
      'model.teacher.dino_head [teacher.dino_head.]: b',
      'model.student.backbone [student.backbone.]: a',
    ],
  },
  'state_dict before the rest': {
    groups: { discriminator: ['a'], other: ['a'], '': ['a'], state_dict: ['a'] },
    becomes: ['state_dict []: a', ' []: a', 'other []: a', 'discriminator []: a'],
  },
  'DistributedDataParallel around torch.compile': {
    groups: { '': ['module._orig_mod.a', 'module._orig_mod.b'] },
    becomes: [' [module._orig_mod.]: a b'],
  },
  'timm inside transformers': {
    groups: { '': ['timm_model.a', 'timm_model.b'] },
    becomes: [' [timm_model.]: a b'],
  },
  'a prefix that not all have is a name': { groups: { '': ['module.a', 'b'] }, becomes: [' []: module.a b'] },
  "Lightning's network and what its module holds besides": {
    groups: { state_dict: ['model.a', 'criterion.weight'] },
    lightning: true,
    becomes: ['state_dict [model.]: a', 'state_dict.criterion [criterion.]: weight'],
  },
  '`model.` is a name elsewhere': {
    groups: { '': ['model.a', 'model.b'] },
    becomes: [' []: model.a model.b'],
  },
  'a backbone of a detector stays with its head': {
    groups: { model: ['backbone.a', 'head.b'] },
    becomes: ['model []: backbone.a head.b'],
  },
};

describe('unwrapping of training checkpoints', () => {
  for (const [name, { groups, lightning, becomes }] of Object.entries(cases)) {
    it(name, () => {
      const parsed = Object.entries(groups).map(([path, names]) => ({ path, tensors: names.map(tensor) }));
      const found = orderStateDicts(parsed, lightning).map(
        (stateDict) =>
          `${stateDict.name} [${stateDict.stripped}]: ${stateDict.tensors.map((each) => each.name).join(' ')}`,
      );
      assert.deepEqual(found, becomes);
    });
  }

  it('leaves a file without tensors one empty state dict', () =>
    assert.deepEqual(unwrapNames([]), [{ name: '', tensors: [], stripped: '' }]));
});
