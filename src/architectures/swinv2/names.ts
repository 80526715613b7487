import { rows, timmNames, type Dialect } from '../dialect';
import { common, openMmlab, original, timmStages, torchvision, transformers } from '../libraries/swin';

/** Swin Transformers of the second version. */
export const swinv2Names: readonly Dialect[] = [
  original('swinv2', 'logit_scale'),
  openMmlab('swinv2', 'logit_scale', 'start'),
  transformers('swinv2', 'logit_scale'),
  // The keys' part of the bias is stored, and set to zero when running.
  torchvision('swinv2', 'logit_scale', [
    ['attn\\.qkv\\.bias', 'attn.q_bias', rows(0, 3)],
    ['attn\\.qkv\\.bias', 'attn.v_bias', rows(2, 3)],
  ]),
  timmNames('swinv2', [...timmStages, /^layers\.0\.blocks\.0\.attn\.cpb_mlp\.0\.weight$/], common),
];
