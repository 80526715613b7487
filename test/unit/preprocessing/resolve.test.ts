import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultPreset } from '../../../src/preprocessing/libraries/torchvision';
import { normalisations } from '../../../src/preprocessing/normalisations';
import { describeStep } from '../../../src/preprocessing/steps';
import type { Preprocessing } from '../../../src/preprocessing/steps';
import { dialectDefaults, resolvePreprocessing } from '../../../src/preprocessing/resolve';
import { families } from '../../../src/architectures/registry';
import type { ResolveInput } from '../../../src/preprocessing/resolve';
import { pipelineLines } from './pipelineLines';

const { imagenet, half, clip } = normalisations;

function resolve(input: Partial<ResolveInput>): Preprocessing {
  return resolvePreprocessing({ sidecars: {}, fileName: 'weights.pth', dialect: 'timm', ...input });
}

function normalize({ steps }: Preprocessing) {
  const step = steps.find((each) => each.kind === 'normalize');
  return step && { mean: step.mean, std: step.std };
}

const texts = ({ steps }: Preprocessing) => steps.map(describeStep);

describe('which preprocessing a checkpoint wants', () => {
  const preprocessor = {
    image_processor_type: 'ViTImageProcessor',
    size: 64,
    image_mean: 0.1,
    image_std: 0.2,
  };
  const config = {
    architecture: 'vit_tiny_patch16_224',
    pretrained_cfg: { input_size: [3, 128, 128], crop_pct: 1 },
  };

  it('is said by open_clip_config.json: its values, and the crop by its resize_mode', () => {
    const preprocess_cfg = { mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6], interpolation: 'bilinear' };
    const found = (resize_mode: string): Preprocessing =>
      resolve({
        sidecars: { openClip: { preprocess_cfg: { ...preprocess_cfg, resize_mode } } },
        imageSize: [64, 64],
      });
    assert.deepEqual(normalize(found('shortest')), { mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] });
    assert.match(found('shortest').evidence.mean!.source, /open_clip_config\.json/);
    assert.deepEqual(texts(found('shortest')).slice(0, 2), [
      'shorter side to 64, bilinear',
      'centre 64 × 64',
    ]);
    assert.equal(found('squash').evidence.resize!.value, 'squash');
    assert.equal(found('longest').evidence.resize!.value, 'border');
    const bare = resolve({ sidecars: { openClip: { preprocess_cfg: {} } } });
    assert.deepEqual(normalize(bare), { mean: clip.mean, std: clip.std });
  });

  it("is of open_clip's own size, else of its tower's", () => {
    const sizeOf = (size: unknown) =>
      resolve({
        sidecars: {
          openClip: { preprocess_cfg: { size }, model_cfg: { vision_cfg: { image_size: 96 } } },
        },
      }).evidence.image_size;
    assert.deepEqual(sizeOf([48, 64]), {
      value: [48, 64],
      source: 'open_clip_config.json: preprocess_cfg: size',
    });
    assert.deepEqual(sizeOf(48)!.value, [48, 48]);
    assert.deepEqual(sizeOf('large'), {
      value: [96, 96],
      source: 'open_clip_config.json: model_cfg: vision_cfg: image_size',
    });
  });

  it('is said by preprocessor_config.json before config.json', () => {
    assert.equal(resolve({ sidecars: { preprocessor, config } }).library, 'transformers');
    const wrapper = { image_processor_type: 'TimmWrapperImageProcessor' };
    assert.equal(resolve({ sidecars: { preprocessor: wrapper, config } }).library, 'timm');
    const huggingFace = resolve({ sidecars: { preprocessor, config: { model_type: 'vit' } } });
    assert.deepEqual(normalize(huggingFace)?.mean, [0.1, 0.1, 0.1]);
    assert.equal(huggingFace.evidence.mean?.source, 'preprocessor_config.json: image_mean');
  });

  it("is said by timm's pretrained_cfg, with timm's defaults for what it leaves out", () => {
    const found = resolve({ sidecars: { config } });
    assert.deepEqual(found.inputSize, [128, 128]);
    assert.deepEqual(normalize(found), imagenet);
    assert.equal(found.evidence.mean?.source, "timm's default");
    assert.equal(found.evidence.crop?.source, 'config.json: pretrained_cfg: crop_pct');
  });

  it('is known for published names: of the file, of the folder, with a hash', () => {
    const names = [
      'deit_base_patch16_224.fb_in1k.safetensors',
      '/models/deit_base_patch16_224.fb_in1k/model.safetensors',
      '/cache/models--timm--deit_base_patch16_224.fb_in1k/snapshots/0a1b2c/model.safetensors',
      'C:\\models\\deit_base_patch16_224-b5f2ef4d.pth',
    ];
    for (const fileName of names) {
      const found = resolve({ fileName });
      assert.deepEqual(normalize(found), imagenet, fileName);
      assert.match(found.evidence.mean!.source, /as published for deit_base_patch16_224/);
    }
    assert.deepEqual(normalize(resolve({ fileName: 'mobilevit_s.safetensors' })), normalisations.unit);
    assert.deepEqual(normalize(resolve({ fileName: 'vit_base_patch16_224.dino.pth' })), imagenet);
    assert.deepEqual(normalize(resolve({ fileName: 'vit_base_patch16_224.pth' })), half);
  });

  it('is the same by name as by the configuration that ships beside the weights', () => {
    const shipped = pipelineLines.filter(({ source, config: { pretrained_cfg: cfg } }) => {
      const { input_size: size } = (cfg ?? {}) as { input_size?: number[] };
      return source === 'timm' && size !== undefined && size[1]! >= 224;
    });
    assert.ok(shipped.length >= 12);
    for (const { id, config: given } of shipped) {
      const { tag } = given['pretrained_cfg'] as { tag: string };
      const byName = resolve({ fileName: `${String(given['architecture'])}.${tag}.safetensors` });
      assert.deepEqual(byName.steps, resolve({ sidecars: { config: given } }).steps, id);
    }
  });

  it("is known for torchvision's weights by their file", () => {
    const found = resolve({ fileName: 'swin_t-704ceda3.pth', dialect: 'torchvision' });
    assert.deepEqual(texts(found).slice(0, 2), ['shorter side to 232, bicubic', 'centre 224 × 224']);
    assert.equal(defaultPreset.filter, 'bilinear');
    const plain = resolve({ fileName: 'mine.pth', dialect: 'torchvision' });
    assert.deepEqual(texts(plain).slice(0, 2), ['shorter side to 256, bilinear', 'centre 224 × 224']);
  });

  it('is as published for the model type where a Hugging Face folder lacks preprocessor_config.json', () => {
    const of = (model_type: string) =>
      resolve({ sidecars: { config: { model_type } }, dialect: 'transformers' });
    assert.deepEqual(normalize(of('deit')), imagenet);
    assert.deepEqual(normalize(of('clip')), clip);
    assert.deepEqual(texts(of('dinov2')).slice(0, 2), ['shorter side to 256, bicubic', 'centre 224 × 224']);
    assert.deepEqual(texts(of('swin'))[0], '224 × 224, aspect not kept, bicubic');
    assert.match(of('vit').evidence.mean!.source, /^assumed: what vit models usually take/);
  });

  it('falls back to what the family or the dialect usually takes, and says that it is assumed', () => {
    const cases: readonly (readonly [Partial<ResolveInput>, object])[] = [
      [{ dialect: 'timm' }, half],
      [{ dialect: 'timm', defaults: 'imagenet' }, imagenet],
      [{ dialect: 'timm', defaults: 'siglip' }, half],
      [{ dialect: 'google-jax' }, half],
      [{ dialect: 'mae', defaults: 'half' }, imagenet],
      [{ dialect: 'dinov2' }, imagenet],
      [{ dialect: 'clip' }, clip],
      [{ dialect: 'toString' }, half],
    ];
    for (const [input, expected] of cases) {
      const found = resolve(input);
      assert.deepEqual(normalize(found), expected, JSON.stringify(input));
      assert.match(found.evidence.mean!.source, /^assumed/);
    }
    assert.deepEqual(texts(resolve({})), [
      'shorter side to 248, bicubic',
      'centre 224 × 224',
      '÷ 255',
      'mean 0.5, std 0.5',
    ]);
  });
});

