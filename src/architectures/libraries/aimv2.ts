import type { Dialect, Rename } from '../dialect';

const inBlock = (from: string, to: string): Rename => [
  new RegExp(`^trunk\\.blocks\\.(\\d+)\\.${from}\\.(?<leaf>weight|bias)$`),
  `blocks.$1.${to}.$<leaf>`,
];

/** apple/ml-aim's AIMv2. */
export const aimv2: Dialect = {
  name: 'aimv2',
  title: 'AIMv2 (apple)',
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  territory: /^(?:preprocessor|trunk)\./,
  signature: [/^preprocessor\.patchifier\.proj\.weight$/, /^trunk\.blocks\.0\.norm_1\.weight$/],
  renames: [
    [/^preprocessor\.patchifier\.(proj|norm)\.(weight|bias)$/, 'patch_embed.$1.$2'],
    [/^preprocessor\.pos_embed$/, 'pos_embed'],
    inBlock('norm_([12])', 'norm$2'),
    inBlock('attn\\.(qkv|proj)', 'attn.$2'),
    inBlock('mlp\\.fc1', 'mlp.fc1_g'),
    inBlock('mlp\\.fc2', 'mlp.fc2'),
    inBlock('mlp\\.fc3', 'mlp.fc1_x'),
    [/^trunk\.post_trunk_norm\.(weight|bias)$/, 'norm.$1'],
    // What attends to the patches before a classifier is not of the plain transformer.
    [/^head\.(?:linear\.)?(weight|bias)$/, 'head.$1'],
  ],
  habits: { activation: ['silu', "of AIMv2's gated units"] },
  modules: [[/^blocks\.(\d+)$/, 'trunk.blocks.$1']],
};
