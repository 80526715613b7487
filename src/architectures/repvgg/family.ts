import { images } from '../blocks/images';
import { last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { channelAttention } from '../blocks/channelAttention';
import { activate } from '../blocks/layers';
import { meanOfMap } from '../blocks/maps';
import { reparameterised } from '../blocks/reparameterised';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { activationOf } from '../decide';
import { stored } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { answer } from '../heads/classifier';
import type { Sizes } from '../sizes';
import { repVggNames } from './names';

/** Sizes of Ding et al. 2021 (table 2), by the blocks and widths of their stages. */
const repVggSizes: Sizes = {
  '2,4,14,1 48': 'A0',
  '2,4,14,1 64': 'A1',
  '2,4,14,1 96': 'A2',
  '4,6,16,1 64': 'B0',
  '4,6,16,1 128': 'B1',
  '4,6,16,1 160': 'B2',
  '4,6,16,1 192': 'B3',
  '8,14,24,1 160': 'D2',
};

/** Sizes of Vasu et al. 2023 (table 3), whose blocks are pairs; widths of the pairs' first. */
const mobileOneSizes: Sizes = {
  '4,16,20,2 48,48': 'S0',
  '4,16,20,2 64,96,192': 'S1',
  '4,16,20,2 64,96,256': 'S2',
  '4,16,20,2 64,128': 'S3',
  '4,16,20,2 64,192': 'S4',
};

function recognise(found: Found) {
  const { tensors } = found;
  const path = ['conv_kxk.0.conv', 'conv_kxk.conv', 'reparam_conv'].find((name) =>
    tensors.has(`stages.0.0.${name}.weight`),
  );
  const measured = measureStages(found, 'stages.*.*', `${path}.weight`);
  if (!measured) return undefined;
  const [perGroup = 0, kernel] = [1, 2].map((axis) => measured.each(`${path}.weight`, axis).value[0]);
  // MobileOne's blocks are depthwise and 1 × 1 in turn.
  const isPair = perGroup === 1 && kernel === 3;
  return stagedConfig(measured, {
    label: isPair ? 'mobileone' : 'repvgg',
    title: isPair ? ['MobileOne', mobileOneSizes] : ['RepVGG', repVggSizes],
    head: 'head.fc',
    stride: 2 ** (measured.depths.length + 1),
    settings: { activation: activationOf(measured.sources, stored('relu', 'as published')) },
  });
}

type RepVggConfig = SettledBy<typeof recognise>;

function build(b: GraphBuilder, config: RepVggConfig, { imageSize, batch }: BuildOptions): ImageMaps {
  const { depth, activation } = config;
  const block = (x: ValueInfo, stride: number): ValueInfo =>
    activate(b, channelAttention(b, reparameterised(b, x, stride), 'attn'), activation);
  const names = ['conv_kxk.0.conv', 'conv_kxk.conv', 'reparam_conv'].map((name) => `stem.${name}`);
  const pixels = images(b, [batch, ...imageSize], ...names);
  const maps = stages(
    b,
    b.scope('stem', () => block(pixels, 2)),
    {
      depths: depth,
      path: ({ stage, index }) => `stages.${stage}.${index}`,
      block: (x, { index }) => block(x, index === 0 ? 2 : 1),
      note: { title: 'Re-parameterised convolution', formula: 'act(conv(x) + W·x + norm(x))' },
    },
  );
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** RepVGG (Ding et al. 2021) and MobileOne (Vasu et al. 2023). */
export const repVgg: Family<RepVggConfig, ImageMaps> = {
  name: 'repvgg',
  row: 'cnn',
  title: 'RepVGG',
  names: repVggNames,
  assumable: ['activation'],
  recognise,
  build,
  head: (b, { map }) => answer(b, meanOfMap(b, map), map, 'head.fc'),
};
