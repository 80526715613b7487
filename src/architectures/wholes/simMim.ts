import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, text, type ValueInfo } from '../../graph/graph';
import { withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, sequence, tokensToMap } from '../blocks/maps';
import { patchesOnly } from '../blocks/specialTokens';
import type { TokenMaps } from '../blocks/stages';
import { convolution } from '../blocks/convolution';
import { patchesOf } from '../heads/reconstruction';
import { shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import type { BuildOptions } from '../family';
import { settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { numberOfBackbone } from './innerLayers';

interface SimMimConfig {
  readonly patch: number;
}

const decoder = 'decoder.0';
const maskName = 'bool_masked_pos';

function recognise(found: FoundWhole): ReturnType<Whole<SimMimConfig>['recognise']> {
  const patch = numberOfBackbone(found, 'patch', 16);
  const [width = 0] = shapeOf(found.tensors, `${decoder}.weight`);
  const channels = numberOfBackbone(found, 'channels', 3);
  // The library cuts off a patch of models with a distillation token; none is published.
  if (width !== patch ** 2 * channels || found.backbone.label.includes('distilled')) return undefined;
  const ratio = settle<number>(found, 'mask_ratio', {
    config: [],
    otherwise: assumed(0.6, 'as published (Xie et al. 2022, §3.2); not stored in the weights'),
    is: (value) => typeof value === 'number' && value > 0 && value < 1,
    needed: 'a share between 0 and 1',
  });
  return {
    label: found.backbone.label,
    title: `${found.backbone.title} with SimMIM's decoder`,
    evidence: { decoder_dim: stored(width, `${decoder}.weight`), mask_ratio: ratio },
    config: { patch },
    reading: { task: 'reconstruct', patch, normalised: false, share: ratio.value } as const,
    // Positions of hidden patches are those of the table's own grid.
    sizeStep: [0, 0],
  };
}

/** Patches that are hidden replaced by the mask token, which has their positions (§3.1). */
function masked(b: GraphBuilder, tokens: Tokens, mask: ValueInfo): Tokens {
  const { batch, count, layout } = tokens;
  const special = layout.special?.length ?? 0;
  const all = sequence(b, tokens);
  const dim = at(all.shape, 2);
  const patches = b.slice(all, 1, special, count);
  const positions = b.slice(b.parameter('pos_embed'), 1, special, count);
  const hidden = b.add('Add', [b.parameter('mask_token', [1, 1, dim]), positions]);
  const isHidden = b.reshape(mask, [batch, count - special, 1]);
  const moved = b.add('Mul', [b.add('Sub', [hidden, patches]), isHidden]);
  const rows = b.concat([b.slice(all, 1, 0, special), b.add('Add', [patches, moved])], 1);
  return withValue(tokens, b.reshape(rows, [batch * count, dim]));
}

function build(b: GraphBuilder, { patch }: SimMimConfig, { backbone, batch }: PartContext): void {
  let mask: ValueInfo | undefined;
  const visible: BuildOptions['visible'] = (_, tokens) => {
    const [rows, columns] = gridOfLayout({ grid: tokens.layout.grid });
    mask = b.input(maskName, [batch, rows * columns]);
    return masked(b, tokens, mask);
  };
  const { tokens } = backbone({ visible }) as TokenMaps;
  const [pixels] = b.build().inputs;
  if (!pixels || !mask) throw new Error('the encoder of masked images is a plain transformer');
  const map = tokensToMap(b, patchesOnly(b, tokens));
  const drawn = convolution(b, map, decoder);
  const image = b.add('DepthToSpace', [drawn], { blocksize: int(patch), mode: text('CRD') });
  b.output('reconstruction', image, 'state');
  b.output('logits', patchesOf(b, image, gridOfLayout({ grid: tokens.layout.grid })), 'pixels');
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
