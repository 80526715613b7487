import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { residual, withValue, type Tokens } from '../blocks/layers';
import { meanOfTokens, sequence } from '../blocks/maps';
import { clipRotation } from '../blocks/rotary';
import { eachBlock } from '../blocks/stages';
import { mergeHeads, mlp, splitHeads } from '../blocks/transformer';
import { countOf, imageSizeOf, sourcesOf, type Sources } from '../decide';
import { assumed, stored } from '../evidence';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
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
import { preNormBlock } from '../groups/plainBlocks';
import { answer } from '../heads/classifier';
import type { Size } from '../../domain/size';
import { vjepa2Names } from './names';

/** Sizes of Assran et al. 2025 (V-JEPA 2, §2.4). */
const sizes = { '24 1024': 'L', '32 1280': 'H', '40 1408': 'g' };

interface VjepaConfig extends ClipConfig {
  /** Layers of self-attention in front of the pooling. */
  readonly poolerDepth: number;
}

/** The square that frames are cropped to: config.json has it under another key than others. */
function sizeOf({ found }: Sources): Evidence<Size> {
  const side = found.checkpoint.sidecars.config?.['crop_size'];
  return typeof side === 'number' && Number.isInteger(side) && side > 0
    ? stored<Size>([side, side], 'config.json: crop_size')
    : assumed<Size>([256, 256], 'the usual size; positions are not stored');
}

function recognise(found: Found): Recognised<VjepaConfig> | undefined {
  const sources = sourcesOf(found);
  const cut = cutOf(sources);
  if (!cut || found.tensors.get('patch_embed.proj.weight')?.shape.length !== 5) return undefined;
  const own = recogniseClips(sources, {
    label: 'vjepa2',
    title: ['V-JEPA 2', sizes],
    cut,
    frames: framesOf(sources, cut.tubelet, assumed(64, 'as published; positions are not stored')),
    size: imageSizeOf(sources, sizeOf(sources)),
    pixels: 'imagenet-1.0',
  });
  if (!own) return undefined;
  const layers = countOf(found.tensors, 'pooler');
  return {
    ...own,
    evidence: {
      ...own.evidence,
      ...(layers > 0 && { pooler_depth: stored(layers, 'pooler.self_attention_layers.*') }),
    },
    config: { ...own.config, poolerDepth: layers },
  };
}

/** Joint attention of all tubelets, turned by frame, row and column (§2.1). */
function build(b: GraphBuilder, config: VjepaConfig, options: BuildOptions): ClipMaps {
  const { value, grid } = embedTubelets(b, config, options);
  const tokens = tokensOf(b, value, { special: [], grid });
  const width = at(tokens.value.shape, 1) / config.heads;
  const rotation = b.shared('rotation', () => clipRotation(b, grid, width));
  const ends = eachBlock(b, tokens, {
    depth: config.depth,
    block: (each, index) => withValue(each, preNormBlock(b, each, { ...config, index, rotation })),
    note: { title: 'Transformer block' },
  });
  const last = at(ends, ends.length - 1);
  return { stages: [], tokens: withValue(last, b.layerNorm(last.value, 'norm', config.eps)) };
}

/** A learned query that looks at all tokens once, without a projection behind its heads. */
function pooledByQuery(b: GraphBuilder, tokens: Tokens, { heads, eps, activation }: VjepaConfig): ValueInfo {
  return b.scope(
    'pooler.cross',
    () => {
      const { batch } = tokens;
      const dim = at(tokens.value.shape, 1);
      // Its module is one up; only the query lies there.
      const asked = b.shared('pooler query', () => b.parameter('pooler.query', [1, dim]));
      const queries = batch === 1 ? asked : b.add('Expand', [asked, b.indices([batch, dim])]);
      const normed = b.layerNorm(tokens.value, 'norm1', eps);
      const split = (x: ValueInfo, name: string): ValueInfo =>
        splitHeads(b, b.linear(x, `attn.${name}`), batch, heads);
      const mixed = b.attention(split(queries, 'q_proj'), split(normed, 'k_proj'), split(normed, 'v_proj'), {
        probe: { layer: b.scopePath, kind: 'pool', queries: { special: ['probe'] }, keys: tokens.layout },
      });
      const x = residual(b, queries, mergeHeads(b, mixed));
      return residual(b, x, mlp(b, b.layerNorm(x, 'norm2', eps), 'mlp', { activation, eps }));
    },
    { title: 'Attentive pooling', formula: 'softmax(qKᵀ/√d)·V for a learned q' },
  );
}

/** The attentive pooler and the classifier; the mean of the tokens where there is none. */
function head(b: GraphBuilder, { tokens }: ClipMaps, config: VjepaConfig): void {
  const all = sequence(b, tokens);
  if (!b.has('pooler.query')) return answer(b, meanOfTokens(b, tokens), all);
  const ends = eachBlock(b, tokens, {
    depth: config.poolerDepth,
    path: 'pooler',
    block: (each, index) => withValue(each, preNormBlock(b, each, { ...config, index })),
    note: { title: 'Pooler block' },
  });
  answer(b, pooledByQuery(b, ends.at(-1) ?? tokens, config), all);
}

/** V-JEPA 2 (Assran et al. 2025): a plain transformer over clips with rotary positions. */
export const vjepa2: Family<VjepaConfig, ClipMaps> = {
  name: 'vjepa2',
  row: 'video',
  title: 'V-JEPA 2',
  names: vjepa2Names,
  assumable: clipAssumable,
  recognise,
  build,
  head,
};
