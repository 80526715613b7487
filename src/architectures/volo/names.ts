import { timmNames, type Dialect } from '../dialect';

export const voloNames: readonly Dialect[] = [
  timmNames('volo', [/^patch_embed\.conv\.0\.weight$/, /^network\.0\.0\.attn\.attn\.weight$/], { eps: 1e-5 }),
];