describe('the defaults of dialects', () => {
  const expected: Readonly<Record<string, readonly [name: keyof typeof normalisations, scaled: string]>> = {
    'google-jax': ['half', 'shorter side to 248, bicubic'],
    beit: ['half', 'shorter side to 248, bicubic'],
    clip: ['clip', 'shorter side to 224, bicubic'],
    open_clip: ['clip', 'shorter side to 224, bicubic'],
    torchvision: ['imagenet', 'shorter side to 256, bilinear'],
    dinov2: ['imagenet', 'shorter side to 256, bicubic'],
    mae: ['imagenet', 'shorter side to 256, bicubic'],
    swin: ['imagenet', 'shorter side to 248, bicubic'],
    pvt: ['imagenet', 'shorter side to 256, bicubic'],
    cvt: ['imagenet', 'shorter side to 256, bicubic'],
    sam: ['imagenet', 'shorter side to 256, bicubic'],
  };

  it('are what the original repositories evaluate with', () => {
    assert.deepEqual(Object.keys(dialectDefaults), Object.keys(expected));
    for (const [dialect, [name, scaled]] of Object.entries(expected)) {
      const found = resolve({ dialect });
      assert.deepEqual(normalize(found), normalisations[name], dialect);
      assert.equal(texts(found)[0], scaled, dialect);
    }
  });

  it('have the published means and standard deviations', () => {
    assert.deepEqual(imagenet, { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] });
    assert.deepEqual(half, { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] });
    assert.deepEqual(clip, {
      mean: [0.48145466, 0.4578275, 0.40821073],
      std: [0.26862954, 0.26130258, 0.27577711],
    });
    assert.deepEqual(normalisations.unit, { mean: [0, 0, 0], std: [1, 1, 1] });
  });

  it('are of dialects that a family has', () => {
    const dialects = new Set(families.flatMap(({ names }) => names.map(({ name }) => name)));
    const unknown = Object.keys(dialectDefaults).filter((dialect) => !dialects.has(dialect));
    assert.deepEqual(unknown, []);
  });
});

