import { timmNames, type Dialect } from '../dialect';

export const tntNames: readonly Dialect[] = [
  timmNames('tnt', [/^pixel_embed\.proj\.weight$/, /^patch_pos$/, /^blocks\.0\.attn_in\.qk\.weight$/]),
];
