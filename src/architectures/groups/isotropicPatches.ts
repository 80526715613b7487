import type { Sides } from '../../domain/probes';
import type { Evidence, EvidenceRecord, Found, Recognised } from '../family';
import { configOf, sideOrPair, stored, type ConfigOf } from '../evidence';
import { sizeTitle, type Sizes } from '../sizes';
import { recognisedFrom, sourcesOf } from '../decide';
import { isotropicEvidence, poolOf, type IsotropicEvidence } from './isotropicConfig';
import { positionsOf, type PositionTable } from './positionTable';

/** What every isotropic model with a table of patches and a class token shows. */
type PatchesEvidence = IsotropicEvidence & {
  readonly patch: Evidence<Sides>;
  readonly channels: Evidence<number>;
  readonly pool: Evidence<'token' | 'avg'>;
} & PositionTable['evidence'];

interface IsotropicFamily<S> {
  readonly label: string;
  /** The family's name and its published sizes, by depth and width. */
  readonly title: readonly [family: string, sizes: Sizes];
  /** The family's own evidence; undefined if the file is not of this family. */
  readonly own: (tensors: Found['tensors']) => S | undefined;
}

/**
 * Recognises an isotropic model whose patches have a table of positions, `pos_embed`, and whose
 * class token may be pooled; undefined if one of its parts is missing.
 */
export function recogniseIsotropic<S extends EvidenceRecord>(
  found: Found,
  { label, title, own: ownOf }: IsotropicFamily<S>,
): Recognised<ConfigOf<PatchesEvidence & S>> | undefined {
  const { tensors } = found;
  const sources = sourcesOf(found);
  const isotropic = isotropicEvidence(sources);
  const own = ownOf(tensors);
  const [, channels, height, width] = tensors.get('patch_embed.proj.weight')?.shape ?? [];
  if (!isotropic || !own || !channels || !height || !width) return undefined;
  const positions = positionsOf(sources, [height, width]);
  if (!positions) return undefined;
  const settled = {
    ...isotropic,
    ...own,
    patch: stored(sideOrPair([height, width]), 'patch_embed.proj.weight'),
    channels: stored(channels, 'patch_embed.proj.weight'),
    pool: poolOf(sources, ['token', 'avg'], 'cls_token'),
    ...positions.evidence,
  };
  return recognisedFrom(sources, {
    label,
    title: sizeTitle(...title, [isotropic.depth.value], [isotropic.dim.value]),
    evidence: settled,
    config: configOf<PatchesEvidence & S>(settled),
    imageSize: positions.imageSize,
    sizeStep: [height, width],
    pixels: 'imagenet',
    warnings: positions.warnings,
  });
}
