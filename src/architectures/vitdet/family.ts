import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { decomposedBlock } from '../blocks/decomposedPositions';
import { activate, residual, type Tokens } from '../blocks/layers';
import { layerNormOfMap, mapToTokens, meanOfMap, tokensToMap } from '../blocks/maps';
import type { BuildOptions, EvidenceRecord, Family, Found, Recognised } from '../family';
import { numberOf, sideOrPair, stored, wordOf } from '../figures';
import { isotropicAssumable, isotropicFigures } from '../groups/isotropicFigures';
import { patchConfigOf, embedPatches, tableOf } from '../groups/positionTable';
import { tableSides, windowedSettings, windowFigures } from '../groups/windowFigures';
import { vitSize } from '../names';
import { imageSizeOf, recognisedFrom, sourcesOf } from '../sources';
import { vitdetNames } from './names';

/** Epsilon of the residual blocks' norms, whatever the layers' is. */
const residualEps = 1e-6;

function recognise(evidences: Found): Recognised | undefined {
  const { tensors, dialect } = evidences;
  const sources = sourcesOf(evidences);
  const found = isotropicFigures(sources);
  const [dim, channels, height, width] = tensors.get('patch_embed.proj.weight')?.shape ?? [];
  const each = tensors.get('blocks.0.attn.rel_pos_h')?.shape[1];
  if (!found || !dim || !channels || !height || !width || !each) return undefined;
  const side = Math.max(...tableSides(sources));
  const { imageSize, figure } = imageSizeOf(sources, [side * height, side * width]);
  // The table is made for another size, that of pretraining, and has a row for a class token that no longer is.
  const table = tableOf(sources, 'pos_embed', [height, width], 1);
  const figures: EvidenceRecord = {
    ...found,
    heads: stored(dim / each, `blocks.0.attn.rel_pos_h is ${each} wide, one head`),
    ...windowFigures(sources, {}),
    patch: stored(sideOrPair([height, width]), 'patch_embed.proj.weight'),
    channels: stored(channels, 'patch_embed.proj.weight'),
    image_size: figure.assumed ? stored(figure.value, 'rel_pos_h of layers without windows') : figure,
    ...(table && {
      grid: table.grid,
      resampling: stored(dialect.resampling[0], `as ${dialect.title} does`),
    }),
  };
  return recognisedFrom(sources, {
    label: 'vitdet',
    title: `ViTDet ${vitSize(numberOf(found, 'depth'), dim, height)}`,
    evidence: figures,
    imageSize,
    sizeStep: [height, width],
    pixels: 'imagenet',
  });
}

/** x + three convolutions with norms, which carry what windows have seen to their neighbours (Li et al. 2022, ViTDet, §3). */
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

/** Blocks on one map; some end in convolutions. */
function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  let tokens = embedPatches(b, patchConfigOf(figures), options);
  for (const [index, settings] of windowedSettings(figures).entries())
    tokens = b.scope(
      `blocks.${index}`,
      () => {
        const next = decomposedBlock(b, tokens, settings);
        return b.has('residual.conv1.weight') ? residualBlock(b, next, wordOf(figures, 'activation')) : next;
      },
      { title: 'Transformer block' },
    );
  const map = tokensToMap(b, tokens);
  answer(b, meanOfMap(b, map), map);
}

/** ViTDet (Li et al. 2022, "Exploring Plain Vision Transformer Backbones for Object Detection"). */
export const vitdet: Family<Recognised, void> = {
  name: 'vitdet',
  title: 'ViTDet',
  names: vitdetNames,
  assumable: [...isotropicAssumable.filter((key) => key !== 'pool'), 'global_layers', 'grid'],
  recognise,
  build,
};
