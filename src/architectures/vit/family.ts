import type { TokenMaps } from '../blocks/stages';
import type { Family } from '../family';
import { buildPlain, plainAssumable, recognisePlain } from '../groups/plain';
import type { PlainConfig } from '../groups/plainConfig';
import { plainAnswer } from '../heads/tokens';
import { vitNames } from './names';

/**
 * Vision Transformer (Dosovitskiy et al. 2021) and what differs from it by its training or a part:
 * DeiT, DINO, DINOv2, MAE, MSN, I-JEPA …
 */
export const vit: Family<PlainConfig, TokenMaps> = {
  name: 'vit',
  title: 'Vision Transformer',
  names: vitNames,
  assumable: plainAssumable,
  recognise: (found) => (found.dialect.dualEncoder ? undefined : recognisePlain(found)),
  build: buildPlain,
  head: plainAnswer,
};
