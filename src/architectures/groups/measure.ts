import { at } from '../../domain/lists';
import type { Size } from '../../domain/size';
import type { Translated } from '../dialect';
import { listLength } from '../listLength';

/** What names and shapes of a plain transformer show without doubt. */
export interface Measures {
  readonly dim: number;
  readonly depth: number;
  /** Hidden width of the MLP; with a gate, of one of its halves. */
  readonly mlp: number;
  readonly patch: Size;
  readonly channels: number;
  /** Values of a patch, if it is flattened before a linear embedding. */
  readonly flattened?: number;
  /** Width of the queries: that of all heads together, which need not be the model's. */
  readonly inner: number;
  /** Rows of the position table; 0 if there is none. */
  readonly positions: number;
  /** Tokens before the patches, in order. */
  readonly classToken: boolean;
  readonly distillationToken: boolean;
  readonly registers: number;
  /** Outputs of the classifier; 0 if there is none. */
  readonly classes: number;
  /** Names of the variant's parts, part of the published table's key: `cls pre ls`. */
  readonly traits: string;
}

type Parameters = ReadonlyMap<string, Pick<Translated, 'shape'>>;

const traits: readonly (readonly [trait: string, names: readonly string[]])[] = [
  ['cls', ['cls_token']],
  ['dist', ['dist_token']],
  ['reg', ['reg_token']],
  ['pre', ['norm_pre.weight']],
  ['ls', ['blocks.0.ls1.gamma', 'blocks.0.ls.gamma', 'blocks.0.attns.0.ls.gamma']],
  ['map', ['attn_pool.latent']],
  ['fc_norm', ['fc_norm.weight']],
  ['norm', ['norm.weight']],
  ['qk_norm', ['blocks.0.attn.q_norm.weight', 'blocks.0.q_norm.weight']],
  ['qkv_bias', ['blocks.0.attn.qkv.bias', 'blocks.0.attn.q_proj.bias', 'blocks.0.in_proj.bias']],
  ['gate', ['blocks.0.mlp.fc1_g.weight']],
  ['parallel', ['blocks.0.in_proj.weight', 'blocks.0.attns.0.norm.weight']],
  ['diff', ['blocks.0.sub_norm.weight', 'blocks.0.attn.sub_norm.weight']],
  ['scale_norm', ['blocks.0.attn.norm.weight']],
];

/** Width of a linear layer's input or output; undefined if the parameter is not there. */
function width(parameters: Parameters, name: string, axis: 0 | 1): number | undefined {
  return parameters.get(name)?.shape[axis];
}

/**
 * Hidden width of the MLP in whichever kind of block this is; `dim` is taken off a fused output
 * projection.
 */
function mlpWidth(parameters: Parameters, dim: number): number | undefined {
  const fused = width(parameters, 'blocks.0.out_proj.weight', 1);
  return (
    width(parameters, 'blocks.0.mlp.fc2.weight', 1) ??
    width(parameters, 'blocks.0.ffns.0.mlp.fc2.weight', 1) ??
    width(parameters, 'blocks.0.mlp_out_proj.weight', 1) ??
    (fused && fused - dim)
  );
}

/** Channels that images of a flattened patch may have, the usual first. */
const usualChannels = [3, 1, 4] as const;

/** Sides and channels of a patch. */
type Cut = Pick<Measures, 'patch' | 'channels' | 'flattened'>;

/** What patches of `width` values may be: squares of as many channels as images have. */
export const cutsOf = (width: number): readonly Cut[] =>
  usualChannels.flatMap((channels) => {
    const side = Math.sqrt(width / channels);
    return Number.isInteger(side) ? [{ patch: [side, side] as Size, channels, flattened: width }] : [];
  });

/**
 * A patch by the kernel of a convolution, or by the input width of a linear embedding: as the user
 * says, else a square of three channels, or of one or four.
 */
function cutOf(shape: readonly number[], told: Size | undefined): Cut | undefined {
  const [, width = 0, ...sides] = shape;
  if (shape.length === 4) return { patch: [at(sides, 0), at(sides, 1)], channels: width };
  if (shape.length !== 2) return undefined;
  if (!told) return cutsOf(width)[0];
  const channels = width / (told[0] * told[1]);
  return Number.isInteger(channels) ? { patch: told, channels, flattened: width } : undefined;
}

/** Width of the queries of block 0: a third of a fused product's outputs. */
function innerWidth(parameters: Parameters, dim: number): number {
  const fused = width(parameters, 'blocks.0.attn.qkv.weight', 0);
  return width(parameters, 'blocks.0.attn.q_proj.weight', 0) ?? (fused === undefined ? dim : fused / 3);
}

/**
 * Measures a plain transformer; undefined if a patch embedding or blocks are missing.
 *
 * @param told sides of a patch as the user says, which flattened patches do not show
 */
export function measure(parameters: Parameters, told?: Size): Measures | undefined {
  const embedding = parameters.get('patch_embed.proj.weight')?.shape;
  const cut = embedding && cutOf(embedding, told);
  const dim = embedding?.[0];
  const mlp = dim && mlpWidth(parameters, dim);
  if (!cut || !dim || !mlp) return undefined;
  const head = ['classifier', 'head', 'projection']
    .map((name) => parameters.get(`${name}.weight`))
    .find((found) => found !== undefined);
  return {
    dim,
    depth: depthOf(parameters),
    mlp,
    ...cut,
    inner: innerWidth(parameters, dim),
    positions: parameters.get('pos_embed')?.shape.at(-2) ?? 0,
    classToken: parameters.has('cls_token'),
    distillationToken: parameters.has('dist_token'),
    registers: parameters.get('reg_token')?.shape.at(-2) ?? 0,
    classes: head?.shape[0] ?? 0,
    traits: traits
      .filter(([, names]) => names.some((name) => parameters.has(name)))
      .map(([trait]) => trait)
      .join(' '),
  };
}

function depthOf(parameters: Parameters): number {
  const indices = [...parameters.keys()].map((name) => Number(/^blocks\.(\d+)\./.exec(name)?.[1] ?? -1));
  return listLength('blocks', indices);
}

/** Key of the published table. */
export function publishedKey({ dim, depth, mlp, patch }: Measures): string {
  const [height, width] = patch;
  return `${dim}/${depth}/${mlp}/${height === width ? height : `${height}x${width}`}`;
}

/**
 * Whether these are the weights of a Perception Encoder (Bolya et al. 2025): it rotates queries and
 * keys, which no weight shows; only its ends differ from those of CLIP's image tower.
 */
export function isPerceptionEncoder(parameters: Parameters): boolean {
  const normed = parameters.has('norm.weight') || parameters.has('fc_norm.weight');
  const pooled = parameters.has('attn_pool.latent');
  return parameters.has('norm_pre.weight') && (pooled || !normed);
}
