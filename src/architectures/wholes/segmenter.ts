import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { gridOfLayout, resizedMap, sequence } from '../blocks/maps';
import { asSequence } from '../blocks/projectedAttention';
import { patchesOnly } from '../blocks/specialTokens';
import { eachBlock, type TokenMaps } from '../blocks/stages';
import { withValue, type Tokens } from '../blocks/layers';
import { knownActivation, shapeOf } from '../decide';
import { transposed } from '../dialect';
import { stored } from '../evidence';
import { preNormBlock } from '../groups/plainBlocks';
import { headsOfWhole, settle, type FoundWhole, type PartContext, type Whole } from '../whole';
import { layersOf, sideOf, titleAround } from './detectors';

/** What Segmenter's mask transformer is written by. */
interface SegmenterConfig {
  readonly depth: number;
  readonly heads: number;
  readonly classes: number;
  readonly activation: string;
}

/** Epsilon of torch's norms, which neither code base changes in the decoder. */
const eps = 1e-5;
const blocks = 'decoder.blocks';

function recognise(found: FoundWhole): ReturnType<Whole<SegmenterConfig>['recognise']> {
  const [, classes = 0, dim = 0] = shapeOf(found.tensors, 'decoder.cls_emb');
  const evidence = {
    decoder_depth: layersOf(found, blocks),
    decoder_dim: sideOf(found, 'decoder.cls_emb', 2),
    decoder_heads: headsOfWhole(found, 'decoder_heads', dim, { config: [], perHead: 64 }),
    decoder_activation: settle<string>(found, 'decoder_activation', {
      config: [],
      otherwise: stored('gelu', 'as published (Strudel et al. 2021)'),
      ...knownActivation,
    }),
    classes: stored(classes, 'decoder.cls_emb'),
  };
  return {
    label: 'segmenter',
    title: titleAround('Segmenter', found),
    evidence,
    config: {
      depth: evidence.decoder_depth.value,
      heads: evidence.decoder_heads.value,
      classes,
      activation: evidence.decoder_activation.value,
    },
    reading: { task: 'segment', rule: 'semantic' } as const,
  };
}

/** Patches with a learned token of each class behind them. */
function withClasses(b: GraphBuilder, patches: Tokens, classes: number): Tokens {
  const { batch } = patches;
  const rows = asSequence(b, b.linear(patches.value, 'decoder.proj_dec'), batch);
  const dim = at(rows.shape, 2);
  const tokens = b.parameter('decoder.cls_emb', [1, classes, dim]);
  const each = batch === 1 ? tokens : b.add('Expand', [tokens, b.indices([batch, classes, dim])]);
  const count = patches.count + classes;
  return {
    value: b.reshape(b.concat([rows, each], 1), [batch * count, dim]),
    batch,
    count,
    layout: { ...patches.layout, queries: classes },
  };
}

/** Least length by which torch's `normalize` divides. */
const leastLength = 1e-12;

/** Rows `[batch, count, dim]` of length 1. */
function normalised(b: GraphBuilder, rows: ValueInfo): ValueInfo {
  const length = b.add('ReduceL2', [rows, b.indices([2])], { keepdims: int(1) });
  return b.add('Div', [rows, b.add('Max', [length, b.scalar(leastLength)])]);
}

/** Cosines of patches and class tokens, normed over the classes (§3.2.2): `[batch, classes, …]`. */
function masks(b: GraphBuilder, tokens: Tokens, { classes }: SegmenterConfig): ValueInfo {
  const { batch, count, layout } = tokens;
  const all = sequence(b, tokens);
  const dim = at(all.shape, 2);
  const [rows, columns] = gridOfLayout({ grid: layout.grid });
  const projected = (from: number, to: number, name: string): ValueInfo => {
    const flat = b.reshape(b.slice(all, 1, from, to), [batch * (to - from), dim]);
    return normalised(b, asSequence(b, b.linear(flat, name, { bias: false }), batch));
  };
  const patches = projected(0, count - classes, 'decoder.proj_patch');
  const asked = projected(count - classes, count, 'decoder.proj_classes');
  const products = b.add('MatMul', [patches, b.transpose(asked, [0, 2, 1])], {}, { name: '/masks' });
  const normed = b.layerNorm(products, 'decoder.mask_norm', eps);
  return b.reshape(b.transpose(normed, [0, 2, 1]), [batch, classes, rows, columns]);
}

function build(b: GraphBuilder, config: SegmenterConfig, context: PartContext): void {
  const { tokens } = context.backbone() as TokenMaps;
  const joined = withClasses(b, patchesOnly(b, tokens), config.classes);
  const { heads, activation } = config;
  const ends = eachBlock(b, joined, {
    depth: config.depth,
    path: blocks,
    block: (each, index) => withValue(each, preNormBlock(b, each, { heads, activation, eps, index })),
    note: { title: 'Mask transformer block' },
  });
  const end = ends.at(-1) ?? joined;
  const normed = withValue(end, b.layerNorm(end.value, 'decoder.decoder_norm', eps));
  b.output('logits', resizedMap(b, masks(b, normed, config), context.imageSize), 'masks');
}

const inLayer = '^decode_head\\.layers\\.(\\d+)\\.';

/** Segmenter (Strudel et al. 2021): tokens of classes beside the patches, and their products. */
export const segmenter: Whole<SegmenterConfig> = {
  name: 'segmenter',
  row: 'segmentation',
  title: 'Segmenter',
  task: 'segment',
  signature: [
    'decoder.cls_emb',
    'decoder.proj_dec.weight',
    'decoder.proj_patch.weight',
    'decoder.proj_classes.weight',
    'decoder.mask_norm.weight',
    `${blocks}.0.attn.qkv.weight`,
  ],
  renames: [
    // The authors' code multiplies with these matrices from the right.
    [/^decoder\.proj_(patch|classes)$/, 'decoder.proj_$1.weight', transposed],
    // mmsegmentation
    [/^decode_head\.cls_emb$/, 'decoder.cls_emb'],
    [/^decode_head\.dec_proj\./, 'decoder.proj_dec.'],
    [/^decode_head\.patch_proj\./, 'decoder.proj_patch.'],
    [/^decode_head\.classes_proj\./, 'decoder.proj_classes.'],
    [/^decode_head\.(decoder_norm|mask_norm)\./, 'decoder.$1.'],
    [new RegExp(`${inLayer}ln([12])\\.`), `${blocks}.$1.norm$2.`],
    [new RegExp(`${inLayer}attn\\.attn\\.in_proj_`), `${blocks}.$1.attn.qkv.`],
    [new RegExp(`${inLayer}attn\\.attn\\.out_proj\\.`), `${blocks}.$1.attn.proj.`],
    [new RegExp(`${inLayer}ffn\\.layers\\.0\\.0\\.`), `${blocks}.$1.mlp.fc1.`],
    [new RegExp(`${inLayer}ffn\\.layers\\.1\\.`), `${blocks}.$1.mlp.fc2.`],
  ],
  hasNoBias: (path) => /\.proj_(?:patch|classes)$/.test(path),
  isTower: true,
  assumable: ['decoder_heads', 'decoder_activation'],
  idle: /^encoder\.head\./,
  recognise,
  parts: [{ name: 'whole', build }],
};
