import assert from 'node:assert/strict';
import { forChannels } from '../../../src/preprocessing/channels';
import { describePreprocessing, parseOverrides } from '../../../src/preprocessing/lines';
import { apply, PreprocessingError } from '../../../src/preprocessing/pipeline';
import { pictureOf, type Raster } from '../../../src/preprocessing/raster';
import { resolvePreprocessing, type ResolveInput } from '../../../src/preprocessing/resolve';
import { sourceWarnings } from '../../../src/preprocessing/bands';
import type { NormalizeStep, Preprocessing, Step } from '../../../src/preprocessing/steps';

const resolved = (input: Partial<ResolveInput>): Preprocessing =>
  resolvePreprocessing({ sidecars: {}, fileName: 'weights.pth', dialect: 'timm', ...input });

function normalize({ steps }: Preprocessing): NormalizeStep {
  return steps.find((step) => step.kind === 'normalize') ?? assert.fail('nothing is normalised');
}

const timm = (cfg: object, more: object = {}): Partial<ResolveInput> => ({
  sidecars: { config: { ...more, pretrained_cfg: cfg } },
});

describe('a model of one channel', () => {
  const grey = timm({ input_size: [1, 2, 2], mean: [0.4], std: [0.2], crop_pct: 1 });

  it('takes grey images, as Pillow converts them, and the mean and deviation of one channel', () => {
    const preprocessing = resolved(grey);
    assert.equal(preprocessing.channels, 1);
    assert.deepEqual([...normalize(preprocessing).mean, ...normalize(preprocessing).std], [0.4, 0.2]);
    // Pillow: Image.new('RGB', (1, 1), colour).convert('L').
    const colours = [
      [255, 0, 0, 76],
      [0, 255, 0, 150],
      [0, 0, 255, 29],
      [10, 20, 30, 18],
    ] as const;
    const rgb = Uint8Array.from(colours.flatMap(([red, green, blue]) => [red, green, blue]));
    const { pixelValues, shape, seen } = apply(preprocessing, { width: 2, height: 2, rgb });
    assert.deepEqual(shape, [1, 1, 2, 2]);
    // float32 arithmetic in the library's order: equal to the last bit.
    const value = (level: number) =>
      Math.fround(Math.fround(Math.fround(level * (1 / 255)) - Math.fround(0.4)) / Math.fround(0.2));
    assert.deepEqual(
      [...pixelValues],
      colours.map(([, , , level]) => value(level)),
    );
    assert.deepEqual(
      [...seen.rgb],
      colours.flatMap(([, , , level]) => [level, level, level]),
    );
  });

  it('is known by the model, by in_chans, by num_channels and by input_size', () => {
    const channels = (input: Partial<ResolveInput>) => resolved(input).channels;
    assert.equal(channels({ channels: 1 }), 1);
    assert.equal(channels(timm({ input_size: [3, 8, 8] }, { model_args: { in_chans: 1 } })), 1);
    assert.equal(channels({ sidecars: { config: { num_channels: 1 } } }), 1);
    assert.equal(channels(timm({ input_size: [1, 8, 8] })), 1);
    assert.equal(channels(timm({ input_size: [3, 8, 8] })), undefined);
    assert.equal(channels({ ...grey, channels: 3 }), undefined);
  });

  it('takes the average of what is stated for colours, and says so', () => {
    const { imagenet } = { imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } };
    const found = resolved({ ...timm({ input_size: [3, 8, 8], ...imagenet }), channels: 1 });
    // (0.485 + 0.456 + 0.406) / 3 = 0.449; (0.229 + 0.224 + 0.225) / 3 = 0.226.
    assert.deepEqual([normalize(found).mean, normalize(found).std], [[0.449], [0.226]]);
    assert.match(found.warnings.join('; '), /assumed: mean 0\.449.*average.*assumed: std 0\.226/);
    assert.match(found.evidence.mean?.source ?? '', /^assumed: the average/);
    assert.deepEqual(resolved({ channels: 1, defaults: 'half' }).warnings, []);
  });

  it('takes one mean of a processor, as transformers writes it, and no order of colours', () => {
    const preprocessor = { image_processor_type: 'ViTImageProcessor', image_mean: [0.3], image_std: [0.6] };
    const found = resolved({ sidecars: { preprocessor, config: { num_channels: 1 } } });
    assert.deepEqual([normalize(found).mean, normalize(found).std], [[0.3], [0.6]]);
    assert.deepEqual(found.warnings, []);
    const flipped = { image_processor_type: 'MobileViTImageProcessor' };
    const { steps } = resolved({ sidecars: { preprocessor: flipped }, channels: 1 });
    assert.ok(!steps.some(({ kind }) => kind === 'flip'));
  });

  it('is described by a line of its own', () => {
    const lines = describePreprocessing(resolved(grey), [4, 4]);
    assert.match(lines.find(({ key }) => key === 'channels')?.text ?? '', /^grey/);
    assert.ok(!describePreprocessing(resolved({}), [4, 4]).some(({ key }) => key === 'channels'));
  });
});

