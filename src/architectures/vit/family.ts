import type { Family, Recognised } from '../family';
import { buildPlain, plainAssumable, recognisePlain } from '../groups/plain';
import { vitNames } from './names';

/** Vision Transformer (Dosovitskiy et al. 2021) and what differs from it by its training or a part: DeiT, DINO, DINOv2, MAE, MSN, I-JEPA … */
export const vit: Family<Recognised, void> = {
  name: 'vit',
  title: 'Vision Transformer',
  names: vitNames,
  assumable: plainAssumable,
  recognise: (evidences) => (evidences.dialect.dualEncoder ? undefined : recognisePlain(evidences)),
  build: buildPlain,
};
