import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { decomposedBlock } from '../blocks/decomposedPositions';
import { meanOfMap, tokensToMap } from '../blocks/maps';
import { neck } from '../blocks/neck';
import type { ResamplingName } from '../blocks/positions';
import { eachBlock, tokenStage, type ImageMaps } from '../blocks/stages';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { configOf, sideOrPair, stored } from '../evidence';
import { isotropicAssumable, isotropicEvidence } from '../groups/isotropicConfig';
import { embedPatches, timmResampling, type PatchConfig } from '../groups/positionTable';
import { layersIn, windowedBlock, windowEvidence, type WindowedConfig } from '../groups/windowedLayers';
import { answer } from '../heads/classifier';
import { vitSize } from '../names';
import { imageSizeOf, recognisedFrom, sourcesOf } from '../decide';
import { samNames } from './names';

type SamConfig = WindowedConfig & PatchConfig;

function recognise(found: Found): Recognised<SamConfig> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const own = isotropicEvidence(sources, 'head.fc');
  const [dim, channels, height, width] = tensors.get('patch_embed.proj.weight')?.shape ?? [];
  const each = tensors.get('blocks.0.attn.rel_pos_h')?.shape[1];
  if (!own || !dim || !channels || !height || !width || !each) return undefined;
  const [, rows, columns] = tensors.get('pos_embed')?.shape ?? [];
  const table = rows && columns ? ([rows, columns] as const) : undefined;
  const { imageSize, evidence: sized } = imageSizeOf(sources, table && [table[0] * height, table[1] * width]);
  const settled = {
    ...own,
    heads: stored(dim / each, `blocks.0.attn.rel_pos_h is ${each} wide, one head`),
    ...windowEvidence(sources, {
      side: table?.[0] ?? (sized.assumed ? undefined : Math.floor(imageSize[0] / height)),
      named: [[/^samvit_base_patch16/, [2, 5, 8, 11]]],
    }),
    patch: stored(sideOrPair([height, width]), 'patch_embed.proj.weight'),
    channels: stored(channels, 'patch_embed.proj.weight'),
    pool: stored('avg', 'the mean over the last map'),
    image_size: sized.assumed && table ? stored(sized.value, 'pos_embed') : sized,
    ...(table && {
      grid: stored(table, 'pos_embed'),
      resampling: stored<ResamplingName>(timmResampling, 'as timm does; the others take one size alone'),
    }),
  };
  return recognisedFrom(sources, {
    label: 'sam',
    title: `SAM image encoder ${vitSize(own.depth.value, dim, height)}`,
    evidence: settled,
    config: { ...configOf(settled), globalLayers: layersIn(settled.global_layers.value) },
    imageSize,
    sizeStep: [height, width],
    pixels: 'imagenet',
  });
}

/** Writes blocks on one map at the patches' resolution, and a neck. */
function build(b: GraphBuilder, config: SamConfig, options: BuildOptions): ImageMaps {
  const ends = eachBlock(b, embedPatches(b, config, options), {
    depth: config.depth,
    block: (tokens, index) => decomposedBlock(b, tokens, windowedBlock(config, index)),
    note: { title: 'Transformer block' },
  });
  return {
    stages: ends.map((tokens) => tokenStage(tokens, options.imageSize)),
    map: neck(b, tokensToMap(b, last(ends))),
  };
}

/**
 * Image encoder of Segment Anything (Kirillov et al. 2023): windows and a few layers without,
 * decomposed relative positions. A classifier reads the mean of the map.
 */
export const sam: Family<SamConfig, ImageMaps> = {
  name: 'sam',
  title: 'Segment Anything image encoder',
  names: samNames,
  assumable: [...isotropicAssumable.filter((key) => key !== 'pool'), 'global_layers'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'head.fc'),
};
