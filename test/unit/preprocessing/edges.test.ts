import assert from 'node:assert/strict';
import { describePreprocessing, parseOverrides } from '../../../src/preprocessing/lines';
import { normalisations } from '../../../src/preprocessing/normalisations';
import { apply, applyBatch } from '../../../src/preprocessing/pipeline';
import { chooseProcessor, usualConfig } from '../../../src/preprocessing/processors';
import { resolvePreprocessing, type ResolveInput } from '../../../src/preprocessing/resolve';
import { resizedSize, type Preprocessing, type Step } from '../../../src/preprocessing/steps';

const steps = (...list: Step[]): Preprocessing => ({
  library: 'timm',
  steps: list,
  evidence: {},
  warnings: [],
});
const resolved = (input: Partial<ResolveInput>): Preprocessing =>
  resolvePreprocessing({ sidecars: {}, fileName: 'weights.pth', dialect: 'timm', ...input });

describe('values set by line', () => {
  it('are read at both ends of what is allowed', () => {
    assert.deepEqual(parseOverrides({ cropPct: '1' }), { cropPct: 1 });
    assert.deepEqual(parseOverrides({ cropPct: '0.001' }), { cropPct: 0.001 });
    assert.deepEqual(parseOverrides({ mean: '0' }), { mean: [0, 0, 0] });
    assert.deepEqual(parseOverrides({ mean: '0, 0.5, 0' }), { mean: [0, 0.5, 0] });
    assert.deepEqual(parseOverrides({ std: '0.5' }), { std: [0.5, 0.5, 0.5] });
    assert.deepEqual(parseOverrides({ std: '1,2,3' }), { std: [1, 2, 3] });
    assert.deepEqual(parseOverrides({ mean: 'imagenet' }), { mean: normalisations.imagenet.mean });
    assert.deepEqual(parseOverrides(), {});
  });

  for (const value of ['0', '1.001', '-0.5', 'wide'])
    it(`refuse a crop of ${value}`, () =>
      assert.throws(
        () => parseOverrides({ cropPct: value }),
        new Error(`preprocessing cropPct: ${value} found; a number above 0 and up to 1 is needed`),
      ));

  const names = Object.keys(normalisations).join(', ');
  for (const [key, value] of [
    ['mean', '0.1, 0.2'],
    ['mean', '1,2,3,4'],
    ['mean', 'blue'],
    ['mean', ' '],
    ['mean', 'Infinity'],
    ['std', '0'],
    ['std', '1, 0, 1'],
    ['std', '1, 2'],
    ['std', 'blue'],
  ] as const)
    it(`refuse a ${key} of "${value}"`, () =>
      assert.throws(
        () => parseOverrides({ [key]: value }),
        new Error(
          `preprocessing ${key}: ${value} found; one number, three with commas, or ${names} are needed`,
        ),
      ));

  it('refuse a line that cannot be set', () =>
    assert.throws(
      () => parseOverrides({ padding: '3' }),
      new Error('preprocessing padding cannot be set; defaults, filter, cropMode, cropPct, mean, std can'),
    ));
});

describe('lines for people', () => {
  it('name the sizes of the image by width and height', () => {
    const lines = describePreprocessing(resolved({ imageSize: [32, 64] }), [640, 480]);
    assert.equal(lines[0]?.text, '640 × 480 → 64 × 32');
    assert.equal(lines[0]?.summary, '640 × 480');
  });

  it('keep the size in the summary if neither a crop nor a padding names it', () => {
    const bare = { ...steps(), inputSize: [32, 64] } as const;
    assert.equal(describePreprocessing(bare, [640, 480])[0]?.summary, '640 × 480 → 64 × 32');
    assert.equal(describePreprocessing(steps(), [640, 480])[0]?.text, '640 × 480');
    const padded = { ...steps({ kind: 'pad' }), inputSize: [32, 64] } as const;
    assert.equal(describePreprocessing(padded, [640, 480])[0]?.summary, '640 × 480');
  });

  it('say what an image is surrounded with, padded with and cut into', () => {
    const shapes = (name: string): readonly string[] =>
      describePreprocessing(
        resolved({ sidecars: { preprocessor: { image_processor_type: `${name}ImageProcessor` } } }),
        [640, 480],
      )
        .filter(({ key }) => ['surround', 'pad', 'patches'].includes(key))
        .map(({ label, text, source }) => `${label}: ${text} (${source})`);
    assert.deepEqual(shapes('Owlv2'), ['Surroundings: padded to a square (default of Owlv2ImageProcessor)']);
    assert.deepEqual(shapes('ZoeDepth'), [
      'Surroundings: surrounded by its reflection (default of ZoeDepthImageProcessor)',
    ]);
    assert.deepEqual(shapes('Detr'), ['Padding: padded to the batch (default of DetrImageProcessor)']);
    assert.deepEqual(shapes('Siglip2'), [
      'Patches: 256 patches of 16 × 16 (default of Siglip2ImageProcessor)',
    ]);
    assert.deepEqual(shapes('ViT'), []);
  });
});

