import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convNorm, convNormModule, globalMean } from '../blocks/convolution';
import { residual } from '../blocks/layers';
import { layerScaleOfMap } from '../blocks/maps';
import { mapStage, stages, type ImageMaps } from '../blocks/stages';
import { activationOf, namesOf } from '../decide';
import { assumed } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { blurSetting } from '../groups/antiAliasing';
import { measureStages, stagedConfig, type SettledBy } from '../groups/stagedConfig';
import { answer } from '../heads/classifier';
import type { Sizes } from '../sizes';
import { mobileNetV4Names } from './names';

const eps = 1e-5;

/** Sizes of Qin et al. 2024 (tables 11–13) and of timm, by the widths of the stages. */
const sizes: Sizes = {
  '2,2,6,6,1 32': 'Conv-S',
  '1,2,8,11,1 48': 'Conv-M',
  '1,2,11,13,1 48': 'Conv-L',
};

/** What gives a block's channels, by its kind. */
const ends = ['pw_proj.conv.weight', 'conv_pwl.weight', 'conv.weight'];

function recognise(found: Found) {
  const measured = measureStages(found, 'blocks.*.*', ends);
  if (!measured) return undefined;
  // Those that blur have the names and shapes of those that stride.
  const names = namesOf(measured.sources);
  if (names.length > 0 && names.every((name) => /_(?:aa|blur)_/.test(name))) return undefined;
  return stagedConfig(measured, {
    label: 'mobilenetv4',
    title: ['MobileNet V4', sizes],
    head: 'classifier',
    stride: 32,
    settings: {
      activation: activationOf(
        measured.sources,
        assumed('relu', 'networks of convolutions alone have it; no weight tells'),
        { named: [[/^mobilenetv4_conv/, 'relu']] },
      ),
      ...blurSetting(found),
    },
  });
}

type MobileNetV4Config = SettledBy<typeof recognise>;

/**
 * A universal inverted bottleneck (Qin et al. 2024, §4): an expansion and a projection, with
 * depthwise convolutions before, between or behind them. The one between strides, or the first.
 */
function universal(b: GraphBuilder, x: ValueInfo, stride: number, activation: string): ValueInfo {
  const names = ['dw_start', 'pw_exp', 'dw_mid', 'pw_proj', 'dw_end'];
  const stored = names.filter((name) => b.has(`${name}.conv.weight`));
  const strided = ['dw_mid', 'dw_start', 'dw_end'].find((name) => stored.includes(name));
  const branch = stored.reduce((map, name) => {
    const acts = name === 'pw_exp' || name === 'dw_mid';
    const options = { eps, activation: acts ? activation : undefined };
    return convNormModule(b, map, name, { ...options, stride: name === strided ? stride : 1 });
  }, x);
  return layerScaleOfMap(b, branch, 'layer_scale');
}

/** A convolution, one whose expansion looks around, or a universal bottleneck. */
function block(b: GraphBuilder, x: ValueInfo, stride: number, activation: string): ValueInfo {
  if (b.has('conv.weight')) return convNorm(b, x, 'conv', 'bn1', { eps, activation, stride });
  const branch = b.has('conv_exp.weight')
    ? convNorm(b, convNorm(b, x, 'conv_exp', 'bn1', { eps, activation, stride }), 'conv_pwl', 'bn2', { eps })
    : universal(b, x, stride, activation);
  return stride === 1 && branch.shape[1] === x.shape[1] ? residual(b, branch, x) : branch;
}

function build(b: GraphBuilder, config: MobileNetV4Config, { imageSize, batch }: BuildOptions): ImageMaps {
  const { depth, activation } = config;
  const pixels = images(b, [batch, ...imageSize], 'conv_stem');
  const stem = convNorm(b, pixels, 'conv_stem', 'bn1', { eps, activation, stride: 2 });
  const maps = stages(b, stem, {
    depths: depth,
    path: ({ stage, index }) => `blocks.${stage}.${index}`,
    // The last stage is a layer for each position.
    block: (x, { stage, index }) => block(b, x, index === 0 && stage < depth.length - 1 ? 2 : 1, activation),
    note: { title: 'Inverted bottleneck', formula: 'x + W₂ · act(conv(act(W₁ · conv(x))))' },
  });
  return { stages: maps.map((map) => mapStage(map, imageSize)), map: last(maps) };
}

/** A hidden layer with a norm behind the mean, as a convolution. */
function head(b: GraphBuilder, { map }: ImageMaps, { activation }: MobileNetV4Config): void {
  const hidden = convNorm(b, globalMean(b, map), 'conv_head', 'norm_head', { eps, activation });
  answer(b, b.reshape(hidden, [at(hidden.shape, 0), at(hidden.shape, 1)]), map, 'classifier');
}

/** MobileNet V4 of convolutions alone (Qin et al. 2024). */
export const mobileNetV4: Family<MobileNetV4Config, ImageMaps> = {
  name: 'mobilenetv4',
  row: 'cnn',
  title: 'MobileNet V4',
  names: mobileNetV4Names,
  assumable: ['activation'],
  recognise,
  build,
  head,
};
