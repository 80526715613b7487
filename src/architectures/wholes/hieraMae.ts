import { dtypes } from '../../checkpoint/tensors';
import { at, last, product } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { residual, withValue, type Tokens } from '../blocks/layers';
import {
  gridOf,
  gridOfLayout,
  gridTokens,
  mapToTokens,
  repeatedMap,
  sequence,
  tokensToMap,
} from '../blocks/maps';
import type { Maps } from '../blocks/stages';
import { mlp, selfAttention } from '../blocks/transformer';
import { windowPartition, windowsOf } from '../blocks/windows';
import { numbersIn, stored } from '../evidence';
import type { BuildOptions } from '../family';
import { patchesOf } from '../heads/reconstruction';
import { headsOfWhole, type FoundWhole, type PartContext, type RecognisedWhole, type Whole } from '../whole';
import { layersOf, ofFile, sideOf } from './detectors';
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

interface HieraMaeConfig {
  readonly depth: number;
  readonly heads: number;
  readonly activation: string;
  readonly eps: number;
  /** Share of the mask units that the encoder does not see. */
  readonly ratio: number;
  readonly normalised: boolean;
  /** Sides of a mask unit, in tokens of the first stage and in pixels. */
  readonly unit: Size;
  readonly step: Size;
}

const layers = 'decoder.decoder_block.layers';
const fusion = 'multiscale_fusion.multi_scale_fusion_heads';

/** Side of what the decoder draws of a token of the last stage. */
function drawnSide(found: FoundWhole): number {
  const channels = numberOfBackbone(found, 'channels', 3);
  return Math.sqrt(sideOf(found, 'decoder.decoder_pred.weight', 0).value / channels);
}

/** Rows and columns of the backbone's evidence, one number for both or two. */
function sidesOfBackbone({ backbone }: FoundWhole, key: string): Size | undefined {
  const sides = numbersIn(backbone.evidence[key]?.value ?? []);
  return sides.length > 0 ? [at(sides, 0), last(sides)] : undefined;
}

function recognise(found: FoundWhole): RecognisedWhole<HieraMaeConfig> | undefined {
  const patch = drawnSide(found);
  const [unit, stride] = (['mask_unit', 'patch_stride'] as const).map((key) => sidesOfBackbone(found, key));
  const dim = sideOf(found, 'decoder.decoder_embeddings.weight', 0);
  if (!unit || !stride || !Number.isInteger(patch)) return undefined;
  const evidence = {
    decoder_depth: layersOf(found, layers),
    decoder_dim: dim,
    decoder_heads: headsOfWhole(found, 'decoder_heads', dim.value, { config: ['decoder_num_heads'] }),
    decoder_mlp_dim: sideOf(found, `${layers}.0.mlp.fc1.weight`, 0),
    mask_ratio: maskRatio(found, 0.6, 'as published (Ryali et al. 2023, §4.1); not stored in the weights'),
    norm_pix_loss: normPixels(found, 'normalize_pixel_loss', true),
    decoder_patch: stored(patch, ofFile(found, 'decoder.decoder_pred.weight')),
  };
  return {
    label: found.backbone.label,
    title: `${found.backbone.title} with its decoder`,
    evidence,
    config: {
      depth: evidence.decoder_depth.value,
      heads: evidence.decoder_heads.value,
      activation: likeTheEncoder(found, 'activation', 'gelu'),
      eps: likeTheEncoder(found, 'eps', 1e-6),
      ratio: evidence.mask_ratio.value,
      normalised: evidence.norm_pix_loss.value,
      unit,
      step: [unit[0] * stride[0], unit[1] * stride[1]],
    },
    reading: { task: 'reconstruct', patch, normalised: evidence.norm_pix_loss.value },
    // Its decoder has a table of positions for one grid alone.
    sizeStep: [0, 0],
  };
}

/** Which mask units are seen; units are counted row by row. */
interface Units {
  readonly grid: Grid;
  /** How many are seen. */
  readonly seen: number;
  /** `[batch, units]`: the place of each among all, shuffled by noise. */
  readonly restore: ValueInfo;
  /** `[batch, units]`, 1 where a unit is seen. */
  readonly isSeen: ValueInfo;
  /** `[batch, units]`: first those that are seen, then the others, each in the image's order. */
  readonly order: ValueInfo;
}

