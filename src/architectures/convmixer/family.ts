import { images } from '../blocks/images';
import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution } from '../blocks/convolution';
import { activate, residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { eachBlock, mapStage, type ImageMaps } from '../blocks/stages';
import {
  activationOf,
  classesOf,
  countOf,
  imageSizeOf,
  recognisedFrom,
  shapeOf,
  sideOf,
  sourcesOf,
} from '../decide';
import { assumed, configOf, stored } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { answer } from '../heads/classifier';
import { convMixerNames } from './names';

const eps = 1e-5;

function recognise(found: Found) {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const { imageSize, evidence: sized } = imageSizeOf(sources);
  const [dim = 0, , patch = 0] = shapeOf(tensors, 'stem.0.weight');
  const depth = countOf(tensors, 'blocks');
  const settled = {
    dim: stored(dim, 'stem.0.weight'),
    depth: stored(depth, `blocks.0 … blocks.${depth - 1}`),
    patch: stored(patch, 'stem.0.weight'),
    kernel: stored(sideOf(tensors, 'blocks.0.0.fn.0.weight', 2), 'blocks.0.0.fn.0.weight'),
    image_size: sized,
    classes: classesOf(tensors, 'head'),
    activation: activationOf(sources, assumed('gelu', 'all but one published model have it'), {
      named: [
        [/^convmixer_768/, 'relu'],
        [/^convmixer_1/, 'gelu'],
      ],
    }),
  };
  return recognisedFrom(sources, {
    label: 'convmixer',
    title: `ConvMixer-${dim}/${depth}`,
    imageSize,
    sizeStep: [patch, patch],
    pixels: 'imagenet',
    evidence: settled,
    config: configOf(settled),
  });
}

type ConvMixerConfig = NonNullable<ReturnType<typeof recognise>>['config'];

/** A depthwise convolution in a residual, then one of 1 × 1, each with its activation and norm. */
function block(b: GraphBuilder, x: ValueInfo, activation: string): ValueInfo {
  const unit = (map: ValueInfo, conv: string, norm: string): ValueInfo =>
    batchNorm(b, activate(b, convolution(b, map, conv), activation), norm, eps);
  return unit(residual(b, unit(x, '0.fn.0', '0.fn.2'), x), '1', '3');
}

function build(b: GraphBuilder, config: ConvMixerConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { depth, patch, activation } = config;
  const pixels = images(b, [batch, ...imageSize], 'stem.0');
  const cut = convolution(b, pixels, 'stem.0', { stride: patch, padding: 0 });
  const maps = eachBlock(b, batchNorm(b, activate(b, cut, activation), 'stem.2', eps), {
    depth,
    block: (x) => block(b, x, activation),
    note: { title: 'ConvMixer block', formula: 'norm(act(W · (x + norm(act(conv(x))))))' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** ConvMixer (Trockman & Kolter 2022, Patches Are All You Need?). */
export const convMixer: Family<ConvMixerConfig, ImageMaps> = {
  name: 'convmixer',
  row: 'cnn',
  title: 'ConvMixer',
  names: convMixerNames,
  assumable: ['activation'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map),
};
