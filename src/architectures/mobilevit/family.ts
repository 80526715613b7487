import { answer } from '../heads/classifier';
import { at, last } from '../../domain/lists';
import type { Size } from '../../domain/size';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import { activations } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps, type Place } from '../blocks/stages';
import type { BuildOptions, ConfigValue, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored } from '../evidence';
import { libraryOf, mobileVitBlocks, stepsOf, unit } from './blocks';
import { sizeTitle } from '../sizes';
import {
  classesOf,
  countOf,
  decide,
  imageSizeOf,
  recognisedFrom,
  sideOf,
  sourcesOf,
  type Sources,
} from '../decide';
import { mobileVitNames } from './names';

interface MobileVitConfig {
  /** Blocks of every stage, convolutional or with a transformer. */
  readonly blocks: readonly number[];
  /** Heads of every stage; of separable attention and of stages without a transformer 1. */
  readonly heads: readonly number[];
  readonly separable: boolean;
  /** The library whose names and reading of odd maps the file follows. */
  readonly library: string;
  /** Pixels of a patch: as many interleaved sequences down and across. */
  readonly patch: number;
  /** Pixels per position of the last map: 8, 16 or 32. */
  readonly output_stride: number;
  readonly activation: string;
  readonly eps: number;
  readonly channels: number;
}

/**
 * Refuses sizes at which the last map holds less than one patch, if it is cropped to whole ones.
 */
function requirePatches(config: MobileVitConfig, imageSize: Size): void {
  const least = config.output_stride * config.patch;
  const crops = config.separable && libraryOf(config.library).odd === 'cropped';
  if (!crops || imageSize.every((side) => side > least / 2)) return;
  const nearest = imageSize.map((side) => Math.max(side, least)).join(' × ');
  throw new Error(
    `image size ${imageSize.join(' × ')} found; the last map must hold a patch, which takes more than ${least / 2} pixels. The nearest size is ${nearest}.`,
  );
}

/** The kind of block at a path. */
function kindAt(b: GraphBuilder, path: string): (typeof mobileVitBlocks)[number] {
  const kind = mobileVitBlocks.find(({ has }) => b.has(`${path}.${has}`));
  if (!kind) throw new ParameterError(path, 'no kind of block that a MobileViT has');
  return kind;
}

/**
 * Five stages of convolutions and transformers, and in the first version a last convolution (Mehta
 * & Rastegari 2022, §3.2).
 */
function build(b: GraphBuilder, config: MobileVitConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  requirePatches(config, imageSize);
  const { blocks, heads, activation } = config;
  const settings = { ...config, library: libraryOf(config.library) };
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const steps = stepsOf(blocks.length, config.output_stride);
  const kinds = blocks.map((depth, stage) =>
    Array.from({ length: depth }, (_, index) => kindAt(b, `stages.${stage}.${index}`)),
  );
  const kind = ({ stage, index }: Place) => at(at(kinds, stage), index);
  const maps = stages(b, unit(b, pixels, 'stem', { activation, stride: 2 }), {
    depths: blocks,
    path: ({ stage, index }) => `stages.${stage}.${index}`,
    block: (map, place) => {
      const step = place.index === 0 ? at(steps, place.stage) : { stride: 1, dilation: 1 };
      return kind(place).build(b, map, { ...settings, heads: at(heads, place.stage) }, step);
    },
    note: (place) => ({ title: kind(place).title }),
  });
  const end = last(maps);
  return {
    stages: maps.map((map) => mapStage(map, imageSize)),
    map: b.has('final_conv.conv.weight') ? unit(b, end, 'final_conv', { activation }) : end,
  };
}

/** Sizes of Mehta & Rastegari 2022 (MobileViT, table 4), by their transformers. */
const sizes = { '2,4,3 64,80': 'XXS', '2,4,3 96,120': 'XS', '2,4,3 144,192': 'S' };

/**
 * Blocks and widths of MobileViTv2's transformers (Mehta & Rastegari 2023), whose other sizes are
 * multiples.
 */
const separableDepths = '2,4,3';
const separableWidths = [128, 192, 256] as const;

/** `MobileViT-XS`, `MobileViTv2-1.00` (the multiplier of its widths). */
function titleOf(separable: boolean, depths: readonly number[], dims: readonly number[]): string {
  if (!separable) return sizeTitle('MobileViT', sizes, depths, dims);
  const multiplier = (dims[0] ?? 0) / separableWidths[0];
  const usual =
    depths.join(',') === separableDepths &&
    dims.every((dim, stage) => dim === multiplier * (separableWidths[stage] ?? 0));
  return usual ? `MobileViTv2-${multiplier.toFixed(2)}` : sizeTitle('MobileViTv2', {}, depths, dims);
}

