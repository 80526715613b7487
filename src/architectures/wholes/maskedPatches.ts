import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { assumed } from '../evidence';
import type { Evidence } from '../family';
import { settle, type FoundWhole } from '../whole';

/** What the decoder shares with the encoder, as the encoder has it. */
export function likeTheEncoder<T extends string | number>(
  { backbone }: FoundWhole,
  key: string,
  otherwise: T,
): T {
  const value = backbone.evidence[key]?.value;
  return typeof value === typeof otherwise ? (value as T) : otherwise;
}

/** Share of an image that is hidden from the encoder, which nothing stores. */
export const maskRatio = (found: FoundWhole, published: number, why: string): Evidence<number> =>
  settle<number>(found, 'mask_ratio', {
    config: ['mask_ratio'],
    otherwise: assumed(published, why),
    is: (value) => typeof value === 'number' && value > 0 && value < 1,
    needed: 'a share between 0 and 1',
  });

/** Whether patches are drawn with their mean and deviation taken off; `key` is config.json's. */
export const normPixels = (found: FoundWhole, key: string, usual: boolean): Evidence<boolean> =>
  settle<boolean>(found, 'norm_pix_loss', {
    config: [key],
    otherwise: assumed(usual, 'whether patches are normalised is not stored in the weights'),
    is: (value) => typeof value === 'boolean',
    needed: 'true or false',
  });

/** Indices that sort each row, the lowest first. */
export const sorting = (b: GraphBuilder, rows: ValueInfo): ValueInfo =>
  at(
    b.addMany('TopK', [rows, b.indices([at(rows.shape, 1)])], 2, {
      axis: int(-1),
      largest: int(0),
      sorted: int(1),
    }),
    1,
  );

/** Rows of `[batch, count, dim]` by indices `[batch, chosen]`. */
export function rowsAt(b: GraphBuilder, value: ValueInfo, indices: ValueInfo): ValueInfo {
  const [batch = 1, count = 0] = indices.shape;
  const dim = at(value.shape, 2);
  const wide = b.add('Expand', [b.reshape(indices, [batch, count, 1]), b.indices([batch, count, dim])]);
  return b.add('GatherElements', [value, wide], { axis: int(1) });
}

/** Patches with their own mean and deviation taken off; the variance is torch's, of n − 1. */
export function normalisedPatches(b: GraphBuilder, patches: ValueInfo): ValueInfo {
  const samples = at(patches.shape, 2);
  const centred = b.add('Sub', [patches, b.mean(patches, 2)]);
  const biased = b.mean(b.add('Mul', [centred, centred]), 2);
  const variance = b.add('Mul', [biased, b.scalar(samples / (samples - 1))]);
  return b.add('Div', [centred, b.add('Sqrt', [b.add('Add', [variance, b.scalar(1e-6)])])]);
}

/** Mean squared error over the patches that were hidden (He et al. 2022, §3). */
export function lossOf(
  b: GraphBuilder,
  logits: ValueInfo,
  target: ValueInfo,
  mask: ValueInfo,
  share: number,
): ValueInfo {
  const off = b.add('Sub', [logits, target]);
  const ofPatches = b.mean(b.add('Mul', [off, off]), 2, false);
  const ofImages = b.mean(b.add('Mul', [ofPatches, mask]), 1, false);
  return b.add('Mul', [b.mean(ofImages, 0, false), b.scalar(1 / share)]);
}
