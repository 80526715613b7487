import type { ImageMaps } from '../blocks/stages';
import type { Family } from '../family';
import {
  buildPyramid,
  pyramidAssumable,
  pyramidHead,
  pyramidSizes,
  recognisePyramid,
  type OverlappingConfig,
} from '../groups/pyramids';
import { pvtV2Names } from './names';

/**
 * Pyramid Vision Transformer v2 (Wang et al. 2022): overlapping patches, convolutional feed-forward
 * layers, reduced or pooled keys.
 */
export const pvtV2: Family<OverlappingConfig, ImageMaps> = {
  name: 'pvt_v2',
  title: 'Pyramid Vision Transformer v2',
  names: pvtV2Names,
  assumable: pyramidAssumable,
  recognise: (found) =>
    recognisePyramid(found, {
      label: 'pvt_v2',
      title: 'PVT v2',
      sizes: pyramidSizes,
      defaults: { eps: { transformers: [1e-6, 1e-6] }, configuredEps: true },
    }),
  build: buildPyramid,
  head: pyramidHead,
};
