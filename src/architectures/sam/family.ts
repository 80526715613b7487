import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { decomposedBlock } from '../blocks/decomposedPositions';
import { layerNormOfMap, meanOfMap, tokensToMap } from '../blocks/maps';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { numberOf, sideOrPair, stored } from '../figures';
import { isotropicAssumable, isotropicFigures } from '../groups/isotropicFigures';
import { patchConfigOf, embedPatches, timmResampling } from '../groups/positionTable';
import { windowedSettings, windowFigures } from '../groups/windowFigures';
import { vitSize } from '../names';
import { imageSizeOf, recognisedFrom, sourcesOf } from '../sources';
import { samNames } from './names';

/** Epsilon of the norms of the neck, whatever the blocks' is. */
const neckEps = 1e-6;

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const found = isotropicFigures(sources, 'head.fc');
  const [dim, channels, height, width] = tensors.get('patch_embed.proj.weight')?.shape ?? [];
  const each = tensors.get('blocks.0.attn.rel_pos_h')?.shape[1];
  if (!found || !dim || !channels || !height || !width || !each) return undefined;
  const [, rows, columns] = tensors.get('pos_embed')?.shape ?? [];
  const table = rows && columns ? ([rows, columns] as const) : undefined;
  const { imageSize, figure } = imageSizeOf(sources, table && [table[0] * height, table[1] * width]);
  const figures: EvidenceRecord = {
    ...found,
    heads: stored(dim / each, `blocks.0.attn.rel_pos_h is ${each} wide, one head`),
    ...windowFigures(sources, {
      side: table?.[0] ?? (figure.assumed ? undefined : Math.floor(imageSize[0] / height)),
      named: [[/^samvit_base_patch16/, [2, 5, 8, 11]]],
    }),
    patch: stored(sideOrPair([height, width]), 'patch_embed.proj.weight'),
    channels: stored(channels, 'patch_embed.proj.weight'),
    pool: stored('avg', 'the mean over the last map'),
    image_size: figure.assumed && table ? stored(figure.value, 'pos_embed') : figure,
    ...(table && {
      grid: stored(table, 'pos_embed'),
      resampling: stored(timmResampling, 'as timm does; the others take one size alone'),
    }),
  };
  return recognisedFrom(sources, {
    label: 'sam',
    title: `SAM image encoder ${vitSize(numberOf(found, 'depth'), dim, height)}`,
    evidence: figures,
    imageSize,
    sizeStep: [height, width],
    pixels: 'imagenet',
  });
}

/** A norm alone, or convolution and norm twice, which give the width that the mask decoder reads. */
function neck(b: GraphBuilder, map: ValueInfo): ValueInfo {
  if (b.has('neck.weight')) return layerNormOfMap(b, map, 'neck', neckEps);
  return b.scope(
    'neck',
    () => {
      const narrow = layerNormOfMap(b, convolution(b, map, '0'), '1', neckEps);
      return layerNormOfMap(b, convolution(b, narrow, '2'), '3', neckEps);
    },
    { title: 'Neck' },
  );
}

/** Blocks on one map at the patches' resolution, a neck, and for a classifier the mean. */
function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  let tokens = embedPatches(b, patchConfigOf(figures), options);
  for (const [index, settings] of windowedSettings(figures).entries())
    tokens = b.scope(`blocks.${index}`, () => decomposedBlock(b, tokens, settings), {
      title: 'Transformer block',
    });
  const map = neck(b, tokensToMap(b, tokens));
  answer(b, meanOfMap(b, map), map, 'head.fc');
}

/** Image encoder of Segment Anything (Kirillov et al. 2023): windows and a few layers without, decomposed relative positions. */
export const sam: Family<Recognised, void> = {
  name: 'sam',
  title: 'Segment Anything image encoder',
  names: samNames,
  assumable: [...isotropicAssumable.filter((key) => key !== 'pool'), 'global_layers'],
  recognise,
  build,
};
