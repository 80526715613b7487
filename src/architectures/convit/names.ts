import { timmNames, type Dialect } from '../dialect';

/** ConViT as timm names it; its authors' files have the same names. */
export const convitNames: readonly Dialect[] = [
  timmNames('convit', [/^blocks\.0\.attn\.gating_param$/, /^blocks\.0\.attn\.pos_proj\.weight$/], {
    // Recomputed for every size; older files hold it.
    buffers: /(?:^|\.)rel_indices$/,
  }),
];
