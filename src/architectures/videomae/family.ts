import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import { meanOfTokens, sequence } from '../blocks/maps';
import { tokenAt } from '../blocks/specialTokens';
import { imageSizeOf, sourcesOf } from '../decide';
import { assumed } from '../evidence';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import {
  clipAssumable,
  cutOf,
  embedTubelets,
  framesOf,
  recogniseClips,
  tokensOf,
  type ClipConfig,
  type ClipMaps,
} from '../groups/clips';
import { throughBlocks } from '../groups/plain';
import { answer } from '../heads/classifier';
import { videoMaeNames } from './names';
import { room } from '../../graph/limits';

/** Sizes of Tong et al. 2022 (VideoMAE, table 8). */
const sizes = { '12 384': 'S', '12 768': 'B', '24 1024': 'L', '32 1280': 'H' };

/** Epsilon of the norm of the mean, which is torch's default whatever the others have. */
const meanEps = 1e-5;

function recognise(found: Found): Recognised<ClipConfig> | undefined {
  const sources = sourcesOf(found);
  const cut = cutOf(sources);
  const isSolid = found.tensors.get('patch_embed.proj.weight')?.shape.length === 5;
  if (!cut || !isSolid || found.tensors.has('pos_embed') || found.tensors.has('cls_token')) return undefined;
  return recogniseClips(sources, {
    label: 'videomae',
    title: ['VideoMAE', sizes],
    cut,
    frames: framesOf(sources, cut.tubelet, assumed(16, 'as published; positions are not stored')),
    anyFrames: true,
    size: imageSizeOf(sources, assumed([224, 224], 'the usual size; positions are not stored')),
    pixels: 'imagenet-1.0',
  });
}

/**
 * Sines and cosines of a token's place in the whole sequence, in turns (Vaswani et al. 2017, §3.5),
 * `[1, count, dim]`: place / 10000^(2·⌊k / 2⌋ / dim).
 */
function sineTable(b: GraphBuilder, count: number, dim: number): ValueInfo {
  const table = Float32Array.from({ length: room(count * dim) }, (_, index) => {
    const [place, k] = [Math.floor(index / dim), index % dim];
    const angle = place / 10000 ** ((2 * Math.floor(k / 2)) / dim);
    return k % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
  return b.constant('/positions', 'F32', [1, count, dim], table);
}

function build(b: GraphBuilder, config: ClipConfig, options: BuildOptions): ClipMaps {
  const { value, grid } = embedTubelets(b, config, options);
  const [, count = 0, dim = 0] = value.shape;
  const placed = b.add('Add', [value, sineTable(b, count, dim)]);
  const ends = throughBlocks(b, tokensOf(b, placed, { special: [], grid }), { ...config, norm_order: 'pre' });
  const last = at(ends, ends.length - 1);
  return { stages: [], tokens: withValue(last, maybeNorm(b, last.value, 'norm', config.eps)) };
}

/** The norm of the mean of all tokens; without it the first token. */
const pooled = (b: GraphBuilder, tokens: Tokens): ValueInfo =>
  b.has('fc_norm.weight') ? maybeNorm(b, meanOfTokens(b, tokens), 'fc_norm', meanEps) : tokenAt(b, tokens, 0);

/** VideoMAE (Tong et al. 2022): joint attention of all tubelets, without a class token. */
export const videoMae: Family<ClipConfig, ClipMaps> = {
  name: 'videomae',
  row: 'video',
  title: 'VideoMAE',
  names: videoMaeNames,
  assumable: clipAssumable,
  recognise,
  build,
  head: (b, { tokens }) => {
    const all = sequence(b, tokens);
    answer(b, pooled(b, tokens), all);
  },
};
