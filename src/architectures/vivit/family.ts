import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { norm, withValue } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { tokenAt } from '../blocks/specialTokens';
import { activationOf, onlySizeOf, sideOf, sourcesOf, type Sources } from '../decide';
import { assumed, stored } from '../evidence';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import {
  behindClassToken,
  clipAssumable,
  cutOf,
  embedTubelets,
  framesOf,
  recogniseClips,
  tokensOf,
  withTable,
  type ClipConfig,
  type ClipMaps,
  type Cut,
} from '../groups/clips';
import { throughBlocks } from '../groups/plain';
import { answer } from '../heads/classifier';
import { vivitNames } from './names';

/** Sizes of Arnab et al. 2021 (table 1), of 2 frames a tubelet. */
const sizes = { '12 768': 'B', '24 1024': 'L', '32 1280': 'H' };

/** Frames that published models of 224 pixels have. */
const usualFrames = 32;

/** Frames by rows of the table of positions, for an image of the usual size. */
function framesByTable(rows: number, { tubelet, patch }: Cut): Evidence<number> {
  const places = Math.floor(224 / patch[0]) * Math.floor(224 / patch[1]);
  const frames = (rows / places) * tubelet;
  return Number.isInteger(frames / tubelet)
    ? assumed(frames, `pos_embed holds ${rows} rows, those of ${frames} frames of 224 pixels`)
    : assumed(usualFrames, 'as published; the weights do not tell frames and image size apart');
}

/** Image size that the table has rows for: squares, if nobody says another. */
function sizeOf(sources: Sources, rows: number, frames: number, { tubelet, patch }: Cut) {
  const places = (rows * tubelet) / frames;
  const side = Math.round(Math.sqrt(places));
  return onlySizeOf(
    sources,
    [side * patch[0], side * patch[1]],
    'pos_embed',
    ([height, width]) => Math.floor(height / patch[0]) * Math.floor(width / patch[1]) === places,
  );
}

function recognise(found: Found): Recognised<ClipConfig> | undefined {
  const sources = sourcesOf(found);
  const cut = cutOf(sources);
  const isSolid = found.tensors.get('patch_embed.proj.weight')?.shape.length === 5;
  if (!cut || !isSolid || !found.tensors.has('pos_embed')) return undefined;
  const rows = sideOf(found.tensors, 'pos_embed', 1) - 1;
  const frames = framesOf(sources, cut.tubelet, framesByTable(rows, cut));
  return recogniseClips(sources, {
    label: 'vivit',
    title: ['ViViT', sizes],
    cut,
    frames,
    size: sizeOf(sources, rows, frames.value, cut),
    pixels: 'half',
    activation: activationOf(sources, stored('gelu_fast', 'default of transformers’ ViViT')),
  });
}

/** Joint attention of all tubelets (Arnab et al. 2021, model 1, §3.3). */
function build(b: GraphBuilder, config: ClipConfig, options: BuildOptions): ClipMaps {
  const { value, grid } = embedTubelets(b, config, options);
  const placed = withTable(b, behindClassToken(b, value), 'pos_embed');
  const tokens = tokensOf(b, placed, { special: ['cls'], grid });
  const ends = throughBlocks(b, tokens, { ...config, norm_order: 'pre' });
  const last = at(ends, ends.length - 1);
  return { stages: [], tokens: withValue(last, norm(b, last.value, 'norm', config.eps)) };
}

/** ViViT (Arnab et al. 2021, "ViViT: A Video Vision Transformer") as transformers has it. */
export const vivit: Family<ClipConfig, ClipMaps> = {
  name: 'vivit',
  row: 'video',
  title: 'ViViT',
  names: vivitNames,
  // A pooler stands beside a model without classifier.
  idle: /^pooler\./,
  assumable: clipAssumable,
  recognise,
  build,
  head: (b, { tokens }) => {
    const all = sequence(b, tokens);
    answer(b, tokenAt(b, tokens, 0), all);
  },
};
