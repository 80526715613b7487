import type { Family } from '../family';
import { buildPyramid, pyramidAssumable, pyramidSizes, recognisePyramid } from './pvt_v2';

/**
 * SegFormer (Xie et al. 2021): the Mix Transformer, a pyramid with the blocks of PVT v2, as classifier or as the encoder of a segmentation
 * model, whose all-MLP head lies beside it.
 */
export const segformer: Family = {
  name: 'segformer',
  title: 'SegFormer',
  assumable: pyramidAssumable,
  recognise: (evidences) =>
    recognisePyramid(evidences, {
      label: 'segformer',
      title: 'MiT',
      sizes: pyramidSizes,
      // Its config.json has layer_norm_eps, which no norm reads.
      defaults: { eps: { transformers: [1e-5, 1e-5] }, configuredEps: false },
    }),
  build: buildPyramid,
};
