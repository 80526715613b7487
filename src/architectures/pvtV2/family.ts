import type { Family, Recognised } from '../family';
import { buildPyramid, pyramidAssumable, pyramidSizes, recognisePyramid } from '../groups/pyramids';
import { pvtV2Names } from './names';

/** Pyramid Vision Transformer v2 (Wang et al. 2022): overlapping patches, convolutional feed-forward layers, reduced or pooled keys. */
export const pvtV2: Family<Recognised, void> = {
  name: 'pvt_v2',
  title: 'Pyramid Vision Transformer v2',
  names: pvtV2Names,
  assumable: pyramidAssumable,
  recognise: (evidences) =>
    recognisePyramid(evidences, {
      label: 'pvt_v2',
      title: 'PVT v2',
      sizes: pyramidSizes,
      // nn.LayerNorm's own default after patch embeddings and reductions, but for transformers.
      defaults: {
        eps: { timm: [1e-6, 1e-5], pvt: [1e-6, 1e-5], transformers: [1e-6, 1e-6] },
        configuredEps: true,
      },
    }),
  build: buildPyramid,
};