describe('defaults of the processor classes', () => {
  const of = (name: string) => chooseProcessor({ image_processor_type: `${name}ImageProcessor` }, undefined);

  it('are those of transformers', () => {
    assert.equal(of('ConvNext').processor.cropPct, 0.875);
    assert.equal(of('PoolFormer').processor.cropPct, 0.9);
    assert.deepEqual(of('DeiT').processor.crop, { height: 224, width: 224 });
    assert.deepEqual(of('DeiT').processor.size, { height: 256, width: 256 });
    assert.deepEqual(of('Beit').processor.crop, { height: 224, width: 224 });
    assert.deepEqual(of('MobileViT').processor.crop, { height: 256, width: 256 });
    assert.deepEqual(of('Sam').processor.size, { longest_edge: 1024 });
    assert.deepEqual(of('Sam').processor.padSize, { height: 1024, width: 1024 });
    assert.deepEqual(of('Vivit').processor.rescale, { factor: 1 / 127.5, offset: true });
    assert.deepEqual(of('Detr').processor.size, { shortest_edge: 800, longest_edge: 1333 });
    for (const name of ['ViT', 'DeiT', 'Beit', 'Siglip', 'Segformer', 'Pvt', 'DINOv3ViT', 'Blip'])
      assert.equal(of(name).processor.square, true, name);
  });

  it('are a plain ViT’s for a class that nobody knows', () => {
    const { known, processor } = of('Unheard');
    assert.deepEqual([known, processor.size], [false, { height: 224, width: 224 }]);
  });

  it('belong to model types by name alone', () => {
    assert.equal(usualConfig('unheard'), undefined);
    assert.equal(usualConfig(undefined), undefined);
    assert.equal(usualConfig('toString'), undefined);
    assert.deepEqual(usualConfig('clip'), { image_processor_type: 'CLIPImageProcessor' });
  });
});

describe('values of channels', () => {
  const grey = { height: 1, width: 1, rgb: Uint8Array.of(10, 20, 30) };
  const normalize: Step = { kind: 'normalize', mean: [1, 2, 3], std: [1, 2, 4] };

  it('are normalised by the order that the steps have then', () => {
    assert.deepEqual([...apply(steps(normalize), grey).pixelValues], [9, 9, 6.75]);
    assert.deepEqual([...apply(steps({ kind: 'flip' }, normalize), grey).pixelValues], [29, 9, 1.75]);
    assert.deepEqual([...apply(steps(normalize, { kind: 'flip' }), grey).pixelValues], [6.75, 9, 9]);
  });

  it('are padded with black if nothing is normalised', () => {
    const wide = { height: 2, width: 3, rgb: new Uint8Array(18).fill(50) };
    const { views, pixelMask } = applyBatch(steps({ kind: 'pad', mask: true }), [grey, wide]);
    const seen = [...(views[0]?.seen.rgb ?? [])];
    assert.deepEqual(seen, [10, 20, 30, ...Array<number>(15).fill(0)]);
    assert.deepEqual([...(pixelMask ?? [])], [1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
  });

  it('of a crop that is larger lie in its middle, by the scale of what was resized', () => {
    const resize: Step = { kind: 'resize', rule: 'exact', height: 4, width: 4, filter: 'nearest' };
    const crop: Step = { kind: 'crop', height: 8, width: 6, rounding: 'torchvision', fill: [0, 0, 0] };
    const image = { height: 8, width: 8, rgb: new Uint8Array(192).fill(7) };
    const { padding, region } = apply(steps(resize, crop), image);
    assert.deepEqual(padding, { left: 1, right: 1, top: 2, bottom: 2 });
    assert.deepEqual(region, { x: 0, y: 0, width: 8, height: 8 });
  });
});

describe('what was chosen by hand', () => {
  it('is normalised once', () => {
    const found = resolved({ overrides: { mean: [0.1, 0.2, 0.3] } });
    const all = found.steps.filter(({ kind }) => kind === 'normalize');
    assert.equal(all.length, 1);
    const plain = resolved({});
    assert.equal(plain.steps.filter(({ kind }) => kind === 'normalize').length, 1);
  });

  it('is assumed of the dialect or of the family, by name', () => {
    const source = (input: Partial<ResolveInput>): string => resolved(input).evidence.mean?.source ?? '';
    const text = (whose: string): string => `assumed: what ${whose} usually take; not stored in the file`;
    assert.equal(source({ dialect: 'mae', family: 'ViT' }), text('checkpoints with mae names'));
    assert.equal(source({ dialect: 'mae', family: 'ViT', defaults: 'clip' }), text('ViT models'));
    assert.equal(source({ dialect: 'mae', defaults: 'half' }), text('checkpoints with mae names'));
    assert.equal(source({ dialect: 'own', family: 'ViT' }), text('ViT models'));
    assert.equal(source({ dialect: 'own' }), text('such models'));
  });
});

describe("sides as ViLT's processor rounds them", () => {
  // What transformers' get_resize_output_image_size says for size_divisor 1.
  for (const [height, width, expected] of [
    [37, 53, [48, 69]],
    [61, 40, [73, 48]],
    [20, 401, [4, 79]],
  ] as const)
    it(`${height} × ${width}`, () => {
      const step = { kind: 'resize', rule: 'edges', height: 48, width: 79, filter: 'bicubic' } as const;
      const size = resizedSize(step, { height, width });
      assert.deepEqual([size.height, size.width], expected);
    });
});
