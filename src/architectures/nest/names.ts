import { timmNames, type Dialect } from '../dialect';

export const nestNames: readonly Dialect[] = [
  timmNames('nest', [/^levels\.0\.pos_embed$/, /^levels\.0\.transformer_encoder\.0\.attn\.qkv\.weight$/]),
];
