import { at } from '../../domain/lists';
import type { TokenLayout } from '../../domain/probes';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { tokenAt } from '../blocks/specialTokens';
import { eachBlock } from '../blocks/stages';
import { mlp, selfAttention } from '../blocks/transformer';
import { onlySizeOf, sideOf, sourcesOf } from '../decide';
import { stored } from '../evidence';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import {
  behindClassToken,
  clipAssumable,
  cutOf,
  embedTubelets,
  recogniseClips,
  type ClipConfig,
  type ClipMaps,
  type Tubelets,
} from '../groups/clips';
import { answer } from '../heads/classifier';
import { timesformerNames } from './names';

/** Sizes of Bertasius et al. 2021 (§4), all of ViT-B's depth and width. */
const sizes = { '12 768': 'B' };

function recognise(found: Found): Recognised<ClipConfig> | undefined {
  const sources = sourcesOf(found);
  const cut = cutOf(sources);
  const { tensors } = found;
  const isFlat = tensors.get('patch_embed.proj.weight')?.shape.length === 4;
  if (!cut || !isFlat || !tensors.has('time_embed') || !tensors.has('blocks.0.temporal_attn.qkv.weight'))
    return undefined;
  const places = sideOf(tensors, 'pos_embed', 1) - 1;
  const side = Math.round(Math.sqrt(places));
  const [height, width] = cut.patch;
  return recogniseClips(sources, {
    label: 'timesformer',
    title: ['TimeSformer', sizes],
    cut,
    frames: stored(sideOf(tensors, 'time_embed', 1), 'time_embed'),
    size: onlySizeOf(
      sources,
      [side * height, side * width],
      'pos_embed',
      ([rows, columns]) => Math.floor(rows / height) * Math.floor(columns / width) === places,
    ),
    pixels: 'kinetics',
  });
}

/** The clip as it runs through the blocks. */
interface Clip {
  /** `[batch, dim]` */
  readonly token: ValueInfo;
  /** Patches frame by frame, `[batch, frames · places, dim]`. */
  readonly patches: ValueInfo;
  readonly grid: Tubelets['grid'];
}

/**
 * `[batch, one · other, dim]` with its two axes changed, `[batch, other · one, dim]`; the order of
 * frames and places is all that it concerns.
 */
function turned(b: GraphBuilder, value: ValueInfo, one: number, other: number): ValueInfo {
  const [batch = 1, , dim = 0] = value.shape;
  const apart = b.reshape(value, [batch, one, other, dim]);
  return b.reshape(b.transpose(apart, [0, 2, 1, 3]), [batch, one * other, dim]);
}

/** Tokens of windows of one length and layout, each attending within itself. */
const windowsOf = (b: GraphBuilder, value: ValueInfo, windows: number, layout: TokenLayout): Tokens => {
  const dim = at(value.shape, -1 + value.shape.length);
  const count = value.shape.slice(0, -1).reduce((product, side) => product * side, 1) / windows;
  return { value: b.reshape(value, [windows * count, dim]), batch: windows, count, layout };
};

/** Each place attends to itself in the other frames (Bertasius et al. 2021, §3, "T"). */
function overTime(b: GraphBuilder, { patches, grid }: Clip, config: ClipConfig): ValueInfo {
  const [frames, rows, columns] = grid;
  const [batch = 1, count = 0, dim = 0] = patches.shape;
  const places = rows * columns;
  const byPlace = windowsOf(b, turned(b, patches, frames, places), batch * places, {
    special: [],
    grid: [frames, 1, 1],
  });
  const normed = withValue(byPlace, norm(b, byPlace.value, 'temporal_norm1', config.eps));
  const layer = `${b.scopePath}.temporal_attn`;
  const attended = selfAttention(b, normed, 'temporal_attn', layer, {
    ...config,
    record: { kind: 'window', window: { per: 'position', windows: [rows, columns] } },
  });
  const added = b.reshape(b.linear(attended, 'temporal_fc'), [batch, count, dim]);
  return residual(b, patches, turned(b, added, places, frames));
}

