import { at, last } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mapToTokens, gridOfLayout, tokensToMap } from '../blocks/maps';
import { stages, tokenStage, type ImageMaps } from '../blocks/stages';
import { configuredImageSize } from '../config';
import {
  activationOf,
  decide,
  imageSizeOf,
  recognisedFrom,
  requireMultiple,
  shapeOf,
  sourcesOf,
  stageDepths,
  type SettledSize,
  type Sources,
} from '../decide';
import { assumed, configOf, stored } from '../evidence';
import type { BuildOptions, ConfigValue, Evidence, Family, Found, Recognised } from '../family';
import { continuousBias, postNormBlock, storedWindow } from '../groups/cosineWindows';
import { epsOf } from '../groups/isotropicConfig';
import { fittedWindows } from '../groups/shiftedWindows';
import { enlarged, enlargementOf, leaky, type Enlargement } from '../heads/enlargement';
import { swin2srNames } from './names';

/** Epsilon of the norm of the embedded pixels: torch's default whatever the others have. */
const embeddingEps = 1e-5;

/** Mean of the colours of DIV2K, which the model takes off and puts back. */
const meanColour = [0.4488, 0.4371, 0.404] as const;

/** Side of published models' images; windows are cut to the configured one. */
const usualSide = 64;

interface Swin2srConfig {
  readonly depth: readonly number[];
  readonly heads: readonly number[];
  readonly channels: number;
  readonly activation: string;
  readonly eps: number;
  readonly window: number;
  readonly pixel_range: number;
  /** The image that windows are cut to. */
  readonly configured: Grid;
  readonly enlargement: Pick<Enlargement, 'kind' | 'scale'>;
  readonly mean: readonly number[] | undefined;
}

interface RestoredMaps extends ImageMaps {
  readonly pixels: ValueInfo;
}

const isSide = (value: ConfigValue): boolean => Number.isInteger(value) && Number(value) > 0;

/** How it enlarges and how much, held to what config.json says. */
function enlargementEvidence(sources: Sources, { kind, scale, source }: Enlargement) {
  const isNone = kind === 'none';
  return {
    upsampler: decide<string>(sources, 'upsampler', {
      config: ['upsampler'],
      words: { '': 'none' },
      otherwise: stored(kind, source),
      is: (value) => value === kind || (isNone && !String(value).match(/^(?:pixelshuffle|nearest)/)),
      needed: `${kind}, as ${source} shows,`,
    }),
    upscale: decide<number>(sources, 'upscale', {
      config: ['upscale'],
      otherwise: stored(scale, source),
      is: (value) => value === scale || isNone,
      needed: `${scale}, as the layers of ${kind} show,`,
    }),
  };
}

/** An image that is no whole number of windows is taken up to the next. */
function sizedIn(sources: Sources, window: number): SettledSize {
  const sized = imageSizeOf(sources, [usualSide, usualSide]);
  const { imageSize, evidence } = sized;
  const up = (side: number): number => Math.ceil(side / window) * window;
  const whole: Size = [up(imageSize[0]), up(imageSize[1])];
  if (sources.found.imageSize || String(whole) === String(imageSize)) return sized;
  const source = `${evidence.source}, up to whole windows`;
  return { imageSize: whole, evidence: { ...evidence, value: whole, source } };
}

function recognise(found: Found): Recognised<Swin2srConfig> | undefined {
  const { tensors, checkpoint } = found;
  const sources = sourcesOf(found);
  const depth = stageDepths(tensors, 'layers');
  const [dim = 0, channels = 0] = shapeOf(tensors, 'conv_first.weight');
  const isPixelwise = shapeOf(tensors, 'patch_embed.proj.weight')[2] === 1;
  const enlargement = enlargementOf(tensors, channels);
  if (!enlargement || !isPixelwise || depth.includes(0)) return undefined;
  const blocks = depth.map((_, stage) => `layers.${stage}.blocks.0`);
  const side = (name: string): number => shapeOf(tensors, name)[0] ?? 0;
  const settled = {
    channels: stored(channels, 'conv_first.weight'),
    dim: stored(dim, 'conv_first.weight'),
    depth: stored(depth, `layers.*.blocks.*`),
    heads: stored(
      blocks.map((block) => side(`${block}.attn.logit_scale`)),
      `${at(blocks, 0)}.attn.logit_scale`,
    ),
    mlp_ratio: stored(side(`${at(blocks, 0)}.mlp.fc1.weight`) / dim, `${at(blocks, 0)}.mlp.fc1.weight`),
    activation: activationOf(sources),
    eps: epsOf(sources),
    window: decide<number>(sources, 'window', {
      config: ['window_size'],
      otherwise: windowOf(found, at(blocks, 0)),
      is: isSide,
      needed: 'a whole number from 1',
    }),
    pixel_range: decide<number>(sources, 'pixel_range', {
      config: ['img_range'],
      otherwise: assumed(1, 'as published; not stored in the weights'),
      is: (value) => typeof value === 'number' && value > 0,
      needed: 'a number above 0',
    }),
    ...enlargementEvidence(sources, enlargement),
  };
  const { imageSize, evidence } = sizedIn(sources, settled.window.value);
  const isColour = channels === 3 && enlargement.channels === 3;
  const { size: configured = [usualSide, usualSide] as const } = configuredImageSize(checkpoint) ?? {};
  const recognised = recognisedFrom(sources, {
    label: 'swin2sr',
    title: titleOf(enlargement),
    evidence: { ...settled, image_size: evidence },
    config: {
      ...configOf(settled),
      configured,
      enlargement,
      mean: isColour ? meanColour : undefined,
    },
    imageSize,
    sizeStep: [settled.window.value, settled.window.value],
    pixels: 'unit',
  });
  return {
    ...recognised,
    task: 'restore',
    reading: { task: 'restore', scale: enlargement.scale },
    modelType: 'swin2sr',
  };
}

