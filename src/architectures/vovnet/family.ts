import { images } from '../blocks/images';
import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { channelAttention, effectiveExcite } from '../blocks/channelAttention';
import { convNorm, convNormModule, convolution, maxPool } from '../blocks/convolution';
import { residual } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { decide } from '../decide';
import { assumed } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { flag } from '../groups/valueKinds';
import { answer } from '../heads/classifier';
import type { Sizes } from '../sizes';
import { vovNetNames } from './names';

const unit = { eps: 1e-5, activation: 'relu' };

/** Sizes of Lee & Park 2020 (table 9) and of timm. */
const sizes: Sizes = {
  '1,1,1,1 112': '19-slim',
  '1,1,1,1 256': '19',
  '1,1,2,2 256': '39',
  '1,1,4,3 256': '57',
  '1,3,9,3 256': '99',
};

function recognise(found: Found) {
  const measured = measureStages(found, 'stages.*.blocks.*', 'conv_concat.conv.weight');
  if (!measured) return undefined;
  const weighs = [...found.tensors.keys()].some((name) => name.includes('.attn.'));
  return stagedConfig(measured, {
    label: 'vovnet',
    title: [weighs ? 'VoVNet V2' : 'VoVNet', sizes],
    head: 'head.fc',
    stride: 32,
    settings: {
      residual: decide(measured.sources, 'residual', {
        ...flag,
        named: [
          [/^(?:ese|eca)_vovnet/, true],
          [/^vovnet/, false],
        ],
        otherwise: assumed(weighs, 'those that weigh channels (V2) add inputs, the others do not'),
      }),
    },
  });
}

type VovNetConfig = SettledBy<typeof recognise>;

/** A 3 × 3 convolution, or its depthwise and 1 × 1 halves with one norm behind both. */
function convolved(b: GraphBuilder, x: ValueInfo, name: string, stride = 1): ValueInfo {
  if (!b.has(`${name}.conv_dw.weight`)) return convNormModule(b, x, name, { ...unit, stride });
  const mixed = convolution(b, x, `${name}.conv_dw`, { stride });
  return convNorm(b, mixed, `${name}.conv_pw`, `${name}.bn`, unit);
}

/** What a block's convolutions give, one behind the other, the input before them. */
function gathered(b: GraphBuilder, x: ValueInfo): readonly ValueInfo[] {
  const reduced = b.has('conv_reduction.conv.weight') ? convNormModule(b, x, 'conv_reduction', unit) : x;
  const maps: ValueInfo[] = [];
  const has = (name: string): boolean => b.has(`conv_mid.${maps.length}.${name}.weight`);
  while (has('conv') || has('conv_dw'))
    maps.push(convolved(b, maps.at(-1) ?? reduced, `conv_mid.${maps.length}`));
  return [x, ...maps];
}

/**
 * One-shot aggregation (Lee et al. 2019, §3): all maps of a block joined once, at its end; the
 * channels of a stage's last block are weighed (Lee & Park 2020, §3.2).
 */
function block(b: GraphBuilder, x: ValueInfo, adds: boolean): ValueInfo {
  const joined = convNormModule(b, b.concat(gathered(b, x), 1), 'conv_concat', unit);
  const weighed = b.has('attn.fc.weight')
    ? effectiveExcite(b, joined, 'attn', { layer: 'fc', gate: 'hard_sigmoid' })
    : channelAttention(b, joined, 'attn');
  return adds ? residual(b, weighed, x) : weighed;
}

function build(b: GraphBuilder, config: VovNetConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const pixels = images(b, [batch, ...imageSize], 'stem.0.conv');
  const stem = [2, 1, 2].reduce((x, stride, index) => convolved(b, x, `stem.${index}`, stride), pixels);
  const maps = stages(b, stem, {
    depths: config.depth,
    path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
    enter: (x, stage) => (stage === 0 ? x : maxPool(b, x, { kernel: 3, stride: 2, ceil: true })),
    block: (x, { index }) => block(b, x, config.residual && index > 0),
    note: { title: 'One-shot aggregation', formula: 'W · [x, conv(x), conv(conv(x)), …]' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** VoVNet (Lee et al. 2019) and V2 (Lee & Park 2020, CenterMask). */
export const vovNet: Family<VovNetConfig, ImageMaps> = {
  name: 'vovnet',
  row: 'cnn',
  title: 'VoVNet',
  names: vovNetNames,
  assumable: ['residual'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'head.fc'),
};
