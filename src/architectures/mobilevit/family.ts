import { answer } from '../heads/classifier';
import type { Size } from '../../domain/size';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { activations } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import type {
  BuildOptions,
  ConfigValue,
  Evidence,
  EvidenceRecord,
  Family,
  Found,
  Recognised,
} from '../family';
import { assumed, numberOf, numbersOf, stored, wordOf } from '../figures';
import { libraries, mobileVitBlocks, stepsOf, unit, type Library, type MobileVitSettings } from './blocks';
import { sizeTitle } from '../sizes';
import { classesOf, countOf, decide, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../sources';
import { mobileVitNames } from './names';

/** Sizes at which the last map holds less than one patch, where it is cropped to whole ones. */
function requirePatches(figures: EvidenceRecord, { odd }: Library, imageSize: Size): void {
  const least = numberOf(figures, 'output_stride') * numberOf(figures, 'patch');
  if (odd === 'resized' || figures['heads'] || imageSize.every((side) => side > least / 2)) return;
  const nearest = imageSize.map((side) => Math.max(side, least));
  throw new Error(
    `image size ${imageSize.join(' × ')} found; the last map must hold a patch, which takes more than ${least / 2} pixels. The nearest size is ${nearest.join(' × ')}.`,
  );
}

/** The last map `[batch, channels, rows, columns]` before the last convolution. */
function encode(
  b: GraphBuilder,
  figures: EvidenceRecord,
  pixels: ValueInfo,
  settings: Omit<MobileVitSettings, 'heads'>,
): ValueInfo {
  const counts = numbersOf(figures, 'blocks');
  const heads = figures['heads'] ? [...numbersOf(figures, 'heads')] : [];
  let map = unit(b, pixels, 'stem', { activation: settings.activation, stride: 2 });
  for (const [stage, first] of stepsOf(counts.length, numberOf(figures, 'output_stride')).entries())
    for (let index = 0; index < counts[stage]!; index++) {
      const path = `stages.${stage}.${index}`;
      const kind = mobileVitBlocks.find(({ has }) => b.has(`${path}.${has}`));
      if (!kind) throw new ParameterError(path, 'no kind of block that a MobileViT has');
      const attends = b.has(`${path}.transformer.0.norm1.weight`);
      const own = { ...settings, heads: (attends && heads.shift()) || 1 };
      const step = index === 0 ? first : { stride: 1, dilation: 1 };
      map = b.scope(path, () => kind.build(b, map, own, step), { title: kind.title });
    }
  return map;
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const library = libraries[wordOf(figures, 'library')]!;
  requirePatches(figures, library, imageSize);
  const activation = wordOf(figures, 'activation');
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const map = encode(b, figures, pixels, {
    library,
    activation,
    patch: numberOf(figures, 'patch'),
    eps: numberOf(figures, 'eps'),
  });
  const last = b.has('final_conv.conv.weight') ? unit(b, map, 'final_conv', { activation }) : map;
  answer(b, meanOfMap(b, last), last, 'head.fc');
}

/** Sizes of Mehta & Rastegari 2022 (MobileViT, table 4), by their transformers. */
const sizes = { '2,4,3 64,80': 'XXS', '2,4,3 96,120': 'XS', '2,4,3 144,192': 'S' };

/** Blocks and widths of MobileViTv2's transformers (Mehta & Rastegari 2023), whose other sizes are multiples. */
const separableDepths = '2,4,3';
const separableWidths = [128, 192, 256];

/** `MobileViT-XS`, `MobileViTv2-1.00` (the multiplier of its widths). */
function titleOf(separable: boolean, depths: readonly number[], dims: readonly number[]): string {
  if (!separable) return sizeTitle('MobileViT', sizes, depths, dims);
  const multiplier = dims[0]! / separableWidths[0]!;
  const usual =
    depths.join(',') === separableDepths &&
    dims.every((dim, stage) => dim === multiplier * separableWidths[stage]!);
  return usual ? `MobileViTv2-${multiplier.toFixed(2)}` : sizeTitle('MobileViTv2', {}, depths, dims);
}

/** One number of heads for all stages, or one for each, which must divide the widths. */
function headsFigure(sources: Sources, dims: readonly number[]): Evidence {
  const each = (value: ConfigValue): readonly number[] => {
    const heads = [value].flat().map(Number);
    return heads.length === 1 ? dims.map(() => heads[0]!) : heads;
  };
  const evidence = decide<number | readonly number[]>(sources, 'heads', {
    config: ['num_attention_heads'],
    published: ({ heads }) => heads,
    otherwise: assumed(4, 'as all published models have; not stored in the weights'),
    is: (value) =>
      each(value).length === dims.length &&
      each(value).every((heads, stage) => heads > 0 && dims[stage]! % heads === 0),
    needed: `a number that divides the widths ${dims.join(', ')}`,
  });
  return { ...evidence, value: each(evidence.value) };
}

const isWhole = (value: ConfigValue): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value > 0;

/** What weights do not tell. */
function settingsOf(sources: Sources): EvidenceRecord {
  const { dialect, tensors } = sources.found;
  const segments = [...tensors.keys()].some((name) => name.startsWith('beside.segmentation_head.'));
  const published = sources.published.length > 0 ? stored(2, 'as published') : undefined;
  return {
    library: stored(dialect.name, `${dialect.title} names of the tensors`),
    patch: decide(sources, 'patch', {
      config: ['patch_size'],
      otherwise: published ?? assumed(2, 'as all published models have; not stored in the weights'),
      is: isWhole,
      needed: 'a whole number',
    }),
    output_stride: decide(sources, 'output_stride', {
      config: ['output_stride'],
      otherwise: segments
        ? assumed(16, 'as the published models with a segmentation head have')
        : stored(32, 'classifiers halve the map in every stage'),
      is: (value) => [8, 16, 32].includes(Number(value)),
      needed: '8, 16 or 32',
    }),
    activation: decide(sources, 'activation', {
      config: ['hidden_act'],
      otherwise: stored('silu', `default of ${dialect.title}`),
      is: (value) => Object.hasOwn(activations, String(value)),
      needed: `one of ${Object.keys(activations).join(', ')}`,
    }),
    eps: decide(sources, 'eps', {
      config: ['layer_norm_eps'],
      otherwise: stored(dialect.eps, `default of ${dialect.title}`),
    }),
  };
}

/** The authors' models, and transformers' after them, were trained on pictures whose channels OpenCV had read; timm has turned its first kernels. */
function channelWarnings({ dialect, checkpoint }: Found): readonly string[] {
  if (dialect.name === 'timm' || checkpoint.sidecars.preprocessor) return [];
  return [
    'The published models were trained on channels in the order blue, green, red. A preprocessor_config.json beside the weights with "do_flip_channel_order": true gives them so.',
  ];
}

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const counts = Array.from({ length: countOf(tensors, 'stages') }, (_, stage) =>
    countOf(tensors, `stages.${stage}`),
  );
  const paths = counts
    .map((_, stage) => `stages.${stage}.1`)
    .filter((path) => tensors.has(`${path}.conv_1x1.weight`));
  const channels = tensors.get('stem.conv.weight')?.shape[1];
  const [first] = paths;
  if (first === undefined || channels === undefined) return undefined;
  const sources = sourcesOf(evidences);
  const dims = paths.map((path) => tensors.get(`${path}.conv_1x1.weight`)!.shape[0]!);
  const depths = paths.map((path) => countOf(tensors, `${path}.transformer`));
  const separable = tensors.has(`${first}.transformer.0.attn.qkv_proj.weight`);
  const { imageSize, figure } = imageSizeOf(sources, [256, 256]);
  return recognisedFrom(sources, {
    label: separable ? 'mobilevitv2' : 'mobilevit',
    title: titleOf(separable, depths, dims),
    evidence: {
      blocks: stored(counts, 'stages.*'),
      dim: stored(dims, `${first}.conv_1x1.weight`),
      depth: stored(depths, `${first}.transformer.*`),
      ...(!separable && { heads: headsFigure(sources, dims) }),
      ...settingsOf(sources),
      channels: stored(channels, 'stem.conv.weight'),
      classes: classesOf(tensors, 'head.fc'),
      image_size: figure,
    },
    imageSize,
    sizeStep: [32, 32],
    pixels: 'unit',
    warnings: channelWarnings(evidences),
  });
}

/** MobileViT (Mehta & Rastegari 2022) and MobileViTv2: convolutions, and transformers over interleaved sequences of a map's pixels. */
export const mobileVit: Family<Recognised, void> = {
  name: 'mobilevit',
  title: 'MobileViT',
  names: mobileVitNames,
  assumable: ['heads', 'patch', 'output_stride', 'activation', 'eps'],
  recognise,
  build,
};