describe('a model of five channels', () => {
  /** 4 × 5 pixels: 100 c + 10 y² + (c + 1) x² in channel c. */
  const raster: Raster = {
    width: 4,
    height: 5,
    channels: 5,
    samples: Float32Array.from({ length: 100 }, (_, i) => {
      const [c, x, y] = [i % 5, Math.floor(i / 5) % 4, Math.floor(i / 20)];
      return 100 * c + 10 * y * y + (c + 1) * x * x;
    }),
  };
  const mean = [0, 10, 20, 30, 40];
  const std = [1, 2, 3, 4, 5];
  const stated = (more: object = {}): Partial<ResolveInput> =>
    timm({ input_size: [5, 2, 2], mean, std, interpolation: 'bilinear', crop_pct: 1, ...more });

  it('takes bands as torchvision resizes, crops and normalises tensors', () => {
    const { pixelValues, shape } = apply(resolved(stated()), raster);
    assert.deepEqual(shape, [1, 5, 2, 2]);
    // torchvision 0.28: Resize(2, antialias=True), CenterCrop(2), Normalize of the tensor.
    const expected = [
      18.2727, 22.987, 98.2727, 102.987, 54.6364, 59.3507, 94.6364, 99.3506, 66.7576, 71.4719, 93.4242,
      98.1385, 72.8182, 77.5325, 92.8182, 97.5325, 76.4546, 81.1688, 92.4545, 97.1688,
    ];
    expected.forEach((value, i) =>
      // float32 sums of up to 8 products of values up to 600, in another order.
      assert.ok(Math.abs(value - (pixelValues[i] ?? NaN)) < 2e-4, `${i}: ${pixelValues[i]} for ${value}`),
    );
  });

  it('takes an image of its own size as it is', () => {
    const found = resolved({ channels: 5, imageSize: [5, 4] });
    const { pixelValues } = apply(found, raster);
    for (const c of [0, 4])
      assert.deepEqual(
        [...pixelValues.subarray(c * 20, (c + 1) * 20)],
        [...raster.samples].filter((_, i) => i % 5 === c),
      );
    assert.match(found.warnings.join(), /assumed: the 5 channels go in as they are stored/);
    assert.ok(describePreprocessing(found, [4, 5]).find(({ key }) => key === 'mean')?.assumed);
  });

  it('says nothing where a file says how they are normalised', () => {
    assert.deepEqual(resolved(stated()).warnings, []);
    const { warnings, steps } = resolved(stated({ mean: [0.5, 0.5, 0.4], std: [1, 1, 1] }));
    assert.match(warnings.join('; '), /assumed: mean 0 for every channel; 3 values are stated/);
    const { std: deviations } = steps.find((step): step is NormalizeStep => step.kind === 'normalize')!;
    assert.deepEqual(deviations, [1, 1, 1, 1, 1]);
  });

  it('divides bytes by 255, and other numbers only where a processor does', () => {
    const bytes = { ...raster, samples: Uint8Array.from(raster.samples) };
    const [plain, processor] = [
      resolved({ channels: 5, imageSize: [5, 4] }),
      resolved({
        sidecars: {
          preprocessor: { image_processor_type: 'ViTImageProcessor', do_normalize: false, size: 4 },
        },
        channels: 5,
        imageSize: [5, 4],
      }),
    ];
    const at = (preprocessing: Preprocessing, image: Raster) => apply(preprocessing, image).pixelValues[25];
    const [value, byte] = [raster.samples[26] ?? 0, bytes.samples[26] ?? 0];
    assert.equal(at(plain, raster), value);
    assert.equal(at(plain, bytes), Math.fround(byte / 255));
    assert.equal(at(processor, raster), Math.fround(value / 255));
    assert.match(sourceWarnings(plain, raster).join(), /not divided by 255/);
    assert.match(sourceWarnings(processor, raster).join(), /rescaled/);
    assert.deepEqual(sourceWarnings(plain, bytes), []);
  });

  it('rounds resized bytes once, as torchvision does, and not after each pass', () => {
    const samples = Uint8Array.from({ length: 100 }, (_, i) => (i * 97) % 256);
    const found = resolved(stated({ interpolation: 'bicubic', mean: 0, std: 1 }));
    const levels = [...apply(found, { ...raster, samples }).pixelValues].map((value) => value * 255);
    for (const level of levels) assert.ok(Math.abs(level - Math.round(level)) < 1e-4, String(level));
  });

  it('refuses other channels with both numbers', () => {
    const found = resolved(stated());
    const rgb = { width: 1, height: 1, rgb: new Uint8Array(3) };
    assert.throws(() => apply(found, rgb), /takes 5 channels; the image has 3/);
    assert.throws(() => apply(found, { ...raster, channels: 4 }), PreprocessingError);
  });

  it('is set by as many values as it has channels', () => {
    assert.deepEqual(parseOverrides({ mean: '1, 2, 3, 4, 5', std: '2' }, 5), {
      mean: [1, 2, 3, 4, 5],
      std: [2, 2, 2, 2, 2],
    });
    assert.throws(() => parseOverrides({ mean: '1, 2, 3' }, 5), /one number, 5 with commas/);
    const { mean: means } = normalize(resolved({ channels: 5, overrides: { mean: [1, 2, 3, 4, 5] } }));
    assert.deepEqual(means, [1, 2, 3, 4, 5]);
  });
});

describe('a picture of bands', () => {
  it('stretches numbers that are no bytes over their range', () => {
    const samples = Float32Array.from({ length: 400 }, (_, i) => Math.floor(i / 4) * 50 - 1000);
    const { rgb } = pictureOf({ width: 10, height: 10, channels: 4, samples });
    assert.deepEqual([rgb[0], rgb[299], rgb.length], [0, 255, 300]);
    const flat = pictureOf({ width: 1, height: 1, channels: 1, samples: Float32Array.of(7) });
    assert.deepEqual([...flat.rgb], [0, 0, 0]);
  });
});

describe('a preprocessing for three channels', () => {
  it('stays as it is', () => {
    const steps: Step[] = [{ kind: 'normalize', mean: [0.1, 0.2, 0.3], std: [1, 1, 1] }, { kind: 'flip' }];
    const found: Preprocessing = { library: 'timm', steps, evidence: {}, warnings: [] };
    assert.equal(forChannels(found, 3), found);
  });
});
