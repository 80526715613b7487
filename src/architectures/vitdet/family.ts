import { largest, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { decomposedBlock } from '../blocks/decomposedPositions';
import { activate, residual, type Tokens } from '../blocks/layers';
import { layerNormOfMap, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import type { ResamplingName } from '../blocks/positions';
import { eachBlock, tokenStage, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { configOf, sideOrPair, stored } from '../evidence';
import { isotropicAssumable, isotropicEvidence } from '../groups/isotropicConfig';
import { embedPatches, tableOf, type PatchConfig } from '../groups/positionTable';
import {
  layersIn,
  tableSides,
  windowedBlock,
  windowEvidence,
  type WindowedConfig,
} from '../groups/windowedLayers';
import { answer } from '../heads/classifier';
import { vitSize } from '../names';
import { imageSizeOf, recognisedFrom, sourcesOf } from '../decide';
import { vitdetNames } from './names';

type VitDetConfig = WindowedConfig & PatchConfig;

/** Epsilon of the residual blocks' norms, whatever the layers' is. */
const residualEps = 1e-6;

function recognise(found: Found): Recognised<VitDetConfig> | undefined {
  const { tensors, dialect } = found;
  const sources = sourcesOf(found);
  const own = isotropicEvidence(sources);
  const [dim, channels, height, width] = tensors.get('patch_embed.proj.weight')?.shape ?? [];
  const each = tensors.get('blocks.0.attn.rel_pos_h')?.shape[1];
  if (!own || !dim || !channels || !height || !width || !each) return undefined;
  const side = largest(tableSides(sources));
  const { imageSize, evidence: sized } = imageSizeOf(sources, [side * height, side * width]);
  // The table is made for another size, that of pretraining, and has a row for a class token that
  // no longer is.
  const table = tableOf(sources, 'pos_embed', [height, width], 1);
  const settled = {
    ...own,
    heads: stored(dim / each, `blocks.0.attn.rel_pos_h is ${each} wide, one head`),
    ...windowEvidence(sources, {}),
    patch: stored(sideOrPair([height, width]), 'patch_embed.proj.weight'),
    channels: stored(channels, 'patch_embed.proj.weight'),
    image_size: sized.assumed ? stored(sized.value, 'rel_pos_h of layers without windows') : sized,
    ...(table && {
      grid: table.grid,
      resampling: stored<ResamplingName>(dialect.resampling[0], `as ${dialect.title} does`),
    }),
  };
  return recognisedFrom(sources, {
    label: 'vitdet',
    title: `ViTDet ${vitSize(own.depth.value, dim, height)}`,
    evidence: settled,
    config: { ...configOf(settled), globalLayers: layersIn(settled.global_layers.value) },
    imageSize,
    sizeStep: [height, width],
    pixels: 'imagenet',
  });
}

/**
 * x + three convolutions with norms, which carry what windows have seen to their neighbours (Li et
 * al. 2022, ViTDet, §3).
 */
function residualBlock(b: GraphBuilder, tokens: Tokens, activation: string): Tokens {
  return b.scope(
    'residual',
    () => {
      const map = tokensToMap(b, tokens);
      const step = (x: ValueInfo, index: 1 | 2 | 3): ValueInfo =>
        layerNormOfMap(b, convolution(b, x, `conv${index}`), `norm${index}`, residualEps);
      const narrow = activate(b, step(map, 1), activation);
      const mixed = activate(b, step(narrow, 2), activation);
      return mapToTokens(b, residual(b, map, step(mixed, 3)));
    },
    { title: 'Residual bottleneck' },
  );
}

/** Writes blocks on one map; some end in convolutions. */
function build(b: GraphBuilder, config: VitDetConfig, options: BuildOptions): ImageMaps {
  const ends = eachBlock(b, embedPatches(b, config, options), {
    depth: config.depth,
    block: (tokens, index) => {
      const next = decomposedBlock(b, tokens, windowedBlock(config, index));
      return b.has('residual.conv1.weight') ? residualBlock(b, next, config.activation) : next;
    },
    note: { title: 'Transformer block' },
  });
  return {
    stages: ends.map((tokens) => tokenStage(tokens, options.imageSize)),
    map: tokensToMap(b, last(ends)),
  };
}

/** ViTDet (Li et al. 2022, "Exploring Plain Vision Transformer Backbones for Object Detection"). */
export const vitdet: Family<VitDetConfig, ImageMaps> = {
  name: 'vitdet',
  title: 'ViTDet',
  names: vitdetNames,
  assumable: [...isotropicAssumable.filter((key) => key !== 'pool'), 'global_layers', 'grid'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map),
};
