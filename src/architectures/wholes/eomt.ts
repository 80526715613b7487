import { at } from '../../domain/lists';
import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution, transposedConvolution } from '../blocks/convolution';
import { activate, type Tokens } from '../blocks/layers';
import { gridOfLayout, layerNormOfMap, resizedMap, sequence } from '../blocks/maps';
import { asSequence } from '../blocks/projectedAttention';
import type { TokenMaps } from '../blocks/stages';
import { countOf, knownActivation, shapeOf } from '../decide';
import { assumed, stored } from '../evidence';
import type { Entered, Evidence } from '../family';
import { backboneTitle, settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { queryTable } from './detectors';
import { depthOfBackbone, numberOfBackbone } from './innerLayers';
import { masksOf } from './maskFormer';

/** What queries inside of a plain transformer are read by. */
interface EomtConfig {
  readonly queries: number;
  /** The block that queries enter first, from 0. */
  readonly entry: number;
  /** Of the blocks from there on, which hide from each query what is outside of its mask. */
  readonly masked: readonly boolean[];
  readonly activation: string;
  /** Epsilon of the backbone's last norm, which stands in front of every prediction. */
  readonly eps: number;
  /** Layers that make the patches' map finer. */
  readonly upscales: number;
}

const shares = 'attn_mask_probs';
/** Epsilon of the norms of the finer maps, which no config changes. */
const mapEps = 1e-6;

/** The settings of masks by the shares of queries that they are applied to: all or none. */
function maskedBy(values: readonly number[]): readonly boolean[] {
  const between = values.find((share) => share > 0 && share < 1);
  if (between !== undefined)
    throw new ParameterError(
      shares,
      `${between} found: masks of that share of the queries, drawn by chance; 0 or 1 is needed`,
    );
  return values.map((share) => share > 0);
}

/**
 * Whether blocks hide places: training fades it out, and a file that was saved in between has it in
 * the values of a buffer (Kerssies et al. 2025, §3.3).
 */
function maskedIn(
  found: FoundWhole,
  blocks: number,
): Evidence<boolean> & { readonly all: readonly boolean[] } {
  const told = found.tensors.get(shares)?.tensor.told;
  const all = told && maskedBy(told);
  const any = all?.includes(true) ?? false;
  const evidence = settle<boolean>(found, 'masked_attention', {
    config: [],
    otherwise: told
      ? stored(any, `the values of ${shares}`)
      : assumed(
          false,
          `the values of ${shares} were not read; published models are trained without in the end`,
        ),
    is: (value) => typeof value === 'boolean',
    needed: 'true or false',
  });
  return {
    ...evidence,
    all: evidence.value === any && all ? all : Array<boolean>(blocks).fill(evidence.value),
  };
}

/**
 * Holds the backbone's rotary positions to config.json, which has their base inside of an object.
 * Throws `ConfigError` of another.
 */
function requireTemperature(found: FoundWhole): void {
  const own = found.backbone.evidence['rope_temperature']?.value;
  if (typeof own !== 'number') return;
  settle<number>(found, 'rope_theta', {
    config: ['rope_parameters.rope_theta'],
    otherwise: stored(own, 'as published'),
    is: (value) => value === own,
    needed: `${own}, as published models have it,`,
  });
}

function recognise(found: FoundWhole): ReturnType<Whole<EomtConfig>['recognise']> {
  const [queries = 0] = shapeOf(found.tensors, 'query.weight');
  const [outputs = 0] = shapeOf(found.tensors, 'class_predictor.weight');
  const [blocks = 0] = shapeOf(found.tensors, shares);
  const depth = depthOfBackbone(found);
  if (blocks > depth) throw new ParameterError(shares, `${blocks} blocks found, ${depth} are there`);
  requireTemperature(found);
  const { all, ...masked } = maskedIn(found, blocks);
  const activation = settle<string>(found, 'mask_activation', {
    config: ['hidden_act'],
    otherwise: stored('gelu', 'as published (Kerssies et al. 2025)'),
    ...knownActivation,
  });
  return {
    label: 'eomt',
    title: `EoMT, ${backboneTitle(found)}`,
    evidence: {
      queries: stored(queries, 'query.weight'),
      query_blocks: stored(blocks, shares),
      masked_attention: masked,
      mask_activation: activation,
      classes: stored(outputs - 1, 'class_predictor.weight, less "no object"'),
    },
    config: {
      queries,
      entry: depth - blocks,
      masked: all,
      activation: activation.value,
      eps: numberOfBackbone(found, 'eps', mapEps),
      upscales: countOf(found.tensors, 'upscale_block.block'),
    },
    reading: { task: 'segment', rule: 'queries', inner: found.backbone.imageSize, cut: true } as const,
    modelType: 'eomt',
    // Masks are put back on the grid that the table of positions has.
    sizeStep: [0, 0],
  };
}

/** Tokens with the queries behind the patches: attention does not mind their order. */
function withQueries(b: GraphBuilder, tokens: Tokens, queries: number): Tokens {
  const asked = asSequence(b, queryTable(b, 'query.weight', tokens.batch), tokens.batch);
  const all = b.concat([sequence(b, tokens), asked], 1);
  const count = tokens.count + queries;
  return {
    value: b.reshape(all, [tokens.batch * count, at(all.shape, 2)]),
    batch: tokens.batch,
    count,
    layout: { ...tokens.layout, queries },
  };
}

/** Queries `[batch · queries, dim]` and the map of the patches, of normed tokens. */
function apart(b: GraphBuilder, normed: Tokens, queries: number) {
  const { batch, count, layout } = normed;
  const all = sequence(b, normed);
  const dim = at(all.shape, 2);
  const grid = gridOfLayout({ grid: layout.grid });
  const patches = b.slice(all, 1, layout.special?.length ?? 0, count - queries);
  return {
    queries: b.reshape(b.slice(all, 1, count - queries, count), [batch * queries, dim]),
    map: b.transpose(b.reshape(patches, [batch, ...grid, dim]), [0, 3, 1, 2]),
  };
}

/** Maps twice as fine each: transposed convolution, one over each channel, norm. */
function finer(b: GraphBuilder, map: ValueInfo, { upscales, activation }: EomtConfig): ValueInfo {
  let value = map;
  for (let index = 0; index < upscales; index++)
    value = b.scope(`upscale_block.block.${index}`, () => {
      const wide = activate(b, transposedConvolution(b, value, 'conv1', 2), activation);
      return layerNormOfMap(b, convolution(b, wide, 'conv2'), 'layernorm2d', mapEps);
    });
  return value;
}

/** A class and a mask of every query (§3.1): `[batch, queries, classes + 1]` and maps. */
function predicted(b: GraphBuilder, normed: Tokens, config: EomtConfig) {
  const { queries, map } = apart(b, normed, config.queries);
  const classes = asSequence(b, b.linear(queries, 'class_predictor'), normed.batch);
  const embedded = b.scope('mask_head', () => {
    const [first, second] = [1, 2].map((index) => `fc${index}`) as [string, string];
    const hidden = activate(b, b.linear(queries, first), config.activation);
    return b.linear(activate(b, b.linear(hidden, second), config.activation), 'fc3');
  });
  return { classes, masks: masksOf(b, embedded, finer(b, map, config), '/masks') };
}

/** Below every score, so that softmax makes exactly 0 of it. */
const never = -1e9;

/** What hides from the queries places outside of their masks; all other tokens see everything. */
function hiding(b: GraphBuilder, masks: ValueInfo, { layout, batch, count }: Tokens): ValueInfo {
  const grid = gridOfLayout({ grid: layout.grid });
  const [special, queries] = [layout.special?.length ?? 0, layout.queries ?? 0];
  const logits = b.reshape(resizedMap(b, masks, grid), [batch, 1, queries, grid[0] * grid[1]]);
  const isInside = b.add('Greater', [logits, b.scalar(0)]);
  const outside = b.add('Where', [isInside, b.scalar(0), b.scalar(never)]);
  const pads = [0, 0, count - queries, special, 0, 0, 0, queries];
  return b.add('Pad', [outside, b.indices(pads)]);
}

function build(b: GraphBuilder, config: EomtConfig, context: PartContext): void {
  const classes: ValueInfo[] = [];
  // A block without masks of its own goes on with those of the last one that had some.
  let bias: ValueInfo | undefined;
  const entering = (_: GraphBuilder, tokens: Tokens, block: number): Entered => {
    if (block < config.entry) return { tokens };
    const asked = block === config.entry ? withQueries(b, tokens, config.queries) : tokens;
    if (!config.masked[block - config.entry]) return { tokens: asked, ...(bias && { bias }) };
    const normed = { ...asked, value: b.layerNorm(asked.value, 'norm', config.eps) };
    const own = predicted(b, normed, config);
    classes.push(own.classes);
    bias = hiding(b, own.masks, asked);
    return { tokens: asked, bias };
  };
  const { tokens } = context.backbone({ entering }) as TokenMaps;
  const found = predicted(b, tokens, config);
  b.output('class_queries_logits', found.classes, 'logits');
  b.output('masks_queries_logits', found.masks, 'masks');
  const all = sequence(b, tokens);
  const start = tokens.count - config.queries;
  const inOrder = [b.slice(all, 1, start, tokens.count), b.slice(all, 1, 0, start)];
  b.output('tokens', b.concat(inOrder, 1), 'tokens');
  // What queries say on the way is computed for their masks, and nobody reads their classes.
  if (classes.length > 0) b.output('auxiliary_logits', b.concat(classes, 1), 'state');
}

const upscale = /^network\.upscale\.(\d+)\.(conv[12])\./;

/** EoMT (Kerssies et al. 2025): queries join the last blocks of a plain transformer. */
export const eomt: Whole<EomtConfig> = {
  name: 'eomt',
  row: 'segmentation',
  title: 'EoMT',
  task: 'segment',
  signature: [
    shares,
    'query.weight',
    'class_predictor.weight',
    'mask_head.fc1.weight',
    'upscale_block.block.0.conv1.weight',
    'upscale_block.block.0.layernorm2d.weight',
  ],
  // The authors' repository (tue-mps/eomt).
  renames: [
    [/^network\.attn_mask_probs$/, shares],
    [/^network\.q\.weight$/, 'query.weight'],
    [/^network\.class_head\./, 'class_predictor.'],
    [/^network\.mask_head\.([024])\./, (_, layer = '0') => `mask_head.fc${Number(layer) / 2 + 1}.`],
    [upscale, 'upscale_block.block.$1.$2.'],
    [/^network\.upscale\.(\d+)\.norm\./, 'upscale_block.block.$1.layernorm2d.'],
  ],
  hasNoBias: (path) => path.endsWith('.conv2') || path === 'query',
  isTower: true,
  assumable: ['masked_attention', 'mask_activation'],
  recognise,
  parts: [{ name: 'whole', build }],
};
