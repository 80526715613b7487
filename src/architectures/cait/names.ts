import { asNamed, timmNames, type Dialect } from '../dialect';

/** timm's CaiT, also Touvron's own files, whose names are the same. */
export const caitNames: readonly Dialect[] = [
  timmNames('cait', [/^blocks\.0\.attn\.proj_l\.weight$/, /^blocks_token_only\.0\.attn\.q\.weight$/], {
    renames: [[/^(blocks(?:_token_only)?\.\d+)\.gamma_([12])$/, '$1.ls$2.gamma'], asNamed],
  }),
];
