import { images } from '../blocks/images';
import { at, last } from '../../domain/lists';
import { bothSides } from '../../domain/probes';
import type { GraphBuilder } from '../../graph/builder';
import type { ModuleNote, ValueInfo } from '../../graph/graph';
import { activate, layerScale, maybeNorm, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOf, mapToTokens, meanOfTokens, sequence } from '../blocks/maps';
import { splitInTwo } from '../blocks/parts';
import { eachBlock, tokenStage, type TokenMaps } from '../blocks/stages';
import { mlp } from '../blocks/transformer';
import { activationOf, classesOf, countOf, recognisedFrom, shapeOf, sideOf, sourcesOf } from '../decide';
import { configOf, sideOrPair, stored } from '../evidence';
import type { BuildOptions, Family, Found } from '../family';
import { epsOf } from '../groups/isotropicConfig';
import { learnedImageSize, requireResolution, resolutionOf } from '../groups/learnedMaps';
import { answer } from '../heads/classifier';
import { sizeOf, sizeTitle, type Sizes } from '../sizes';
import { mixerNames } from './names';

/** How patches are mixed: the only thing that these networks differ in. */
interface Kind {
  readonly label: string;
  readonly family: string;
  /** A parameter `[…, patches]` of a block, which only this kind has. */
  readonly mixer: string;
  /** Halves of the hidden layers weigh each other. */
  readonly gated?: true;
  readonly sizes: Sizes;
  /** If it is another than the library's usual one. */
  readonly activation?: string;
  readonly note: ModuleNote;
  readonly block: (b: GraphBuilder, tokens: Tokens, config: BlockConfig) => ValueInfo;
}

interface BlockConfig {
  readonly activation: string;
  readonly eps: number;
}

/** Epsilon of the norm inside of a spatial gate, which is PyTorch's own. */
const gateEps = 1e-5;

/** What is mixed along the patches: rows of channels, `[batch · channels, patches]`. */
function alongPatches(b: GraphBuilder, tokens: Tokens, mix: (rows: ValueInfo) => ValueInfo): ValueInfo {
  const { batch, count } = tokens;
  const width = at(tokens.value.shape, 1);
  const turned = b.transpose(sequence(b, tokens), [0, 2, 1]);
  const mixed = mix(b.reshape(turned, [batch * width, count]));
  const back = b.transpose(b.reshape(mixed, [batch, width, count]), [0, 2, 1]);
  return b.reshape(back, [batch * count, width]);
}

/** x · act(gate) of two halves, the gate last (timm's GluMlp), or act(x). */
function gatedMlp(b: GraphBuilder, x: ValueInfo, { activation }: BlockConfig): ValueInfo {
  const wide = b.linear(x, 'fc1');
  if (at(wide.shape, 1) === at(b.shapeOf('fc2.weight'), 1))
    return b.linear(activate(b, wide, activation), 'fc2');
  const [value, gate] = splitInTwo(b, wide, 1);
  return b.linear(b.add('Mul', [value, activate(b, gate, activation)]), 'fc2');
}

/** x + MLP over patches(norm(x)), then x + MLP over channels(norm(x)) (Mixer, §2). */
function mixerBlock(b: GraphBuilder, tokens: Tokens, config: BlockConfig): ValueInfo {
  const inside = (name: string, x: ValueInfo): ValueInfo =>
    b.scope(name, () => gatedMlp(b, x, config), { title: 'Multi-layer perceptron' });
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', config.eps));
  const x = residual(
    b,
    tokens.value,
    alongPatches(b, normed, (rows) => inside('mlp_tokens', rows)),
  );
  return residual(b, x, inside('mlp_channels', norm(b, x, 'norm2', config.eps)));
}

