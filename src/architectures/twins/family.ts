import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { convolution } from '../blocks/convolution';
import { norm, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, mapToTokens, meanOfTokens, sequence, tokensToMap } from '../blocks/maps';
import { reducedBlock, stagePatches, type ReducedFigures } from '../blocks/reducedAttention';
import { mergeHeads, queryKeyValue, splitHeads } from '../blocks/transformer';
import { windowPartition, windowProbe, windowReverse, windowsOf } from '../blocks/windows';
import type { BuildOptions, ConfigValue, Evidence, Family, Found, Recognised } from '../family';
import { assumed, numberOf, numbersOf, stored } from '../figures';
import { leastSide, pyramidFigures, reductionOf } from '../groups/pyramidFigures';
import { pyramidAssumable, stageFigures } from '../groups/pyramids';
import { sizeTitle, type Sizes } from '../sizes';
import { decide, imageSizeOf, recognisedFrom, sourcesOf, type Sources } from '../sources';
import { twinsNames } from './names';

const blocksOf = (stage: number): string => `blocks.${stage}`;

/** Twins-PCPVT has the blocks of PVT, Twins-SVT windows in every other one. */
const sizes: Readonly<Record<'PCPVT' | 'SVT', Sizes>> = {
  PCPVT: { '3,4,6,3 64': 'S', '3,4,18,3 64': 'B', '3,8,27,3 64': 'L' },
  SVT: { '2,2,10,4 64': 'S', '2,2,18,2 96': 'B', '2,2,18,2 128': 'L' },
};

/** Sides of the windows per stage, which no weight tells; one number stands for all. */
function windowOf(sources: Sources, stages: number): Evidence {
  const each = (value: ConfigValue): readonly number[] => {
    const sides = [value].flat().map(Number);
    return sides.length === 1 ? Array<number>(stages).fill(sides[0]!) : sides;
  };
  const evidence = decide(sources, 'window', {
    config: ['wss'],
    named: [[/^twins_svt/, 7]],
    otherwise: assumed(7, 'the side of all published windows; not stored in the weights'),
    is: (value) =>
      each(value).length === stages && each(value).every((side) => Number.isInteger(side) && side > 1),
    needed: `one whole number above 1, or ${stages} of them`,
  });
  return { ...evidence, value: each(evidence.value) };
}

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const windowed = tensors.has('blocks.0.0.attn.qkv.weight');
  const found = pyramidFigures(sources, blocksOf, {
    eps: { timm: [1e-6, 1e-5] },
    configuredEps: false,
    perHead: windowed ? 32 : 64,
  });
  const patch = tensors.get('patch_embeds.0.proj.weight')?.shape;
  if (!found || patch?.length !== 4) return undefined;
  const depths = numbersOf(found, 'depth');
  const stages = depths.length;
  const strides = Array.from(
    { length: stages },
    (_, stage) => tensors.get(`patch_embeds.${stage}.proj.weight`)?.shape[2] ?? 1,
  );
  const reduction = reductionOf(sources, blocksOf, stages, windowed ? 1 : 0);
  const least = leastSide(strides, reduction);
  const { imageSize, figure } = imageSizeOf(sources);
  const kind = windowed ? 'SVT' : 'PCPVT';
  return recognisedFrom(sources, {
    label: 'twins',
    title: sizeTitle(`Twins-${kind}`, sizes[kind], depths, numbersOf(found, 'dim')),
    evidence: {
      ...found,
      patch: stored(strides, 'patch_embeds.0.proj.weight'),
      ...(windowed && { window: windowOf(sources, stages) }),
      reduction,
      pool: stored('avg', 'the mean over the last tokens'),
      channels: stored(patch[1]!, 'patch_embeds.0.proj.weight'),
      image_size: figure,
    },
    imageSize,
    sizeStep: [least, least],
    pixels: 'imagenet',
  });
}

/**
 * Locally-grouped self-attention (Chu et al. 2021, Twins-SVT): inside windows, whose padding takes part as zero tokens. The projection comes after
 * the windows are put back, without the padding.
 */
function localAttention(b: GraphBuilder, tokens: Tokens, heads: number, side: number): ValueInfo {
  const layer = b.scopePath;
  return b.scope(
    'attn',
    () => {
      const windows = windowsOf(gridOfLayout(tokens.layout), side);
      const windowed = windowPartition(b, tokens, windows);
      const [q, k, v] = queryKeyValue(b, windowed.value).map((x) => splitHeads(b, x, windowed.batch, heads));
      const mixed = b.attention(q!, k!, v!, { probe: windowProbe(windows, layer) });
      return b.linear(windowReverse(b, withValue(windowed, mergeHeads(b, mixed)), windows).value, 'proj');
    },
    { title: `Locally-grouped self-attention, ${heads} heads`, formula: 'softmax(QKᵀ/√d)·V inside windows' },
  );
}

/** Positional encoding generator (Chu et al. 2023, CPVT): x + depthwise 3 × 3 convolution, which tells places by the zeros around the map. */
function positionGenerator(b: GraphBuilder, tokens: Tokens, name: string): Tokens {
  const map = tokensToMap(b, tokens);
  return b.scope(name, () => mapToTokens(b, b.add('Add', [convolution(b, map, 'proj.0'), map])), {
    title: 'Positional encoding generator',
    formula: 'x + depthwise(x)',
  });
}

/** Blocks of a stage; attention stays inside windows of this side where q, k and v are one layer. */
function stageBlocks(
  b: GraphBuilder,
  patches: Tokens,
  stage: number,
  { depth, window, ...settings }: ReducedFigures & { readonly depth: number; readonly window: number },
): Tokens {
  let tokens = patches;
  for (let block = 0; block < depth; block++) {
    tokens = b.scope(
      `blocks.${stage}.${block}`,
      () =>
        b.has('attn.qkv.weight')
          ? reducedBlock(b, tokens, settings, (_, rows, { heads }) => localAttention(b, rows, heads, window))
          : reducedBlock(b, tokens, settings),
      { title: 'Block' },
    );
    if (block === 0) tokens = positionGenerator(b, tokens, `pos_block.${stage}`);
  }
  return tokens;
}

/** Stages of patches and blocks, a position generator behind the first block of each; the mean of the last tokens is classified. */
function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  let map = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  let tokens: Tokens | undefined;
  const windows = figures['window'] ? numbersOf(figures, 'window') : [];
  for (const [stage, depth] of numbersOf(figures, 'depth').entries()) {
    const settings = { ...stageFigures(figures, stage), depth, window: windows[stage] ?? 0 };
    if (tokens) map = tokensToMap(b, tokens);
    const patches = stagePatches(b, map, `patch_embeds.${stage}`, {
      overlap: false,
      eps: settings.samplingEps,
    });
    tokens = stageBlocks(b, patches, stage, settings);
  }
  const last = withValue(tokens!, norm(b, tokens!.value, 'norm', numberOf(figures, 'eps')));
  const all = sequence(b, last);
  answer(b, meanOfTokens(b, last), all);
}

/** Twins (Chu et al. 2021): reduced keys in every block (PCPVT), or in turn with windows (SVT), and places told by convolutions. */
export const twins: Family<Recognised, void> = {
  name: 'twins',
  title: 'Twins',
  names: twinsNames,
  assumable: [...pyramidAssumable, 'window'],
  recognise,
  build,
};