/** The class token and the patches of each frame among themselves ("S"); tokens are averaged. */
function overSpace(b: GraphBuilder, clip: Clip, patches: ValueInfo, config: ClipConfig): Clip {
  const [frames, rows, columns] = clip.grid;
  const [batch = 1, count = 0, dim = 0] = patches.shape;
  const places = rows * columns;
  const tokens = b.add('Expand', [
    b.reshape(clip.token, [batch, 1, 1, dim]),
    b.indices([batch, frames, 1, dim]),
  ]);
  const all = b.concat([tokens, b.reshape(patches, [batch, frames, places, dim])], 2);
  const byFrame = windowsOf(b, all, batch * frames, { special: ['cls'], grid: [1, rows, columns] });
  const normed = withValue(byFrame, norm(b, byFrame.value, 'norm1', config.eps));
  const attended = selfAttention(b, normed, 'attn', `${b.scopePath}.attn`, {
    ...config,
    record: { kind: 'window', window: { per: 'frame', windows: [frames, 1] } },
  });
  const apart = b.reshape(attended, [batch, frames, 1 + places, dim]);
  const told = b.mean(b.reshape(b.slice(apart, 2, 0, 1), [batch, frames, dim]), 1, false);
  const changed = b.reshape(b.slice(apart, 2, 1, 1 + places), [batch, count, dim]);
  return { ...clip, token: residual(b, clip.token, told), patches: residual(b, patches, changed) };
}

const whole = (b: GraphBuilder, { token, patches }: Clip): ValueInfo => {
  const [batch = 1, , dim = 0] = patches.shape;
  return b.concat([b.reshape(token, [batch, 1, dim]), patches], 1);
};

/** Divided space–time attention, then the MLP (Bertasius et al. 2021, §3, eq. 5–9). */
function divided(b: GraphBuilder, clip: Clip, config: ClipConfig): Clip {
  const seen = overSpace(b, clip, overTime(b, clip, config), config);
  const all = whole(b, seen);
  const [batch = 1, count = 0, dim = 0] = all.shape;
  const x = b.reshape(all, [batch * count, dim]);
  const fed = residual(b, x, mlp(b, norm(b, x, 'norm2', config.eps), 'mlp', config));
  return { ...seen, ...parted(b, b.reshape(fed, [batch, count, dim])) };
}

/** A sequence as its class token and its patches. */
function parted(b: GraphBuilder, all: ValueInfo): Pick<Clip, 'token' | 'patches'> {
  const [batch = 1, count = 0, dim = 0] = all.shape;
  return {
    token: b.reshape(b.slice(all, 1, 0, 1), [batch, dim]),
    patches: b.slice(all, 1, 1, count),
  };
}

/** Patches with positions of their places and frames; the class token has a place of its own. */
function embed(b: GraphBuilder, config: ClipConfig, options: BuildOptions): Clip {
  const { value, grid } = embedTubelets(b, config, options);
  const [frames, rows, columns] = grid;
  const [batch = 1, count = 0, dim = 0] = value.shape;
  const places = rows * columns;
  const table = b.parameter('pos_embed', [1, 1 + places, dim]);
  const ofPlaces = b.reshape(b.slice(table, 1, 1, 1 + places), [1, 1, places, dim]);
  const ofFrames = b.parameter('time_embed', [1, frames, 1, dim]);
  const apart = b.reshape(value, [batch, frames, places, dim]);
  const placed = b.add('Add', [b.add('Add', [apart, ofPlaces]), ofFrames]);
  const all = behindClassToken(b, b.reshape(placed, [batch, count, dim]));
  const { token, patches } = parted(b, all);
  return { token: b.add('Add', [token, b.reshape(b.slice(table, 1, 0, 1), [1, dim])]), patches, grid };
}

function build(b: GraphBuilder, config: ClipConfig, options: BuildOptions): ClipMaps {
  const embedded = embed(b, config, options);
  const ends = eachBlock(b, embedded, {
    depth: config.depth,
    block: (clip) => divided(b, clip, config),
    note: { title: 'Divided space–time block' },
  });
  const last = at(ends, ends.length - 1);
  const all = whole(b, last);
  const [batch = 1, count = 0, dim = 0] = all.shape;
  const normed = norm(b, b.reshape(all, [batch * count, dim]), 'norm', config.eps);
  return {
    stages: [],
    tokens: { value: normed, batch, count, layout: { special: ['cls'], grid: last.grid } },
  };
}

/** TimeSformer (Bertasius et al. 2021) with divided space–time attention. */
export const timesformer: Family<ClipConfig, ClipMaps> = {
  name: 'timesformer',
  row: 'video',
  title: 'TimeSformer',
  names: timesformerNames,
  assumable: clipAssumable.filter((key) => key !== 'frames'),
  recognise,
  build,
  head: (b, { tokens }) => {
    const all = sequence(b, tokens);
    answer(b, tokenAt(b, tokens, 0), all);
  },
};