/** β + α · x, in the place of a norm (ResMLP, eq. 1). */
const affine = (b: GraphBuilder, x: ValueInfo, name: string): ValueInfo => {
  const width = at(x.shape, 1);
  const scaled = b.add('Mul', [x, b.parameter(`${name}.alpha`, [width])]);
  return b.add('Add', [scaled, b.parameter(`${name}.beta`, [width])]);
};

/**
 * One linear layer over patches, then an MLP, each behind a factor per channel (ResMLP, eq. 2–3).
 */
function resMlpBlock(b: GraphBuilder, tokens: Tokens, config: BlockConfig): ValueInfo {
  const normed = withValue(tokens, affine(b, tokens.value, 'norm1'));
  const mixed = alongPatches(b, normed, (rows) => b.linear(rows, 'linear_tokens'));
  const x = residual(b, tokens.value, layerScale(b, mixed, 'ls1'));
  return residual(b, x, layerScale(b, mlp(b, affine(b, x, 'norm2'), 'mlp_channels', config), 'ls2'));
}

/**
 * Half of the hidden channels weighed by the others, which a linear layer mixes along the patches
 * (gMLP, §2.1).
 */
function spatialGate(b: GraphBuilder, tokens: Tokens): ValueInfo {
  const [kept, gate] = splitInTwo(b, tokens.value, 1);
  return b.scope(
    'gate',
    () => {
      const normed = withValue(tokens, norm(b, gate, 'norm', gateEps));
      return b.add('Mul', [kept, alongPatches(b, normed, (rows) => b.linear(rows, 'proj'))]);
    },
    { title: 'Spatial gating unit', formula: 'u · (W·norm(v) + b), v mixed along the patches' },
  );
}

function gMlpBlock(b: GraphBuilder, tokens: Tokens, { activation, eps }: BlockConfig): ValueInfo {
  const normed = norm(b, tokens.value, 'norm', eps);
  const branch = b.scope('mlp_channels', () => {
    const wide = activate(b, b.linear(normed, 'fc1'), activation);
    return b.linear(spatialGate(b, withValue(tokens, wide)), 'fc2');
  });
  return residual(b, tokens.value, branch);
}

const mixerKind = {
  mixer: 'mlp_tokens.fc1.weight',
  note: { title: 'Mixer block', formula: 'x + MLP(norm(x)ᵀ)ᵀ, then x + MLP(norm(x))' },
  block: mixerBlock,
} as const satisfies Partial<Kind>;

/** Their sizes by depth and width: Tolstikhin et al. 2021 (table 1), and timm's. */
const kinds: readonly Kind[] = [
  { ...mixerKind, label: 'mixer', family: 'Mixer', sizes: { '8 512': 'S', '12 768': 'B', '24 1024': 'L' } },
  {
    ...mixerKind,
    label: 'gmixer',
    family: 'gMixer',
    gated: true,
    sizes: { '12 384': '12', '24 384': '24' },
    activation: 'silu',
  },
  {
    label: 'resmlp',
    family: 'ResMLP',
    mixer: 'linear_tokens.weight',
    sizes: { '12 384': '12', '24 384': '24', '36 384': '36', '24 768': 'B24' },
    note: { title: 'Residual MLP block', formula: 'x + γ₁·(W·aff(x)ᵀ)ᵀ, then x + γ₂·MLP(aff(x))' },
    block: resMlpBlock,
  },
  {
    label: 'gmlp',
    family: 'gMLP',
    mixer: 'mlp_channels.gate.proj.weight',
    sizes: { '30 128': 'Ti', '30 256': 'S', '30 512': 'B' },
    note: { title: 'Gated MLP block', formula: 'x + W₂·gate(act(W₁·norm(x)))' },
    block: gMlpBlock,
  },
];

/** Whether the second layer of an MLP over patches reads half of what the first one gives. */
function isGated(tensors: Found['tensors']): boolean {
  const [hidden] = tensors.get('blocks.0.mlp_tokens.fc1.weight')?.shape ?? [];
  return hidden !== undefined && hidden === 2 * sideOf(tensors, 'blocks.0.mlp_tokens.fc2.weight', 1);
}

