import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { tokenCount } from '../../domain/probes';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import { isResampling, resampled } from '../blocks/positions';
import { patchEmbedding } from '../blocks/transformer';
import type { BuildOptions, EvidenceRecord } from '../family';
import { numberOf, pairOf, wordOf } from '../figures';

/** Names of the tokens before the patches, in order. */
function specialTokens(b: GraphBuilder): readonly string[] {
  const registers = b.has('reg_token') ? b.shapeOf('reg_token')[1]! : 0;
  return [
    ...(b.has('cls_token') ? ['cls'] : []),
    ...(b.has('dist_token') ? ['dist'] : []),
    ...Array.from({ length: registers }, (_, index) => `reg${index}`),
  ];
}

/** Special tokens `[batch, n, dim]`, the first `slots` of them with the first rows of the position table added. */
function specials(b: GraphBuilder, slots: number, batch: number, dim: number): ValueInfo | undefined {
  const names = ['cls_token', 'dist_token', 'reg_token'].filter((name) => b.has(name));
  if (names.length === 0) return undefined;
  const parts = names.map((name) => b.parameter(name, [1, b.shapeOf(name).at(-2)!, dim]));
  const row = b.concat(parts, 1);
  const placed = slots === 0 ? row : withPositions(b, row, slots);
  return batch === 1 ? placed : b.add('Expand', [placed, b.indices([batch, row.shape[1]!, dim])]);
}

function withPositions(b: GraphBuilder, row: ValueInfo, slots: number): ValueInfo {
  const count = row.shape[1]!;
  const table = b.slice(b.parameter('pos_embed'), 1, 0, slots);
  const head = b.add('Add', [slots === count ? row : b.slice(row, 1, 0, slots), table]);
  return slots === count ? head : b.concat([head, b.slice(row, 1, slots, count)], 1);
}

/** Patches with their rows of the position table, which is resampled where the image has another grid than the table was made for. */
function placedPatches(
  b: GraphBuilder,
  patches: ValueInfo,
  grid: readonly [number, number],
  figures: EvidenceRecord,
): ValueInfo {
  if (!b.has('pos_embed')) return patches;
  const slots = numberOf(figures, 'position_slots');
  const whole = b.parameter('pos_embed');
  const rows = slots === 0 ? whole : b.slice(whole, 1, slots, whole.shape[1]!);
  const name = wordOf(figures, 'resampling');
  if (!isResampling(name)) throw new ParameterError('pos_embed', `resampling ${name} is not known`);
  return b.add('Add', [patches, resampled(b, rows, pairOf(figures, 'grid'), grid, name)]);
}

/**
 * Pixels `[batch, channels, height, width]` to the token sequence (Dosovitskiy et al. 2021, eq. 1), registers after the class token
 * (Darcet et al. 2023); without a position table nothing is added.
 */
export function embed(b: GraphBuilder, figures: EvidenceRecord, { imageSize, batch }: BuildOptions): Tokens {
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const eps = numberOf(figures, 'eps');
  const cut = b.scope(
    'patch_embed',
    () => {
      const { patches, grid } = patchEmbedding(b, pixels, pairOf(figures, 'patch'));
      return { patches: maybeNorm(b, patches, 'norm', eps), grid };
    },
    { title: 'Patch embedding' },
  );
  return placedTokens(b, cut, figures, batch);
}

/** Patches that have their positions behind the special tokens, of which the first `slots` have rows of the position table. */
export function behindSpecials(
  b: GraphBuilder,
  { patches, grid }: ReturnType<typeof patchEmbedding>,
  slots: number,
  batch: number,
): Tokens {
  const dim = patches.shape[2]!;
  const special = specials(b, slots, batch, dim);
  const layout = { special: specialTokens(b), grid };
  const count = tokenCount(layout);
  const value = b.reshape(special ? b.concat([special, patches], 1) : patches, [batch * count, dim]);
  return { value, batch, count, layout };
}

/** Patches `[batch, rows · columns, dim]` of a grid behind the special tokens, all with their positions. */
export function placedTokens(
  b: GraphBuilder,
  { patches, grid }: ReturnType<typeof patchEmbedding>,
  figures: EvidenceRecord,
  batch: number,
): Tokens {
  const placed = placedPatches(b, patches, grid, figures);
  const tokens = behindSpecials(b, { patches: placed, grid }, numberOf(figures, 'position_slots'), batch);
  return withValue(tokens, maybeNorm(b, tokens.value, 'norm_pre', numberOf(figures, 'eps')));
}