describe('another image size', () => {
  const sizeOf = (input: Partial<ResolveInput>) =>
    texts(resolve({ ...input, imageSize: [384, 384] })).slice(0, 2);

  it("keeps timm's proportion of resize and crop", () => {
    const sides = `shorter side to ${Math.floor(384 / 0.9)}, bicubic`;
    assert.deepEqual(sizeOf({}), [sides, 'centre 384 × 384']);
    assert.deepEqual(sizeOf({ sidecars: { config: { pretrained_cfg: { crop_pct: 0.9 } } } }), [
      sides,
      'centre 384 × 384',
    ]);
  });

  it("keeps transformers' proportion, or its plain size", () => {
    const clipProcessor = { image_processor_type: 'CLIPImageProcessor', size: 256, crop_size: 224 };
    assert.deepEqual(sizeOf({ sidecars: { preprocessor: clipProcessor } }), [
      `shorter side to ${Math.round((256 * 384) / 224)}, bicubic`,
      'centre 384 × 384',
    ]);
    const plain = { image_processor_type: 'ViTImageProcessor', size: 224 };
    assert.equal(sizeOf({ sidecars: { preprocessor: plain } })[0], '384 × 384, aspect not kept, bilinear');
  });

  it('comes out exactly for every processor, square or not', () => {
    const types = [
      'ViT',
      'DeiT',
      'Beit',
      'Siglip',
      'Segformer',
      'Pvt',
      'DINOv3ViT',
      'CLIP',
      'Bit',
      'ConvNext',
      'Levit',
    ];
    for (const type of [...types, 'PoolFormer', 'MobileViT', 'MobileNetV2']) {
      for (const imageSize of [
        [96, 96],
        [64, 128],
        [512, 512],
      ] as const) {
        const preprocessor = { image_processor_type: `${type}ImageProcessor` };
        const found = resolve({ sidecars: { preprocessor }, imageSize });
        assert.deepEqual(found.inputSize, imageSize, `${type} at ${imageSize.join(' × ')}`);
      }
    }
  });

  it('leaves a configuration to the letter where it says that size already', () => {
    const processor = { image_processor_type: 'CLIPImageProcessor' };
    const found = resolve({ sidecars: { preprocessor: processor }, imageSize: [224, 224] });
    assert.deepEqual(found, resolve({ sidecars: { preprocessor: processor } }));
    const other = resolve({ sidecars: { preprocessor: processor }, imageSize: [336, 336] });
    assert.match(other.evidence.image_size!.source, /run at, not the configured 224 × 224/);
  });

  it('may be a rectangle', () => {
    assert.match(
      resolve({ imageSize: [224, 224] }).evidence.image_size!.source,
      /^the size the model is run at/,
    );
    assert.deepEqual(texts(resolve({ imageSize: [96, 192] })).slice(0, 2), [
      'until it covers 213 × 106, bicubic',
      'centre 192 × 96',
    ]);
  });
});

