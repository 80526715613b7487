import type { WrittenItem, WrittenLayout, WrittenVariant } from './written';

/**
 * Layouts of plain transformers that people write themselves: the parts of a block, and tokens,
 * positions and patches before them, in any order in which a class may register them. No library's
 * models are written so, so that these are the last to be thought of.
 */

/** Names of the parts: timm's, or transformers' where queries, keys and values are apart. */
interface Words {
  readonly title: string;
  readonly list: string;
  readonly norms: readonly [string, string];
  /** Matrices of the attention in their order, the output last, each with its axes. */
  readonly attention: readonly (readonly [name: string, spec: string])[];
  readonly mlp: readonly [string, string];
  readonly token: string;
  readonly positions: string;
  readonly patches: string;
  readonly norm: string;
  readonly head: string;
}

const timm: Words = {
  title: 'a plain transformer with fused projections',
  list: 'blocks.#',
  norms: ['.norm1', '.norm2'],
  attention: [
    ['.attn.qkv', 'td'],
    ['.attn.proj', 'dd'],
  ],
  mlp: ['.mlp.fc1', '.mlp.fc2'],
  token: 'cls_token',
  positions: 'pos_embed',
  patches: 'patch_embed.proj.',
  norm: 'norm.',
  head: 'head.',
};

const transformers: Words = {
  title: 'a plain transformer with queries, keys and values apart',
  list: 'vit.encoder.layer.#',
  norms: ['.layernorm_before', '.layernorm_after'],
  attention: [
    ['.attention.attention.query', 'dd'],
    ['.attention.attention.key', 'dd'],
    ['.attention.attention.value', 'dd'],
    ['.attention.output.dense', 'dd'],
  ],
  mlp: ['.intermediate.dense', '.output.dense'],
  token: 'vit.embeddings.cls_token',
  positions: 'vit.embeddings.position_embeddings',
  patches: 'vit.embeddings.patch_embeddings.projection.',
  norm: 'vit.layernorm.',
  head: 'classifier.',
};

/** Whether queries, keys and values have biases; the output, the norms and the MLP have. */
type Biased = 'all' | 'output';

const linear = (name: string, spec: string, biased = true): readonly WrittenItem[] => [
  `${name}.weight:${spec}`,
  ...(biased ? [`${name}.bias:${spec[0] ?? '*'}`] : []),
];

const normed = (name: string): readonly WrittenItem[] => [`${name}.weight:d`, `${name}.bias:d`];

/** The parts of a block in every order that keeps the first norm before the second. */
function orders<T>(norm1: T, norm2: T, attention: T, mlp: T): readonly (readonly T[])[] {
  const parts = [norm1, norm2, attention, mlp];
  return permutations(parts).filter((order) => order.indexOf(norm1) < order.indexOf(norm2));
}

function permutations<T>(parts: readonly T[]): readonly (readonly T[])[] {
  if (parts.length < 2) return [parts];
  return parts.flatMap((first, index) =>
    permutations(parts.filter((_, other) => other !== index)).map((rest) => [first, ...rest]),
  );
}

function blocksOf({ norms: [norm1, norm2], attention, mlp: [fc1, fc2] }: Words): readonly WrittenVariant[] {
  const last = attention.length - 1;
  const attend = (biased: Biased): readonly WrittenItem[] =>
    attention.flatMap(([name, spec], index) => linear(name, spec, biased === 'all' || index === last));
  const feed = [...linear(fc1, '*d'), ...linear(fc2, 'd*')];
  return (['all', 'output'] as const).flatMap((biased) =>
    orders(normed(norm1), normed(norm2), attend(biased), feed).map((order): WrittenVariant => [
      '@',
      ...order.flat(),
    ]),
  );
}

/** Tokens, positions and patches may be registered in any order, before the blocks. */
function layoutsIn(words: Words): readonly WrittenLayout[] {
  const token = `?${words.token}:11*`;
  const positions = `${words.positions}:1+*`;
  const patches: WrittenItem = [words.patches, [['@', 'weight:d***', 'bias:d']]];
  const blocks: WrittenItem = [words.list, blocksOf(words)];
  const norm: WrittenItem = [`?${words.norm}`, [['@', 'weight:d', 'bias:d']]];
  const head: WrittenItem = [`?${words.head}`, [['@', 'weight:*d', 'bias:*']]];
  return permutations<WrittenItem>([token, positions, patches]).map((first): WrittenLayout => {
    const items = [...first, blocks, norm, head];
    return [words.title, items, ['111', '011', '110', '010'].map((present) => [present, 0] as const)];
  });
}

export const ownOrders: readonly WrittenLayout[] = [timm, transformers].flatMap(layoutsIn);
