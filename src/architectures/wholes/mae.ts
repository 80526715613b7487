import { dtypes } from '../../checkpoint/tensors';
import { at, product } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { activate, residual, withValue, type Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { asSequence, projectedAttention } from '../blocks/projectedAttention';

import type { Maps } from '../blocks/stages';
import { patchesOf } from '../heads/reconstruction';
import { shapeOf } from '../decide';
import type { BuildOptions } from '../family';
import { headsOfWhole, type FoundWhole, type PartContext, type Whole } from '../whole';
import { layersOf, sideOf } from './detectors';
import { numberOfBackbone } from './innerLayers';
import {
  likeTheEncoder,
  lossOf,
  maskRatio,
  normalisedPatches,
  normPixels,
  rowsAt,
  sorting,
} from './maskedPatches';

interface MaeConfig {
  readonly depth: number;
  readonly heads: number;
  readonly activation: string;
  readonly eps: number;
  /** Share of the patches that the encoder does not see. */
  readonly ratio: number;
  /** Patches are drawn with their mean and deviation taken off. */
  readonly normalised: boolean;
}

const layers = 'decoder.decoder_layers';
const queryNames = ['attention.query', 'attention.key', 'attention.value', 'output.dense'] as const;

function recognise(found: FoundWhole): ReturnType<Whole<MaeConfig>['recognise']> {
  const [dim = 0] = shapeOf(found.tensors, 'decoder.decoder_embed.weight');
  const evidence = {
    decoder_depth: layersOf(found, layers),
    decoder_dim: sideOf(found, 'decoder.decoder_embed.weight', 0),
    decoder_heads: headsOfWhole(found, 'decoder_heads', dim, {
      config: ['decoder_num_attention_heads'],
    }),
    decoder_mlp_dim: sideOf(found, `${layers}.0.intermediate.dense.weight`, 0),
    mask_ratio: maskRatio(found, 0.75, 'as published (He et al. 2022, §4.1); not stored in the weights'),
    norm_pix_loss: normPixels(found, 'norm_pix_loss', false),
  };
  const patch = numberOfBackbone(found, 'patch', 16);
  return {
    label: found.backbone.label,
    title: `${found.backbone.title} with its decoder`,
    evidence,
    config: {
      depth: evidence.decoder_depth.value,
      heads: evidence.decoder_heads.value,
      activation: likeTheEncoder(found, 'activation', 'gelu'),
      eps: likeTheEncoder(found, 'eps', 1e-12),
      ratio: evidence.mask_ratio.value,
      normalised: evidence.norm_pix_loss.value,
    },
    reading: { task: 'reconstruct', patch, normalised: evidence.norm_pix_loss.value },
    // Its decoder has a table of positions for one grid alone.
    sizeStep: [0, 0],
  };
}

/** Which patches are seen, and where each stands in the shuffled order. */
interface Shuffle {
  /** `[batch, visible]`, in the order of the noise. */
  readonly kept: ValueInfo;
  /** `[batch, patches]` */
  readonly restore: ValueInfo;
}

/** Shuffles patches by noise: the lowest are seen (He et al. 2022, §3, "Simple implementation"). */
function shuffle(b: GraphBuilder, noise: ValueInfo, visible: number): Shuffle {
  const order = sorting(b, noise);
  return { kept: b.slice(order, 1, 0, visible), restore: sorting(b, order) };
}

/** The class token and the patches that are seen, in the order of the noise. */
function seenTokens(b: GraphBuilder, tokens: Tokens, kept: ValueInfo): Tokens {
  const { batch, layout } = tokens;
  const special = layout.special?.length ?? 0;
  const all = sequence(b, tokens);
  const [dim, visible] = [at(all.shape, 2), at(kept.shape, 1)];
  const rows = b.concat(
    [b.slice(all, 1, 0, special), rowsAt(b, b.slice(all, 1, special, tokens.count), kept)],
    1,
  );
  const count = special + visible;
  return {
    value: b.reshape(rows, [batch * count, dim]),
    batch,
    count,
    layout: { special: layout.special ?? [], sequence: visible },
  };
}

/** What the encoder saw, with the mask token wherever it saw nothing, in the image's order. */
function unshuffled(b: GraphBuilder, seen: Tokens, { restore }: Shuffle, grid: readonly number[]): Tokens {
  const { batch, count } = seen;
  const patches = product(grid);
  const narrow = b.linear(seen.value, 'decoder_embed');
  const dim = at(narrow.shape, 1);
  const rows = asSequence(b, narrow, batch);
  const hidden = patches - (count - 1);
  const masks = b.add('Expand', [b.parameter('mask_token', [1, 1, dim]), b.indices([batch, hidden, dim])]);
  const known = b.concat([b.slice(rows, 1, 1, count), masks], 1);
  const placed = b.concat([b.slice(rows, 1, 0, 1), rowsAt(b, known, restore)], 1);
  const positions = b.parameter('decoder_pos_embed', [1, patches + 1, dim]);
  return {
    value: b.reshape(b.add('Add', [placed, positions]), [batch * (patches + 1), dim]),
    batch,
    count: patches + 1,
    layout: { special: ['cls'], grid },
  };
}

/** A layer of the decoder: a transformer block under transformers' names. */
function layer(b: GraphBuilder, tokens: Tokens, { heads, activation, eps }: MaeConfig): Tokens {
  const normed = withValue(tokens, b.layerNorm(tokens.value, 'layernorm_before', eps));
  const attended = projectedAttention(
    b,
    'attention',
    { queries: normed, keys: normed },
    { heads, kind: 'self', names: queryNames },
  );
  const x = residual(b, tokens.value, attended);
  const wide = b.linear(b.layerNorm(x, 'layernorm_after', eps), 'intermediate.dense');
  return withValue(tokens, residual(b, x, b.linear(activate(b, wide, activation), 'output.dense')));
}

const hasTokens = (maps: Maps): maps is Maps & { readonly tokens: Tokens } => 'tokens' in maps;

function decode(b: GraphBuilder, seen: Tokens, order: Shuffle, grid: readonly number[], config: MaeConfig) {
  return b.scope('decoder', () => {
    let tokens = unshuffled(b, seen, order, grid);
    for (let index = 0; index < config.depth; index++)
      tokens = b.scope(`decoder_layers.${index}`, () => layer(b, tokens, config), {
        title: 'Transformer block of the decoder',
      });
    const normed = b.layerNorm(tokens.value, 'decoder_norm', config.eps);
    const drawn = asSequence(b, b.linear(normed, 'decoder_pred'), tokens.batch);
    return b.slice(drawn, 1, 1, tokens.count);
  });
}

/** The encoder on the patches that noise leaves visible, and the decoder on all of them. */
function build(b: GraphBuilder, config: MaeConfig, { backbone, batch }: PartContext): void {
  let order: Shuffle | undefined;
  let grid: readonly [number, number] = [0, 0];
  const visible: BuildOptions['visible'] = (_, tokens) => {
    const [rows = 0, columns = 0] = tokens.layout.grid ?? [];
    grid = [rows, columns];
    const patches = rows * columns;
    const noise = b.input('noise', [batch, patches]);
    order = shuffle(b, noise, Math.floor(patches * (1 - config.ratio)));
    return seenTokens(b, tokens, order.kept);
  };
  const maps = backbone({ visible });
  if (!order || !hasTokens(maps)) throw new Error('the encoder of masked images is a plain transformer');
  const [pixels] = b.build().inputs;
  if (!pixels) throw new Error('the encoder reads no pixels');
  const logits = decode(b, maps.tokens, order, grid, config);
  const patches = product(grid);
  const shown = at(order.kept.shape, 1);
  const isHidden = b.add('GreaterOrEqual', [order.restore, b.indices([shown])]);
  const mask = b.add('Cast', [isHidden], { to: int(dtypes.F32.onnx) });
  const target = patchesOf(b, pixels, grid);
  const aim = config.normalised ? normalisedPatches(b, target) : target;
  b.output('logits', logits, 'pixels');
  b.output('mask', mask, 'masks');
  b.output('ids_restore', order.restore, 'state');
  b.output('loss', lossOf(b, logits, aim, mask, (patches - shown) / patches), 'state');
  b.output('seen', b.reshape(pixels, pixels.shape), 'seen');
}

/** From the names that transformers 5 holds in memory to those of its files. */
const renames: Whole['renames'] = (
  [
    ['attention\\.q_proj', 'attention.attention.query'],
    ['attention\\.k_proj', 'attention.attention.key'],
    ['attention\\.v_proj', 'attention.attention.value'],
    ['attention\\.o_proj', 'attention.output.dense'],
    ['mlp\\.fc1', 'intermediate.dense'],
    ['mlp\\.fc2', 'output.dense'],
    ['', ''],
  ] as const
).map(([from, to]) => [
  new RegExp(`^decoder\\.decoder_(?:encoder\\.layer|layers)\\.(\\d+)\\.${from}`),
  `${layers}.$1.${to}`,
]);

/** MAE (He et al. 2022) with its decoder: what a model draws where it sees nothing. */
export const mae: Whole<MaeConfig> = {
  name: 'mae',
  row: 'vit',
  title: 'Masked autoencoder',
  task: 'reconstruct',
  isTower: true,
  signature: [
    'decoder.mask_token',
    'decoder.decoder_embed.weight',
    'decoder.decoder_pos_embed',
    `${layers}.0.layernorm_before.weight`,
    'decoder.decoder_pred.weight',
  ],
  renames,
  assumable: ['decoder_heads', 'mask_ratio', 'norm_pix_loss'],
  recognise,
  parts: [{ name: 'whole', build }],
};