const kindOf = (tensors: Found['tensors']): Kind | undefined =>
  kinds.find(
    ({ mixer: name, gated = false }) => tensors.has(`blocks.0.${name}`) && gated === isGated(tensors),
  );

function recognise(found: Found) {
  const { tensors } = found;
  const kind = kindOf(tensors);
  if (!kind) return undefined;
  const sources = sourcesOf(found);
  const depth = countOf(tensors, 'blocks');
  const [dim = 0, channels = 0, height = 0, width = 0] = shapeOf(tensors, 'stem.proj.weight');
  const mixes = `blocks.0.${kind.mixer}`;
  const hidden = 'blocks.0.mlp_channels.fc1.weight';
  const count = sideOf(tensors, mixes, 1);
  const resolution = resolutionOf(sources, count, height, `${mixes} mixes ${count} patches`);
  const { imageSize, evidence: sized } = learnedImageSize(sources, resolution, height);
  const settled = {
    dim: stored(dim, 'stem.proj.weight'),
    depth: stored(depth, `blocks.0 … blocks.${depth - 1}`),
    mlp_ratio: stored(sideOf(tensors, hidden, 0) / dim, hidden),
    patch: stored(sideOrPair([height, width]), 'stem.proj.weight'),
    channels: stored(channels, 'stem.proj.weight'),
    resolution,
    image_size: sized,
    classes: classesOf(tensors, 'head'),
    activation: activationOf(
      sources,
      kind.activation === undefined ? undefined : stored(kind.activation, `as published: ${kind.family}`),
    ),
    eps: epsOf(sources),
  };
  const usual = sizeTitle(kind.family, kind.sizes, [depth], [dim]);
  return recognisedFrom(sources, {
    label: kind.label,
    title: sizeOf(kind.sizes, [depth], [dim]) === undefined ? usual : `${usual}/${height}`,
    imageSize,
    sizeStep: [0, 0],
    pixels: 'half',
    evidence: settled,
    config: { ...configOf(settled), kind: kind.label },
  });
}

type MixerConfig = NonNullable<ReturnType<typeof recognise>>['config'];

function build(b: GraphBuilder, config: MixerConfig, { imageSize, batch }: BuildOptions): TokenMaps {
  const { patch, resolution, depth } = config;
  const kind = kinds.find(({ label }) => label === config.kind);
  if (!kind) throw new Error(`${config.kind} is no kind of mixer`);
  const stride = bothSides(patch);
  const pixels = images(b, [batch, ...imageSize], 'stem.proj');
  const map = b.scope('stem', () => b.conv2d(pixels, 'proj', { stride }), { title: 'Patch embedding' });
  requireResolution(gridOf(map), resolution, imageSize, stride[0], 'what mixes the patches was');
  const maps = eachBlock(b, mapToTokens(b, map), {
    depth,
    block: (tokens) => withValue(tokens, kind.block(b, tokens, config)),
    note: kind.note,
  });
  const end = last(maps);
  const normed = b.has('norm.alpha')
    ? affine(b, end.value, 'norm')
    : maybeNorm(b, end.value, 'norm', config.eps);
  const tokens = withValue(end, normed);
  return { stages: maps.map((each) => tokenStage(each, imageSize)), tokens };
}

/**
 * Networks of MLPs over patches and channels in turn: MLP-Mixer (Tolstikhin et al. 2021), ResMLP
 * (Touvron et al. 2021), gMLP (Liu et al. 2021), and timm's gMixer.
 */
export const mixer: Family<MixerConfig, TokenMaps> = {
  name: 'mixer',
  title: 'MLP-Mixer',
  names: mixerNames,
  assumable: ['activation', 'eps', 'resolution'],
  recognise,
  build,
  head: (b, { tokens }) => answer(b, meanOfTokens(b, tokens), sequence(b, tokens)),
};
