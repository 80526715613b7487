import { elementCount } from '../../checkpoint/tensors';
import { timmNames, whole, type Dialect, type Layout, type Rename } from '../dialect';
import { common } from '../libraries/swin';

const meta = /^stages\.0\.blocks\.0\.attn\.meta_mlp\.fc1\.weight$/;
/** Names but those of temperatures and of a classifier at the top. */
const asOthers: Rename = [/^(?!head\.(?:weight|bias)$|.+\.attn\.tau$)/, ''];

/** A value for each head, that some keep as `[1, heads, 1, 1]`. */
const asVector: Layout = (tensor) => [whole(tensor, [elementCount(tensor.shape)])];

/** timm's own second version. */
export const swinv2CrNames: readonly Dialect[] = [
  timmNames(
    'swinv2_cr',
    [/^patch_embed\.proj\.weight$/, /^stages\.0\.blocks\.0\.attn\.logit_scale$/, meta],
    common,
  ),
  // Christoph Reich's own, and timm's first files: the temperature itself, not its logarithm.
  timmNames('swinv2_cr', [/^patch_embed\.proj\.weight$/, /^stages\.0\.blocks\.0\.attn\.tau$/, meta], {
    ...common,
    name: 'swinv2_cr',
    title: 'Swin V2 (Christoph Reich)',
    renames: [[/^head\.(weight|bias)$/, 'head.fc.$1'], [/\.attn\.tau$/, '.attn.tau', asVector], asOthers],
  }),
];
