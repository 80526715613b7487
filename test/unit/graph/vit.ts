import { GraphBuilder, type ParameterSource, type ParameterView } from '../../../src/graph/builder';
import { int, type Graph } from '../../../src/graph/graph';

export interface VitSizes {
  readonly image: number;
  readonly patch: number;
  readonly dim: number;
  readonly heads: number;
  readonly depth: number;
  readonly ratio: number;
  readonly classes: number;
}

export const vitB16: VitSizes = {
  image: 224,
  patch: 16,
  dim: 768,
  heads: 12,
  depth: 12,
  ratio: 4,
  classes: 1000,
};

/** Parameters of a plain ViT with a class token, named as timm names them. */
export function vitParameters(sizes: VitSizes): ReadonlyMap<string, readonly number[]> {
  const { dim, patch, ratio, classes } = sizes;
  const tokens = (sizes.image / patch) ** 2 + 1;
  const block: Record<string, number[]> = {
    'norm1.weight': [dim],
    'norm1.bias': [dim],
    'attn.qkv.weight': [3 * dim, dim],
    'attn.qkv.bias': [3 * dim],
    'attn.proj.weight': [dim, dim],
    'attn.proj.bias': [dim],
    'norm2.weight': [dim],
    'norm2.bias': [dim],
    'mlp.fc1.weight': [ratio * dim, dim],
    'mlp.fc1.bias': [ratio * dim],
    'mlp.fc2.weight': [dim, ratio * dim],
    'mlp.fc2.bias': [dim],
  };
  return new Map<string, readonly number[]>([
    ['cls_token', [1, 1, dim]],
    ['pos_embed', [1, tokens, dim]],
    ['patch_embed.proj.weight', [dim, 3, patch, patch]],
    ['patch_embed.proj.bias', [dim]],
    ...Array.from({ length: sizes.depth }, (_, layer) =>
      Object.entries(block).map(([name, shape]) => [`blocks.${layer}.${name}`, shape] as const),
    ).flat(),
    ['norm.weight', [dim]],
    ['norm.bias', [dim]],
    ['head.weight', [classes, dim]],
    ['head.bias', [classes]],
  ]);
}

/** Parameters stored contiguously in float32 under their own names. */
export function sourceOf(parameters: ReadonlyMap<string, readonly number[]>): ParameterSource {
  return {
    find: (name): ParameterView | undefined => {
      const stored = parameters.get(name);
      return stored && { tensor: name, dtype: 'F32', stored, first: 0 };
    },
  };
}

/**
 * A plain pre-norm ViT (Dosovitskiy et al. 2021) at the size of `image`, which must be that of the
 * position embedding.
 */
export function buildVit(sizes: VitSizes, batch = 1, source = sourceOf(vitParameters(sizes))): Graph {
  const { dim, heads } = sizes;
  const side = sizes.image / sizes.patch;
  const tokens = side ** 2 + 1;
  const layout = { special: ['cls'], grid: [side, side] };
  const b = new GraphBuilder('vit', source);
  const pixels = b.input('pixel_values', [batch, 3, sizes.image, sizes.image]);
  const patches = b.scope('patch_embed', () => {
    const map = b.conv2d(pixels, 'proj', { stride: sizes.patch });
    return b.transpose(b.reshape(map, [batch, dim, side * side]), [0, 2, 1]);
  });
  const cls = b.parameter('cls_token');
  const row = batch === 1 ? cls : b.add('Expand', [cls, b.indices([batch, 1, dim])]);
  let x = b.add('Add', [b.concat([row, patches], 1), b.parameter('pos_embed')]);
  x = b.reshape(x, [batch * tokens, dim]);
  for (let layer = 0; layer < sizes.depth; layer++)
    x = b.scope(`blocks.${layer}`, () => {
      const normal = b.layerNorm(x, 'norm1', 1e-6);
      const mixed = b.scope('attn', () => {
        const qkv = b.transpose(
          b.reshape(b.linear(normal, 'qkv'), [batch, tokens, 3, heads, dim / heads]),
          [2, 0, 3, 1, 4],
        );
        const [q, k, v] = b.split(qkv, 3, 0).map((part) => b.add('Squeeze', [part, b.indices([0])]));
        const probe = { layer: `blocks.${layer}`, kind: 'self', queries: layout, keys: layout } as const;
        const out = b.attention(q!, k!, v!, { probe });
        return b.linear(b.reshape(b.transpose(out, [0, 2, 1, 3]), [batch * tokens, dim]), 'proj');
      });
      const attended = b.add('Add', [x, mixed]);
      const second = b.layerNorm(attended, 'norm2', 1e-6);
      const hidden = b.scope('mlp', () =>
        b.linear(b.add('Gelu', [b.linear(second, 'fc1')], {}, { name: 'act' }), 'fc2'),
      );
      return b.add('Add', [attended, hidden]);
    });
  const normal = b.layerNorm(b.reshape(x, [batch, tokens, dim]), 'norm', 1e-6);
  const first = b.add('Gather', [normal, b.constant('/first', 'I64', [], BigInt64Array.of(0n))], {
    axis: int(1),
  });
  b.output('logits', b.linear(first, 'head'), 'logits');
  return b.build();
}