describe('what the user sets', () => {
  it('wins over the files, setting by setting', () => {
    const preprocessor = { image_processor_type: 'ViTImageProcessor' };
    const found = resolve({
      sidecars: { preprocessor },
      overrides: { mean: imagenet.mean, filter: 'lanczos' },
    });
    assert.deepEqual(normalize(found), { mean: imagenet.mean, std: half.std });
    assert.equal(texts(found)[0], '224 × 224, aspect not kept, lanczos');
    assert.equal(found.evidence.mean?.source, 'chosen by you');
    assert.match(found.evidence.std!.source, /default/);
  });

  it('may replace everything by a named default, or only the crop', () => {
    const config = { pretrained_cfg: { mean: half.mean, std: half.std, crop_pct: 0.9 } };
    assert.deepEqual(normalize(resolve({ sidecars: { config }, overrides: { defaults: 'clip' } })), clip);
    const squashed = resolve({ sidecars: { config }, overrides: { cropMode: 'squash', cropPct: 1 } });
    assert.equal(texts(squashed)[0], '224 × 224, aspect not kept, bicubic');
    assert.deepEqual(normalize(squashed), half);
  });

  it('adds a normalisation where there was none', () => {
    const preprocessor = { image_processor_type: 'MobileViTImageProcessor' };
    const found = resolve({ sidecars: { preprocessor }, overrides: { mean: [0.5, 0.5, 0.5] } });
    assert.deepEqual(normalize(found), { mean: [0.5, 0.5, 0.5], std: [1, 1, 1] });
  });
});

describe('a configuration with wrong values', () => {
  const folder = join('test', 'fixtures', 'hostile', 'cases.json');
  const all = JSON.parse(readFileSync(folder, 'utf8')) as { id: string; what: string }[];
  const cases = all.filter(({ id }) => id.startsWith('general/preprocessor-'));

  it('has its cases', () => assert.ok(cases.length >= 3));

  for (const { id, what } of cases) {
    it(`is a warning, not a failure: ${id}`, () => {
      const preprocessor = JSON.parse(what.slice(what.indexOf('{'))) as Record<string, unknown>;
      const found = resolve({ sidecars: { preprocessor } });
      assert.match(found.warnings.join('\n'), /preprocessor_config\.json/);
      assert.ok(found.steps.length > 0);
    });
  }

  it('names the key, what was found, what is needed, and what stands in', () => {
    const preprocessor = { image_processor_type: 'ViTImageProcessor', image_std: [0, 0, 0] };
    const [warning] = resolve({ sidecars: { preprocessor } }).warnings;
    assert.match(
      warning!,
      /image_std is \[0,0,0\], needed is three numbers above 0.*\[0.5,0.5,0.5\] is used instead/,
    );
  });

  it('of any shape never throws', () => {
    const values: readonly unknown[] = [
      null,
      -1,
      0,
      1e9,
      2.5,
      'x',
      [],
      [1, 2, 3, 4],
      {},
      { height: 0 },
      { height: 5 },
      true,
      [[]],
    ];
    const keys = [
      'size',
      'crop_size',
      'crop_pct',
      'image_mean',
      'image_std',
      'resample',
      'rescale_factor',
      'do_resize',
      'pad_size',
    ];
    for (const type of ['ViT', 'CLIP', 'ConvNext', 'Yolos', 'Nonsense', 'constructor']) {
      for (const key of keys) {
        for (const value of values) {
          const preprocessor = { image_processor_type: `${type}ImageProcessor`, [key]: value };
          const found = resolve({ sidecars: { preprocessor } });
          assert.ok(found.steps.every(Boolean), `${type} ${key} ${JSON.stringify(value)}`);
          resolve({ sidecars: { preprocessor }, imageSize: [32, 48] });
        }
      }
    }
    for (const key of ['input_size', 'interpolation', 'crop_pct', 'crop_mode', 'mean', 'std']) {
      for (const value of values) resolve({ sidecars: { config: { pretrained_cfg: { [key]: value } } } });
    }
  });
});