/** One number of heads for all stages, or one for each, which must divide the widths. */
function headsEvidence(sources: Sources, dims: readonly number[]): Evidence<readonly number[]> {
  const each = (value: ConfigValue): readonly number[] => {
    const [first = 0, ...more] = [value].flat().map(Number);
    return more.length === 0 ? dims.map(() => first) : [first, ...more];
  };
  const evidence = decide<number | readonly number[]>(sources, 'heads', {
    config: ['num_attention_heads'],
    published: ({ heads }) => heads,
    otherwise: assumed(4, 'as all published models have; not stored in the weights'),
    is: (value) =>
      each(value).length === dims.length &&
      each(value).every((heads, stage) => heads > 0 && at(dims, stage) % heads === 0),
    needed: `a number that divides the widths ${dims.join(', ')}`,
  });
  return { ...evidence, value: each(evidence.value) };
}

const isWhole = (value: ConfigValue): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value > 0;

/** Hyper-parameters that the weights do not show. */
function settingsOf(sources: Sources) {
  const { dialect, tensors } = sources.found;
  const segments = [...tensors.keys()].some((name) => name.startsWith('beside.segmentation_head.'));
  const published = sources.published.length > 0 ? stored(2, 'as published') : undefined;
  return {
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
      is: (value) => typeof value === 'number' && value > 0,
      needed: 'a number above 0',
    }),
  };
}

/**
 * The authors' models, and transformers' after them, were trained on images whose channels OpenCV
 * had read; timm has turned its first kernels.
 */
function channelWarnings({ dialect, checkpoint }: Found): readonly string[] {
  if (dialect.name === 'timm' || checkpoint.sidecars.preprocessor) return [];
  return [
    'The published models were trained on channels in the order blue, green, red. A preprocessor_config.json beside the weights with "do_flip_channel_order": true gives them so.',
  ];
}

function recognise(found: Found): Recognised<MobileVitConfig> | undefined {
  const { tensors, dialect } = found;
  const counts = Array.from({ length: countOf(tensors, 'stages') }, (_, stage) =>
    countOf(tensors, `stages.${stage}`),
  );
  const attentive = [...counts.keys()].filter((stage) => tensors.has(`stages.${stage}.1.conv_1x1.weight`));
  const paths = attentive.map((stage) => `stages.${stage}.1`);
  const channels = tensors.get('stem.conv.weight')?.shape[1];
  const [first] = paths;
  if (first === undefined || channels === undefined) return undefined;
  const sources = sourcesOf(found);
  const dims = paths.map((path) => sideOf(tensors, `${path}.conv_1x1.weight`, 0));
  const depths = paths.map((path) => countOf(tensors, `${path}.transformer`));
  const separable = tensors.has(`${first}.transformer.0.attn.qkv_proj.weight`);
  const heads = separable ? undefined : headsEvidence(sources, dims);
  const { imageSize, evidence: sized } = imageSizeOf(sources, [256, 256]);
  const settled = {
    blocks: stored(counts, 'stages.*'),
    dim: stored(dims, `${first}.conv_1x1.weight`),
    depth: stored(depths, `${first}.transformer.*`),
    ...(heads && { heads }),
    ...settingsOf(sources),
    channels: stored(channels, 'stem.conv.weight'),
    classes: classesOf(tensors, 'head.fc'),
    image_size: sized,
  };
  return recognisedFrom(sources, {
    label: separable ? 'mobilevitv2' : 'mobilevit',
    title: titleOf(separable, depths, dims),
    evidence: settled,
    config: {
      ...configOf(settled),
      separable,
      library: dialect.name,
      heads: counts.map((_, stage) => heads?.value[attentive.indexOf(stage)] ?? 1),
    },
    imageSize,
    sizeStep: [32, 32],
    pixels: 'unit',
    warnings: channelWarnings(found),
  });
}

/**
 * MobileViT (Mehta & Rastegari 2022) and MobileViTv2: convolutions, and transformers over
 * interleaved sequences of a map's pixels.
 */
export const mobileVit: Family<MobileVitConfig, ImageMaps> = {
  name: 'mobilevit',
  title: 'MobileViT',
  names: mobileVitNames,
  assumable: ['heads', 'patch', 'output_stride', 'activation', 'eps'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'head.fc'),
};
