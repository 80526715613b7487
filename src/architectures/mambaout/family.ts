import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { activate, layerScale, maybeNorm, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridSequence, mapToTokens, meanOfTokens, tokensToMap } from '../blocks/maps';
import { stages, tokenStage, type TokenMaps } from '../blocks/stages';
import { activationOf } from '../decide';
import { assumed, stored } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { measureStages, stagedConfig, type MeasuredStages, type SettledBy } from '../groups/stagedConfig';
import { answer } from '../heads/classifier';
import { sizeOf, type Sizes } from '../sizes';
import { mambaOutNames } from './names';

const eps = 1e-6;

/** Sizes of Yu & Wang 2025 (table 1), and those that timm added. */
const sizes: Sizes = {
  '3,3,9,3 48': 'Femto',
  '3,3,15,3 48': 'Kobe',
  '3,3,9,3 96': 'T',
  '3,4,27,3 96': 'S',
  '3,4,27,3 128': 'B',
  '3,3,25,3 128': 'B short',
  '3,4,30,3 128': 'B tall',
  '1,1,3,1 16': 'test',
};

/** Hidden channels per channel from which on timm's models have SiLU in the place of GELU. */
const wide = 3;

/** What the weights do not tell; the library's default, but of what its wide models have. */
function activationOfBlocks({ sources, depths, dims, each }: MeasuredStages) {
  const ratio = at(each('fc2.weight', 1).value, 0) / at(dims, 0);
  if (ratio < wide) return activationOf(sources);
  const isPublished = sizeOf(sizes, depths, dims) !== undefined;
  return activationOf(
    sources,
    isPublished
      ? stored('silu', `as published with ${ratio} × hidden channels`)
      : assumed('silu', `published models with ${ratio} × hidden channels have it`),
  );
}

function recognise(found: Found) {
  const measured = measureStages(found, 'stages.*.blocks.*', 'norm.weight');
  if (!measured) return undefined;
  // Widths tell on which side of its convolution the norm between two stages stands.
  const { dims } = measured;
  if (dims.some((width, stage) => width === dims[stage - 1])) return undefined;
  return stagedConfig(measured, {
    label: 'mambaout',
    title: ['MambaOut', sizes],
    head: 'head.fc',
    stride: 32,
    shapes: {
      mlp_ratio: measured.ratio('fc2.weight', 1),
      kernel: measured.each('conv.weight', 2),
    },
    settings: { activation: activationOfBlocks(measured) },
  });
}

type MambaOutConfig = SettledBy<typeof recognise>;

/**
 * A gated convolution: some of the channels are mixed by a depthwise kernel, all are weighed by
 * act(gate) (Yu & Wang 2025, algorithm 1).
 */
function block(b: GraphBuilder, tokens: Tokens, activation: string): Tokens {
  const rows = b.linear(norm(b, tokens.value, 'norm', eps), 'fc1');
  const hidden = at(b.shapeOf('fc2.weight'), 1);
  const mixed = at(b.shapeOf('conv.weight'), 0);
  const parts = b.split(rows, hidden === mixed ? [hidden, mixed] : [hidden, hidden - mixed, mixed], 1);
  const map = convolution(b, tokensToMap(b, withValue(tokens, last(parts))), 'conv');
  const values = [...parts.slice(1, -1), mapToTokens(b, map).value];
  const weighed = b.add('Mul', [
    activate(b, at(parts, 0), activation),
    values.length === 1 ? at(values, 0) : b.concat(values, 1),
  ]);
  return withValue(tokens, residual(b, tokens.value, layerScale(b, b.linear(weighed, 'fc2'), 'ls')));
}

/** Two strided convolutions, each with a norm behind it but the first of some models. */
function stem(b: GraphBuilder, pixels: ValueInfo, activation: string): Tokens {
  return b.scope('stem', () => {
    const first = mapToTokens(b, convolution(b, pixels, 'conv1', { stride: 2 }));
    const active = activate(b, maybeNorm(b, first.value, 'norm1', eps), activation);
    const second = convolution(b, tokensToMap(b, withValue(first, active)), 'conv2', { stride: 2 });
    return normed(b, mapToTokens(b, second), 'norm2');
  });
}

const normed = (b: GraphBuilder, tokens: Tokens, name: string): Tokens =>
  withValue(tokens, maybeNorm(b, tokens.value, name, eps));

/** A strided convolution with its norm before or behind it: the first stage has none. */
function downsampled(b: GraphBuilder, tokens: Tokens): Tokens {
  if (!b.has('downsample.conv.weight')) return tokens;
  return b.scope('downsample', () => {
    const isFirst = at(b.shapeOf('norm.weight'), 0) === at(tokens.value.shape, 1);
    const before = isFirst ? normed(b, tokens, 'norm') : tokens;
    const down = mapToTokens(b, convolution(b, tokensToMap(b, before), 'conv', { stride: 2 }));
    return isFirst ? down : normed(b, down, 'norm');
  });
}

function build(b: GraphBuilder, config: MambaOutConfig, { imageSize, batch }: BuildOptions): TokenMaps {
  const { depth, activation } = config;
  const pixels = images(b, [batch, ...imageSize], 'stem.conv1');
  const maps = stages(b, stem(b, pixels, activation), {
    depths: depth,
    path: ({ stage, index }) => `stages.${stage}.blocks.${index}`,
    enter: (tokens, stage) => b.scope(`stages.${stage}`, () => downsampled(b, tokens)),
    block: (tokens) => block(b, tokens, activation),
    note: { title: 'Gated convolution block', formula: 'x + γ · W₂(act(g) · (i, conv(c)))' },
  });
  return { stages: maps.map((map) => tokenStage(map, imageSize)), tokens: last(maps) };
}

/** Norm, a hidden layer with, for some, a norm of its own, and the classifier. */
function head(b: GraphBuilder, { tokens }: TokenMaps): void {
  const pooled = maybeNorm(b, meanOfTokens(b, tokens), 'head.norm', eps);
  const hidden = b.has('head.pre_logits.fc.weight')
    ? activate(b, b.linear(pooled, 'head.pre_logits.fc'), 'gelu')
    : pooled;
  answer(b, maybeNorm(b, hidden, 'head.pre_logits.norm', eps), gridSequence(b, tokens), 'head.fc');
}

/** MambaOut (Yu & Wang 2025, MambaOut: Do We Really Need Mamba for Vision?). */
export const mambaOut: Family<MambaOutConfig, TokenMaps> = {
  name: 'mambaout',
  row: 'cnn',
  title: 'MambaOut',
  names: mambaOutNames,
  assumable: ['activation'],
  recognise,
  build,
  head,
};
