import { shapeOf } from '../decide';
import { at } from '../../domain/lists';
import { convolution } from '../blocks/convolution';
import { gridOf, resizedMap } from '../blocks/maps';
import { allMlpHead, convUnit } from '../heads/semantic';
import { stored } from '../evidence';
import { type FoundWhole, type PartContext, type Whole } from '../whole';
import type { GraphBuilder } from '../../graph/builder';
import { mapOf, sideOf } from './detectors';

function recognise(found: FoundWhole) {
  // PVT v2 has the names of the authors' encoder.
  if (found.backbone.architecture !== 'segformer') return undefined;
  const [dim = 0] = shapeOf(found.tensors, 'decode_head.linear_fuse.weight');
  const [classes = 0] = shapeOf(found.tensors, 'decode_head.classifier.weight');
  return {
    label: 'segformer',
    title: `SegFormer, ${found.backbone.title} backbone`,
    evidence: {
      decoder_dim: stored(dim, 'decode_head.linear_fuse.weight'),
      classes: stored(classes, 'decode_head.classifier.weight'),
    },
    config: {},
    reading: { task: 'segment', rule: 'semantic' } as const,
  };
}

function build(b: GraphBuilder, _: object, { backbone }: PartContext): void {
  const maps = backbone().stages.map((stage) => mapOf(b, stage));
  const scores = b.scope('decode_head', () => allMlpHead(b, maps), { title: 'All-MLP decoder' });
  b.output('logits', scores, 'masks');
}

const seg = 'decode_head.conv_seg.weight';
const fusion = 'decode_head.fusion_conv.conv.weight';

function recogniseOpenMmlab(found: FoundWhole) {
  if (found.backbone.architecture !== 'segformer') return undefined;
  return {
    label: 'segformer',
    title: `SegFormer, ${found.backbone.title} backbone`,
    evidence: { decoder_dim: sideOf(found, fusion, 0), classes: sideOf(found, seg, 0) },
    config: {},
    reading: { task: 'segment', rule: 'semantic' } as const,
  };
}

/** Every map through a convolution of 1 × 1, enlarged to the finest, the finest first, mixed. */
function buildOpenMmlab(b: GraphBuilder, _: object, { backbone, imageSize }: PartContext): void {
  const maps = backbone().stages.map((stage) => mapOf(b, stage));
  const scores = b.scope(
    'decode_head',
    () => {
      const finest = gridOf(at(maps, 0));
      const each = maps.map((map, stage) => resizedMap(b, convUnit(b, map, `convs.${stage}`), finest));
      return convolution(b, convUnit(b, b.concat(each, 1), 'fusion_conv'), 'conv_seg');
    },
    { title: 'All-MLP decoder' },
  );
  b.output('logits', resizedMap(b, scores, imageSize), 'masks');
}

/** SegFormer of mmsegmentation, whose head norms each map and has the finest first. */
export const segformerOpenMmlab: Whole<object> = {
  name: 'segformer-openmmlab',
  row: 'segformer',
  title: 'SegFormer',
  task: 'segment',
  signature: ['decode_head.convs.0.conv.weight', fusion, seg],
  hasNoBias: (path) => path.endsWith('.conv'),
  isTower: true,
  assumable: [],
  recognise: recogniseOpenMmlab,
  parts: [{ name: 'whole', build: buildOpenMmlab }],
};

/** SegFormer (Xie et al. 2021): a Mix Transformer and linear layers over its four maps. */
export const segformer: Whole<object> = {
  name: 'segformer',
  title: 'SegFormer',
  task: 'segment',
  signature: [
    'decode_head.linear_c.0.proj.weight',
    'decode_head.linear_fuse.weight',
    'decode_head.batch_norm.running_mean',
    'decode_head.classifier.weight',
  ],
  // NVlabs/SegFormer; `conv_seg` is made by the class that it inherits from, and never computed.
  renames: [
    [/^decode_head\.linear_c([1-4])\./, (_, stage = '1') => `decode_head.linear_c.${Number(stage) - 1}.`],
    [/^decode_head\.linear_fuse\.conv\./, 'decode_head.linear_fuse.'],
    [/^decode_head\.linear_fuse\.bn\./, 'decode_head.batch_norm.'],
    [/^decode_head\.linear_pred\./, 'decode_head.classifier.'],
  ],
  idle: /^decode_head\.conv_seg\./,
  hasNoBias: (path) => path === 'decode_head.linear_fuse',
  isTower: true,
  assumable: [],
  recognise,
  parts: [{ name: 'whole', build }],
};
