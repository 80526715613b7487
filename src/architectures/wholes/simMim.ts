import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, text, type ValueInfo } from '../../graph/graph';
import { withValue, type Tokens } from '../blocks/layers';
import { sequence, tokensToMap } from '../blocks/maps';
import { patchesOnly } from '../blocks/specialTokens';
import type { TokenMaps } from '../blocks/stages';
import { convolution } from '../blocks/convolution';
import { patchesOf } from '../heads/reconstruction';
import { shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import type { BuildOptions } from '../family';
import { settle, type FoundWhole, type PartContext, type RecognisedWhole, type Whole } from '../whole';
import { numberOfBackbone } from './innerLayers';

interface SimMimConfig {
  /** Side of a patch in pixels, and of the part of the image that the decoder draws of a token. */
  readonly patch: number;
  readonly stride: number;
  /** Whole images are read as well, if `lengths` says `shown`. */
  readonly readsWhole: boolean;
}

const decoder = 'decoder.0';
const maskName = 'bool_masked_pos';

/** The share of hidden patches, which nothing stores. */
const ratioOf = (found: FoundWhole) =>
  settle<number>(found, 'mask_ratio', {
    config: [],
    otherwise: assumed(0.6, 'as published (Xie et al. 2022, §3.2); not stored in the weights'),
    is: (value) => typeof value === 'number' && value > 0 && value < 1,
    needed: 'a share between 0 and 1',
  });

function recognise(found: FoundWhole): ReturnType<Whole<SimMimConfig>['recognise']> {
  const patch = numberOfBackbone(found, 'patch', 16);
  const [width = 0] = shapeOf(found.tensors, `${decoder}.weight`);
  const channels = numberOfBackbone(found, 'channels', 3);
  // The library cuts off a patch of models with a distillation token; none is published.
  if (width !== patch ** 2 * channels || found.backbone.label.includes('distilled')) return undefined;
  return described(found, { patch, stride: patch, readsWhole: false });
}

/** Over windows: the decoder draws as many pixels as the last stage's tokens stand for. */
function recogniseShifted(found: FoundWhole): ReturnType<Whole<SimMimConfig>['recognise']> {
  const patch = numberOfBackbone(found, 'patch', 4);
  const [width = 0] = shapeOf(found.tensors, `${decoder}.weight`);
  const stride = Math.sqrt(width / numberOfBackbone(found, 'channels', 3));
  const { imageSize = [0, 0] } = found.backbone;
  const divides = Number.isInteger(stride / patch) && imageSize.every((side) => side % stride === 0);
  return divides ? described(found, { patch, stride, readsWhole: true }) : undefined;
}

function described(found: FoundWhole, config: SimMimConfig): RecognisedWhole<SimMimConfig> {
  const { patch, stride } = config;
  const ratio = ratioOf(found);
  const unit = stride / patch;
  const square = assumed(stride, `as published: squares of ${stride} × ${stride} pixels; not stored`);
  return {
    label: found.backbone.label,
    title: `${found.backbone.title} with SimMIM's decoder`,
    evidence: {
      decoder_dim: stored(shapeOf(found.tensors, `${decoder}.weight`)[0] ?? 0, `${decoder}.weight`),
      mask_ratio: ratio,
      ...(unit > 1 && { mask_patch: square }),
    },
    config,
    reading: {
      task: 'reconstruct',
      patch,
      normalised: false,
      share: ratio.value,
      ...(unit > 1 && { unit }),
    },
    // Hidden patches are those of the model's own grid.
    sizeStep: [0, 0],
  };
}

/**
 * Patches that are hidden replaced by the mask token, which has their positions if they have any
 * (§3.1).
 */
function masked(b: GraphBuilder, tokens: Tokens, mask: ValueInfo): Tokens {
  const { batch, count, layout } = tokens;
  const special = layout.special?.length ?? 0;
  const all = sequence(b, tokens);
  const dim = at(all.shape, 2);
  const patches = b.slice(all, 1, special, count);
  const token = b.parameter('mask_token', [1, 1, dim]);
  const hidden = b.has('pos_embed')
    ? b.add('Add', [token, b.slice(b.parameter('pos_embed'), 1, special, count)])
    : token;
  const isHidden = b.reshape(mask, [batch, count - special, 1]);
  const moved = b.add('Mul', [b.add('Sub', [hidden, patches]), isHidden]);
  const seen = b.add('Add', [patches, moved]);
  const rows = special > 0 ? b.concat([b.slice(all, 1, 0, special), seen], 1) : seen;
  return withValue(tokens, b.reshape(rows, [batch * count, dim]));
}

function build(
  b: GraphBuilder,
  { patch, stride, readsWhole }: SimMimConfig,
  { backbone, batch, imageSize, lengths }: PartContext,
): void {
  const grid = [imageSize[0] / patch, imageSize[1] / patch] as const;
  let mask: ValueInfo | undefined;
  const visible: BuildOptions['visible'] = (_, tokens) => {
    mask = b.input(maskName, [batch, grid[0] * grid[1]]);
    return masked(b, tokens, mask);
  };
  const hides = !(readsWhole && lengths['shown']);
  const { tokens } = backbone(hides ? { visible } : {}) as TokenMaps;
  const [pixels] = b.build().inputs;
  const drawn = convolution(b, tokensToMap(b, patchesOnly(b, tokens)), decoder);
  const image = b.add('DepthToSpace', [drawn], { blocksize: int(stride), mode: text('CRD') });
  b.output('reconstruction', image, hides ? 'state' : 'pixels');
  if (!hides) return;
  if (!pixels || !mask) throw new Error('the encoder of masked images hides none of them');
  b.output('logits', patchesOf(b, image, grid), 'pixels');
  b.output('mask', b.reshape(mask, mask.shape), 'masks');
  b.output('seen', b.reshape(pixels, pixels.shape), 'seen');
}

/** SimMIM (Xie et al. 2022) over a plain transformer: hidden patches, drawn by one layer. */
export const simMim: Whole<SimMimConfig> = {
  name: 'simmim',
  row: 'vit',
  title: 'SimMIM',
  task: 'reconstruct',
  isTower: true,
  signature: ['vit.embeddings.mask_token', 'vit.embeddings.position_embeddings', `${decoder}.weight`],
  assumable: ['mask_ratio'],
  recognise,
  parts: [{ name: 'whole', build }],
};

/** The same over windows (Xie et al. 2022, §4.1): Swin and Swin V2. */
const overWindows = (name: string, title: string): Whole<SimMimConfig> => ({
  name: `simmim-${name}`,
  row: name,
  title: `SimMIM over ${title}`,
  task: 'reconstruct',
  isTower: true,
  signature: [`${name}.embeddings.mask_token`, `${decoder}.weight`],
  assumable: ['mask_ratio'],
  recognise: recogniseShifted,
  parts: [{ name: 'whole', build }],
});

export const simMimSwin = overWindows('swin', 'Swin');
export const simMimSwinV2 = overWindows('swinv2', 'Swin V2');
