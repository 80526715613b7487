import { asTokens, whole, type Dialect, type Layout, type Rename } from '../dialect';

/** The tensor if it has so many axes; else it is another one, of which the name does not tell. */
const ofRank =
  (...ranks: readonly number[]): Layout =>
  (tensor) =>
    ranks.includes(tensor.shape.length) ? [whole(tensor)] : [];

const matrix = ofRank(2);
const vector = ofRank(1);

/** A table or tokens, with or without an axis of one. */
const rowsOfTokens: Layout = (tensor) =>
  (tensor.shape.length === 2 || tensor.shape.length === 3) && tensor.shape.at(-2) !== 0
    ? asTokens(tensor)
    : [];

/** No rows are no tokens: the parameter is stored, and empty. */
const empty: Layout = (tensor) => (tensor.shape.at(-2) === 0 ? [whole(tensor)] : []);

/** Rows for a part of a layer; the attention is its first part, the MLP its second. */
const inLayer = (from: string, to: string, layout?: Layout): Rename => [
  new RegExp(`^transformer\\.layers\\.(\\d+)\\.${from}$`),
  `blocks.$1.${to}`,
  ...(layout ? ([layout] as const) : ([] as const)),
];

/** What norm or layer of a pair is the weight's is that of the bias as well. */
const both = (from: string, to: string, layout: Layout): readonly Rename[] => [
  inLayer(`${from}\\.weight`, `${to}.weight`, layout),
  inLayer(`${from}\\.bias`, `${to}.bias`, vector),
];

/** Since 2023 a norm is the first module of what it belongs to. */
const layers: readonly Rename[] = [
  ...both('0\\.norm', 'norm1', vector),
  inLayer('0\\.to_qkv\\.weight', 'attn.qkv.weight', matrix),
  ...both('0\\.to_out(?:\\.0)?', 'attn.proj', matrix),
  ...both('1\\.net\\.0', 'norm2', vector),
  ...both('1\\.net\\.1', 'mlp.fc1', matrix),
  // Behind an activation, and behind a dropout if there is one.
  ...both('1\\.net\\.[34]', 'mlp.fc2', matrix),
];

/** Before, a module PreNorm held the norm and the function `fn` behind it. */
const preNormLayers: readonly Rename[] = [
  ...both('0\\.norm', 'norm1', vector),
  inLayer('0\\.fn\\.to_qkv\\.weight', 'attn.qkv.weight', matrix),
  ...both('0\\.fn\\.to_out(?:\\.0)?', 'attn.proj', matrix),
  ...both('1\\.norm', 'norm2', vector),
  ...both('1\\.fn\\.net\\.0', 'mlp.fc1', matrix),
  ...both('1\\.fn\\.net\\.[23]', 'mlp.fc2', matrix),
];

/** Patches are flattened `[row, column, channel]` and normalised before and behind their layer. */
const normedPatches: readonly Rename[] = [
  [/^to_patch_embedding\.1\.(weight|bias)$/, 'patch_embed.norm_in.$1', vector],
  [/^to_patch_embedding\.2\.weight$/, 'patch_embed.proj.weight', matrix],
  [/^to_patch_embedding\.2\.bias$/, 'patch_embed.proj.bias', vector],
  [/^to_patch_embedding\.3\.(weight|bias)$/, 'patch_embed.norm.$1', vector],
];

/** Older versions have the layer alone. */
const barePatches: readonly Rename[] = [
  [/^(?:to_patch_embedding\.1|patch_to_embedding)\.weight$/, 'patch_embed.proj.weight', matrix],
  [/^(?:to_patch_embedding\.1|patch_to_embedding)\.bias$/, 'patch_embed.proj.bias', vector],
];

/** The classifier, behind a norm of the pooled vector in models without one behind the blocks. */
const head: readonly Rename[] = [
  [/^(?:mlp|linear)_head\.weight$/, 'head.weight', matrix],
  [/^(?:mlp|linear)_head\.bias$/, 'head.bias'],
  [/^(?:mlp|linear)_head\.0\.(weight|bias)$/, 'fc_norm.$1', vector],
  [/^(?:mlp|linear)_head\.1\.weight$/, 'head.weight', matrix],
  [/^(?:mlp|linear)_head\.1\.bias$/, 'head.bias'],
];

const rest: readonly Rename[] = [
  [/^cls_token$/, 'cls_token', rowsOfTokens],
  [/^cls_token$/, 'beside.cls_token', empty],
  [/^register_tokens$/, 'reg_token', rowsOfTokens],
  [/^pos_embedding$/, 'pos_embed', rowsOfTokens],
  [/^transformer\.norm\.(weight|bias)$/, 'norm.$1'],
  ...head,
];

/**
 * Models of the repository whose names and shapes are a ViT's: with the norm of the pooled vector,
 * and one behind the embedding of patches, a network that drops tokens has no other name.
 */
function namesakesOf(names: ReadonlySet<string>): string | undefined {
  const normed = names.has('patch_embed.norm.weight') && names.has('fc_norm.weight');
  return normed && names.has('cls_token') ? 'ats_vit (Adaptive Token Sampling)' : undefined;
}

const common: Omit<Dialect, 'signature' | 'renames' | 'modules'> = {
  name: 'vit-pytorch',
  title: 'vit-pytorch (lucidrains)',
  resampling: ['bilinear', 'bilinear'],
  eps: 1e-5,
  territory:
    /^(?:(?:transformer|to_\w+|patch_to_embedding|mlp_head|linear_head|initial_ff)\.|(?:\w*_)?(?:pos|cls|register|token|tokens|embedding|queries)(?:_\w+)?$)/,
  habits: {
    activation: ['gelu', 'default of vit-pytorch'],
    pool: ['token', 'default of vit-pytorch; `mean` has the same names', 'assumed'],
    pool_prefix: [true, 'vit-pytorch takes the mean of all tokens'],
    positions: 'sincos',
    bareAttention: true,
    namesakes: namesakesOf,
  },
};

const qkv = /^transformer\.layers\.0\.0\.to_qkv\.weight$/;
const preNormQkv = /^transformer\.layers\.0\.0\.fn\.to_qkv\.weight$/;
const normed = /^to_patch_embedding\.3\.weight$/;
const bare = /^(?:to_patch_embedding\.1|patch_to_embedding)\.weight$/;

/** One era of the repository: how it embeds patches, and how it writes a layer. */
const era = (
  [patch, patches]: readonly [RegExp, readonly Rename[]],
  [attention, inLayers, path]: readonly [RegExp, readonly Rename[], string],
): Dialect => ({
  ...common,
  signature: [patch, attention],
  ...(patches === barePatches && { absent: [normed] }),
  renames: [...patches, ...inLayers, ...rest],
  modules: [[/^blocks\.(\d+)$/, path]],
});

const current = [qkv, layers, 'transformer.layers.$1.0'] as const;
const preNorm = [preNormQkv, preNormLayers, 'transformer.layers.$1.0.fn'] as const;

/**
 * lucidrains/vit-pytorch: ViT, SimpleViT, and those of their relatives that compute the same
 * (patch dropout, registers, flash attention). Every other has a name that no row knows.
 */
export const lucidrains: readonly Dialect[] = [
  era([normed, normedPatches], current),
  era([bare, barePatches], current),
  era([normed, normedPatches], preNorm),
  era([bare, barePatches], preNorm),
];
