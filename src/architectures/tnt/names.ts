import { timmNames, whole, type Dialect, type Layout, type Rename } from '../dialect';

/** Positions of the pixels of a patch `[1, pixels, dim]` as the map `[1, dim, rows, columns]`. */
const asMap: Layout = (tensor) => {
  const [, pixels = 0, dim = 0] = tensor.shape;
  const side = Math.round(Math.sqrt(pixels));
  return tensor.shape.length === 3 && side * side === pixels
    ? [{ ...whole(tensor, [1, side, side, dim]), permutation: [0, 3, 1, 2] }]
    : [whole(tensor)];
};

const inBlock = (from: string, to: string): Rename => [
  new RegExp(`^blocks\\.(\\d+)\\.${from}\\.`),
  `blocks.$1.${to}.`,
];

/** huawei-noah/Efficient-AI-Backbones. */
const original: Dialect = timmNames(
  'tnt',
  [/^inner_pos$/, /^outer_pos$/, /^blocks\.0\.inner_attn\.qk\.weight$/],
  {
    name: 'tnt',
    title: 'TNT (huawei-noah)',
    renames: [
      [/^outer_pos$/, 'patch_pos'],
      [/^inner_pos$/, 'pixel_pos', asMap],
      [/^(cls_token|outer_tokens)$/, '$1'],
      [/^patch_embed\./, 'pixel_embed.'],
      [/^proj_norm([12])\./, 'norm$1_proj.'],
      [/^(proj|norm|head)\./, '$1.'],
      inBlock('proj', 'proj'),
      inBlock('proj_norm([12])', 'norm$2_proj'),
      inBlock('inner_attn', 'attn_in'),
      inBlock('outer_attn', 'attn_out'),
      inBlock('inner_norm1', 'norm_in'),
      inBlock('inner_norm2', 'norm_mlp_in'),
      inBlock('inner_mlp', 'mlp_in'),
      inBlock('outer_norm1', 'norm_out'),
      inBlock('outer_norm2', 'norm_mlp'),
      inBlock('outer_mlp', 'mlp'),
    ],
  },
);

export const tntNames: readonly Dialect[] = [
  timmNames('tnt', [/^pixel_embed\.proj\.weight$/, /^patch_pos$/, /^blocks\.0\.attn_in\.qk\.weight$/]),
  original,
];