/** Draws units by noise, of which the lowest are seen. */
function drawn(b: GraphBuilder, noise: ValueInfo, grid: Grid, seen: number): Units {
  const count = product(grid);
  const restore = sorting(b, sorting(b, noise));
  const asFloat = (value: ValueInfo): ValueInfo => b.add('Cast', [value], { to: int(dtypes.F32.onnx) });
  const isSeen = asFloat(b.add('Less', [restore, b.indices([seen])]));
  const numbers = b.constant(
    '/units',
    'F32',
    [1, count],
    Float32Array.from({ length: count }, (_, unit) => unit - count),
  );
  // Those that are seen come before all others: count · (1 − seen) + number, less the count.
  const keys = b.add('Sub', [numbers, b.add('Mul', [isSeen, b.scalar(count)])]);
  return { grid, seen, restore, isSeen, order: sorting(b, keys) };
}

/** The pixels of the units that are seen, zeros elsewhere: patches overlap. */
function uncovered(b: GraphBuilder, pixels: ValueInfo, { grid, isSeen }: Units): ValueInfo {
  const map = b.reshape(isSeen, [at(pixels.shape, 0), 1, ...grid]);
  return b.add('Mul', [pixels, repeatedMap(b, map, gridOf(pixels))]);
}

/** Units of `[batch · units, tokens · width]` by indices `[batch, chosen]`. */
function unitsAt(b: GraphBuilder, { value, batch, count }: Tokens, indices: ValueInfo): ValueInfo {
  const width = at(value.shape, 1);
  const units = at(indices.shape, 1);
  const each = b.reshape(value, [batch, (value.shape[0] ?? 0) / batch / count, count * width]);
  return b.reshape(rowsAt(b, each, indices), [batch * units * count, width]);
}

/** Tokens of the units that are seen, one unit below the other. */
function seenTokens(b: GraphBuilder, tokens: Tokens, units: Units, [down, across]: Size): Tokens {
  const inside = windowPartition(b, tokens, windowsOf(gridOfLayout(tokens.layout), [down, across]));
  const kept = b.slice(units.order, 1, 0, units.seen);
  const value = unitsAt(b, { ...inside, batch: tokens.batch }, kept);
  return gridTokens(value, tokens.batch, [units.seen * down, across]);
}

/**
 * The sum of all stages on the last one's grid, each brought there by a convolution (Ryali et al.
 * 2023, appendix).
 */
function fused(b: GraphBuilder, { stages }: Maps): ValueInfo {
  const maps = stages.flatMap(({ value }) => ('layout' in value ? [tokensToMap(b, value)] : []));
  return b.scope(
    fusion,
    () => {
      const brought = maps.map((map, stage) => {
        const name = `${stage}`;
        if (!b.has(`${name}.weight`)) return map;
        const [, , down = 1, across = 1] = b.shapeOf(`${name}.weight`);
        return convolution(b, map, name, { stride: [down, across], padding: 0 });
      });
      return brought.reduce((sum, map) => b.add('Add', [sum, map]));
    },
    { title: 'Fusion of the stages' },
  );
}

/**
 * What the encoder saw of units of `unit` tokens, with the mask token in all others, in the image's
 * order, with positions.
 */
function unshuffled(b: GraphBuilder, seen: Tokens, units: Units, unit: Grid): Tokens {
  const { batch } = seen;
  const [narrow, count] = [b.linear(seen.value, 'decoder_embeddings'), product(units.grid)];
  const dim = at(narrow.shape, 1);
  const area = product(unit);
  const hidden = (count - units.seen) * area;
  const rows = b.reshape(narrow, [batch, units.seen * area, dim]);
  const masks = b.add('Expand', [b.parameter('mask_token', [1, 1, dim]), b.indices([batch, hidden, dim])]);
  const all = b.reshape(b.concat([rows, masks], 1), [batch * count * area, dim]);
  const ordered = unitsAt(b, { ...seen, value: all, count: area }, sorting(b, units.order));
  const [down, across] = units.grid;
  const cut = b.reshape(ordered, [batch, down, across, ...unit, dim]);
  const grid: Grid = [down * unit[0], across * unit[1]];
  const spread = b.reshape(b.transpose(cut, [0, 1, 3, 2, 4, 5]), [batch, count * area, dim]);
  const positions = b.parameter('decoder_position_embeddings', [1, count * area, dim]);
  const placed = b.add('Add', [spread, positions]);
  return gridTokens(b.reshape(placed, [batch * count * area, dim]), batch, grid);
}

/** A layer of the decoder, which sees all tokens. */
function layer(b: GraphBuilder, tokens: Tokens, { heads, activation, eps }: HieraMaeConfig): Tokens {
  const normed = withValue(tokens, b.layerNorm(tokens.value, 'layernorm_before', eps));
  const attended = selfAttention(b, normed, 'attn', `${b.scopePath}.attn`, { heads, eps });
  const x = residual(b, tokens.value, attended);
  return withValue(
    tokens,
    residual(b, x, mlp(b, b.layerNorm(x, 'layernorm_after', eps), 'mlp', { activation, eps })),
  );
}