/** The window of stored coordinates, else the usual one. */
function windowOf(found: Found, block: string): Evidence<number> {
  const told = storedWindow(found, block);
  return typeof told?.value === 'number'
    ? { ...told, value: told.value }
    : assumed(8, 'as published; not stored in the weights');
}

const titleOf = ({ kind, scale }: Enlargement): string =>
  kind === 'none' ? 'Swin2SR, of the same size' : `Swin2SR, ${scale} × as large`;

/** The mean colour `[1, channels, 1, 1]`, if any is taken off. */
const meanOf = (b: GraphBuilder, mean: readonly number[] | undefined): ValueInfo | undefined =>
  mean &&
  b.shared('mean colour', () => b.constant('/mean', 'F32', [1, mean.length, 1, 1], Float32Array.from(mean)));

/** One convolution behind the blocks of a stage, or a bottleneck of three. */
function behindBlocks(b: GraphBuilder, map: ValueInfo): ValueInfo {
  if (b.has('conv.weight')) return convolution(b, map, 'conv');
  const narrow = leaky(b, convolution(b, map, 'conv.0'));
  return convolution(b, leaky(b, convolution(b, narrow, 'conv.2')), 'conv.4');
}

/** What a stage adds to what it was given: its blocks, convolved and embedded again. */
function leave(b: GraphBuilder, before: Tokens, tokens: Tokens): Tokens {
  const mixed = convolution(b, behindBlocks(b, tokensToMap(b, tokens)), 'patch_embed.proj');
  return withValue(before, residual(b, before.value, mapToTokens(b, mixed).value));
}

/** Residual groups of Swin V2's blocks (Conde et al. 2022, §3.1), all on the grid of the pixels. */
function deepFeatures(b: GraphBuilder, first: Tokens, config: Swin2srConfig): readonly Tokens[] {
  const { depth, heads, activation, eps, window, configured } = config;
  const entered: Tokens[] = [];
  return stages(b, first, {
    depths: depth,
    module: (stage) => ({ path: `layers.${stage}`, note: { title: `Residual group ${stage + 1}` } }),
    enter: (tokens) => {
      entered.push(tokens);
      return tokens;
    },
    path: ({ index }) => `blocks.${index}`,
    note: { title: 'Transformer block, windows' },
    block: (tokens, { stage, index }) => {
      const fitted = fittedWindows('rows', gridOfLayout(tokens.layout), [window, window], configured);
      const windows = index % 2 === 1 ? fitted : { ...fitted, shift: [0, 0] as const };
      const layer = `layers.${stage}.blocks.${index}`;
      const place = { windows, stage, layer, heads: at(heads, stage), eps, activation };
      return postNormBlock(b, tokens, place, () => continuousBias(b, windows.size));
    },
    leave: (tokens) => leave(b, last(entered), tokens),
  });
}

function build(b: GraphBuilder, config: Swin2srConfig, { imageSize, batch }: BuildOptions): RestoredMaps {
  const { channels, window, mean, pixel_range: range, eps } = config;
  requireMultiple(imageSize, [window, window]);
  const pixels = b.input('pixel_values', [batch, channels, ...imageSize]);
  const off = meanOf(b, mean);
  const centred = off ? b.add('Sub', [pixels, off]) : pixels;
  const ranged = range === 1 ? centred : b.add('Mul', [centred, b.scalar(range)]);
  const shallow = convolution(b, ranged, 'conv_first');
  const tokens = mapToTokens(b, convolution(b, shallow, 'patch_embed.proj'));
  const embedded = withValue(tokens, norm(b, tokens.value, 'patch_embed.norm', embeddingEps));
  const ends = deepFeatures(b, embedded, config);
  const end = last(ends);
  const normed = withValue(end, norm(b, end.value, 'norm', eps));
  const deep = convolution(b, tokensToMap(b, normed), 'conv_after_body');
  return {
    stages: ends.map((each) => tokenStage(each, imageSize)),
    map: residual(b, deep, shallow),
    pixels,
  };
}

function head(b: GraphBuilder, { map, pixels }: RestoredMaps, config: Swin2srConfig): void {
  const { enlargement, pixel_range: range, mean } = config;
  const image = enlarged(b, map, pixels, enlargement);
  const unit = range === 1 ? image : b.add('Div', [image, b.scalar(range)]);
  const off = meanOf(b, mean);
  b.output('reconstruction', off ? b.add('Add', [unit, off]) : unit, 'restored');
  b.output('tokens', map, 'tokens');
}

/** Swin2SR (Conde et al. 2022): an image made larger, or mended, by windows over its pixels. */
export const swin2sr: Family<Swin2srConfig, RestoredMaps> = {
  name: 'swin2sr',
  title: 'Swin2SR',
  names: swin2srNames,
  assumable: ['window', 'activation', 'eps', 'pixel_range'],
  recognise,
  build,
  head,
};
