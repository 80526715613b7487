import { timmNames, type Dialect } from '../dialect';
import {
  convnextOpenMmlab,
  convnextOpenMmlabSignature,
  convnextRepository,
  convnextSignature,
} from '../libraries/convnext';

const attention = /^stages\.\d+\.\d+\.xca\.temperature$/;

/** EdgeNeXt as timm and its authors name it. */
export const edgeNextNames: readonly Dialect[] = [
  timmNames('edgenext', [
    /^stem\.0\.weight$/,
    /^stages\.0\.blocks\.0\.conv_dw\.weight$/,
    /^stages\.\d+\.blocks\.\d+\.xca\.temperature$/,
  ]),
  {
    ...convnextRepository,
    name: 'edgenext',
    title: 'EdgeNeXt (mmaaz60)',
    families: ['edgenext'],
    signature: [...convnextSignature, attention],
  },
  {
    ...convnextOpenMmlab,
    families: ['edgenext'],
    signature: [...convnextOpenMmlabSignature, /^stages\.\d+\.\d+\.csa\.scale$/],
  },
];