function decoded(b: GraphBuilder, seen: Tokens, units: Units, unit: Grid, config: HieraMaeConfig): Tokens {
  return b.scope('decoder', () => {
    let tokens = unshuffled(b, seen, units, unit);
    for (let index = 0; index < config.depth; index++)
      tokens = b.scope(`decoder_block.layers.${index}`, () => layer(b, tokens, config), {
        title: 'Transformer block of the decoder',
      });
    return withValue(tokens, b.linear(b.layerNorm(tokens.value, 'decoder_norm', config.eps), 'decoder_pred'));
  });
}

/** What is drawn, whose samples go channel by channel, in the order of `patchesOf`. */
function byPixels(b: GraphBuilder, logits: ValueInfo, channels: number): ValueInfo {
  const [batch, count, samples] = logits.shape as readonly [number, number, number];
  const cut = b.reshape(logits, [batch, count, channels, samples / channels]);
  return b.reshape(b.transpose(cut, [0, 1, 3, 2]), logits.shape);
}

/** 1 for each token of the last stage whose unit is hidden, `[batch, tokens]`. */
function hiddenTokens(b: GraphBuilder, { grid, isSeen }: Units, fine: Grid): ValueInfo {
  const [batch = 1] = isSeen.shape;
  const map = b.reshape(b.add('Sub', [b.scalar(1), isSeen]), [batch, 1, ...grid]);
  return b.reshape(repeatedMap(b, map, fine), [batch, product(fine)]);
}

/** The encoder on the mask units that noise leaves visible, and the decoder on all of them. */
function build(b: GraphBuilder, config: HieraMaeConfig, { backbone, batch, imageSize }: PartContext): void {
  const { unit, step, ratio, eps } = config;
  const grid: Grid = [imageSize[0] / step[0], imageSize[1] / step[1]];
  const count = product(grid);
  let units: Units | undefined;
  let pixels: ValueInfo | undefined;
  const hide: BuildOptions['uncovered'] = (_, given) => {
    pixels = given;
    units = drawn(b, b.input('noise', [batch, count]), grid, Math.floor(count * (1 - ratio)));
    return uncovered(b, given, units);
  };
  const visible: BuildOptions['visible'] = (_, tokens) =>
    units ? seenTokens(b, tokens, units, unit) : tokens;
  const maps = backbone({ uncovered: hide, visible });
  if (!units || !pixels) throw new Error('the encoder of masked images hides none of their units');
  const map = mapToTokens(b, fused(b, maps));
  const [rows, columns] = gridOfLayout(map.layout);
  const seen = withValue(map, b.layerNorm(map.value, 'encoder_norm', eps));
  const tokens = decoded(b, seen, units, [rows / units.seen, columns], config);
  answer(b, tokens, units, pixels, config);
}

function answer(
  b: GraphBuilder,
  tokens: Tokens,
  units: Units,
  pixels: ValueInfo,
  { normalised }: HieraMaeConfig,
): void {
  const logits = sequence(b, tokens);
  const fine = gridOfLayout(tokens.layout);
  const patches = byPixels(b, logits, at(pixels.shape, 1));
  const hidden = hiddenTokens(b, units, fine);
  const target = patchesOf(b, pixels, fine);
  const aim = normalised ? normalisedPatches(b, target) : target;
  const count = product(units.grid);
  b.output('logits', logits, 'state');
  b.output('patches', patches, 'pixels');
  b.output('mask', hidden, 'masks');
  b.output('bool_masked_pos', b.add('Sub', [b.scalar(1), hidden]), 'state');
  b.output('ids_restore', units.restore, 'state');
  b.output('loss', lossOf(b, patches, aim, hidden, (count - units.seen) / count), 'state');
  b.output('seen', b.reshape(pixels, pixels.shape), 'seen');
}

/** Hiera's masked autoencoder (Ryali et al. 2023, §4.1): whole mask units are hidden. */
export const hieraMae: Whole<HieraMaeConfig> = {
  name: 'hiera-mae',
  row: 'hiera',
  title: 'Masked autoencoder of Hiera',
  task: 'reconstruct',
  isTower: true,
  signature: [
    'decoder.mask_token',
    'decoder.decoder_embeddings.weight',
    'decoder.decoder_position_embeddings',
    `${layers}.0.layernorm_before.weight`,
    'decoder.decoder_pred.weight',
    `${fusion}.0.weight`,
    'encoder_norm.weight',
  ],
  assumable: ['decoder_heads', 'mask_ratio', 'norm_pix_loss'],
  recognise,
  parts: [{ name: 'whole', build }],
};
