import type { ImageMaps } from '../blocks/stages';
import type { Family, Found, Recognised } from '../family';
import {
  buildPyramid,
  pyramidAssumable,
  pyramidHead,
  pyramidSizes,
  recognisePyramid,
  type OverlappingConfig,
} from '../groups/pyramids';
import { countOf } from '../decide';
import { segformerNames } from './names';

/**
 * Whether weights with the authors' names, which PVT v2 has as well, are a Mix Transformer: a
 * segmentation head lies beside it, or the first feed-forward layer is four times as wide as the
 * tokens and not eight. PVT v2-B5 alone has both in common with MiT-B5.
 */
function isMix(tensors: Found['tensors']): boolean {
  const [hidden, width = 0] = tensors.get('stages.0.blocks.0.mlp.fc1.weight')?.shape ?? [];
  const beside = [...tensors.keys()].some((name) => name.startsWith('beside.'));
  return beside || (hidden === 4 * width && countOf(tensors, 'stages.2.blocks') !== 40);
}

function recognise(found: Found): Recognised<OverlappingConfig> | undefined {
  if (found.dialect.name === 'segformer' && !isMix(found.tensors)) return undefined;
  return recognisePyramid(found, {
    label: 'segformer',
    title: 'MiT',
    sizes: pyramidSizes,
    // The config.json of transformers has layer_norm_eps, which no norm reads.
    defaults: { eps: { transformers: [1e-5, 1e-5], mmsegmentation: [1e-6, 1e-6] }, configuredEps: false },
  });
}

/**
 * SegFormer (Xie et al. 2021): the Mix Transformer, a pyramid with the blocks of PVT v2, as
 * classifier or as the encoder of a segmentation model, whose all-MLP head lies beside it.
 */
export const segformer: Family<OverlappingConfig, ImageMaps> = {
  name: 'segformer',
  title: 'SegFormer',
  names: segformerNames,
  assumable: pyramidAssumable,
  recognise,
  build: buildPyramid,
  head: pyramidHead,
};
