import type { Family, Found, Recognised } from '../family';
import { buildPyramid, pyramidAssumable, pyramidSizes, recognisePyramid } from '../groups/pyramids';
import { countOf } from '../sources';
import { segformerNames } from './names';

/**
 * Whether weights with the authors' names, which PVT v2 has as well, are a Mix Transformer: a segmentation head lies beside it, or the first
 * feed-forward layer is four times as wide as the tokens and not eight. PVT v2-B5 alone has both in common with MiT-B5.
 */
function isMix(tensors: Found['tensors']): boolean {
  const wide = tensors.get('stages.0.blocks.0.mlp.fc1.weight')?.shape;
  const beside = [...tensors.keys()].some((name) => name.startsWith('beside.'));
  return (
    beside || (wide !== undefined && wide[0] === 4 * wide[1]! && countOf(tensors, 'stages.2.blocks') !== 40)
  );
}

function recognise(evidences: Found): Recognised | undefined {
  if (evidences.dialect.name === 'segformer' && !isMix(evidences.tensors)) return undefined;
  return recognisePyramid(evidences, {
    label: 'segformer',
    title: 'MiT',
    sizes: pyramidSizes,
    // The config.json of transformers has layer_norm_eps, which no norm reads.
    defaults: { eps: { transformers: [1e-5, 1e-5], segformer: [1e-6, 1e-5] }, configuredEps: false },
  });
}

/**
 * SegFormer (Xie et al. 2021): the Mix Transformer, a pyramid with the blocks of PVT v2, as classifier or as the encoder of a segmentation
 * model, whose all-MLP head lies beside it.
 */
export const segformer: Family<Recognised, void> = {
  name: 'segformer',
  title: 'SegFormer',
  names: segformerNames,
  assumable: pyramidAssumable,
  recognise,
  build: buildPyramid,
};
