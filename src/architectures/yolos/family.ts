import { at } from '../../domain/lists';
import type { Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { maybeNorm, withValue, type Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { resampled } from '../blocks/positions';
import { tokenAt } from '../blocks/specialTokens';
import { eachBlock, tokenStage, type TokenMaps } from '../blocks/stages';
import { patchEmbedding } from '../blocks/transformer';
import { partOf } from '../configKeys';
import { stored } from '../evidence';
import type { BuildOptions, Family, Found, Recognised } from '../family';
import { inPatches } from '../groups/patchGrid';
import { plainAssumable, recognisePlain } from '../groups/plain';
import { preNormBlock } from '../groups/plainBlocks';
import type { PlainConfig } from '../groups/plainConfig';
import { yolosNames } from './names';

/** Tokens that detections are read from, behind the patches. */
const token = 'det_token';

interface YolosConfig extends PlainConfig {
  readonly detections: number;
}

/** What a plain transformer is asked and this one has no use for. */
const notAsked: ReadonlySet<string> = new Set(['norm_order', 'pool', 'pool_prefix', 'position_slots']);

/**
 * Recognises a plain transformer with detection tokens, whose table of positions holds the class
 * token's row, the patches', then theirs: the patches alone tell the grid.
 */
function recognise(found: Found): Recognised<YolosConfig> | undefined {
  const detections = found.tensors.get(token)?.shape.at(-2);
  const table = found.tensors.get('pos_embed');
  const [one = 1, rows = 0, dim = 0] = table?.shape ?? [];
  if (!detections || !table || !found.tensors.has('cls_token') || rows <= detections + 1) return undefined;
  const patches = { ...table, shape: [one, rows - detections - 1, dim] };
  const tensors = new Map([...found.tensors, ['pos_embed', patches]]);
  tensors.delete('cls_token');
  const own = recognisePlain(partOf(found, tensors));
  if (!own) return undefined;
  const evidence = Object.entries(own.evidence).filter(([key]) => !notAsked.has(key));
  return {
    ...own,
    label: 'yolos',
    evidence: { ...Object.fromEntries(evidence), detections: stored(detections, token) },
    config: { ...own.config, detections },
  };
}

/** Positions of a table `[1, 1 + native + detections, dim]`, those of the patches resampled. */
function positions(b: GraphBuilder, table: ValueInfo, config: YolosConfig, grid: Size): ValueInfo {
  const rows = at(table.shape, 1);
  const patches = b.slice(table, 1, 1, rows - config.detections);
  return b.concat(
    [
      b.slice(table, 1, 0, 1),
      resampled(b, patches, config.grid, grid, config.resampling),
      b.slice(table, 1, rows - config.detections, rows),
    ],
    1,
  );
}

/** A sum with positions `[1, count, dim]`, the same for every image of the batch. */
function plus(b: GraphBuilder, tokens: Tokens, added: ValueInfo): Tokens {
  const sum = b.add('Add', [sequence(b, tokens), added]);
  return withValue(tokens, b.reshape(sum, [tokens.batch * tokens.count, at(added.shape, 2)]));
}

/** Class token, patches and detection tokens, with their positions. */
function embed(b: GraphBuilder, config: YolosConfig, { imageSize, batch }: BuildOptions): Tokens {
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const { patches, grid } = b.scope('patch_embed', () => patchEmbedding(b, pixels, config.patch), {
    title: 'Patch embedding',
  });
  const { dim, detections } = config;
  const learned = (name: string, count: number): ValueInfo => {
    const value = b.parameter(name, [1, count, dim]);
    return batch === 1 ? value : b.add('Expand', [value, b.indices([batch, count, dim])]);
  };
  const all = b.concat([learned('cls_token', 1), patches, learned(token, detections)], 1);
  const count = at(all.shape, 1);
  const layout = { special: ['cls'], grid, queries: detections };
  const tokens = { value: b.reshape(all, [batch * count, dim]), batch, count, layout };
  return plus(b, tokens, positions(b, b.parameter('pos_embed'), config, grid));
}

/** Positions that are added once more behind every block but the last; none if none are stored. */
function positionsBetween(b: GraphBuilder, config: YolosConfig, grid: Size): readonly ValueInfo[] {
  if (!b.has('mid_pos_embed')) return [];
  const [depth = 0, , rows = 0, dim = 0] = b.shapeOf('mid_pos_embed');
  const tables = b.reshape(b.parameter('mid_pos_embed'), [depth, rows, dim]);
  return Array.from({ length: depth }, (_, index) =>
    positions(b, b.slice(tables, 0, index, index + 1), config, grid),
  );
}

/** Writes the transformer over all tokens (Fang et al. 2021, YOLOS, §3). */
function build(b: GraphBuilder, config: YolosConfig, options: BuildOptions): TokenMaps {
  const embedded = embed(b, config, options);
  const between = positionsBetween(b, config, inPatches(options.imageSize, config.patch));
  const ends = eachBlock(b, embedded, {
    depth: config.depth,
    block: (tokens, index) => {
      const next = withValue(tokens, preNormBlock(b, tokens, { ...config, index }));
      const added = between[index];
      return added ? plus(b, next, added) : next;
    },
    note: { title: 'Transformer block' },
  });
  const tokens = at(ends, ends.length - 1);
  return {
    stages: ends.map((each) => tokenStage(each, options.imageSize)),
    tokens: withValue(tokens, maybeNorm(b, tokens.value, 'norm', config.eps)),
  };
}

/** Answers with all tokens: class token, patches, detections. */
function head(b: GraphBuilder, { tokens }: TokenMaps): void {
  b.output('features', tokenAt(b, tokens, 0), 'features');
  b.output('tokens', sequence(b, tokens), 'tokens');
}

/** YOLOS (Fang et al. 2021): a plain transformer that reads detections off tokens of their own. */
export const yolos: Family<YolosConfig, TokenMaps> = {
  name: 'yolos',
  row: 'vit',
  title: 'YOLOS',
  names: yolosNames,
  assumable: plainAssumable.filter((key) => !notAsked.has(key)),
  recognise,
  build,
  head,
};
