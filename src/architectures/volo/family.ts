import { answer } from '../heads/classifier';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { classAttention } from '../blocks/classAttention';
import { convNorm } from '../blocks/convolution';
import { norm, residual, withValue, type Tokens } from '../blocks/layers';
import { gridOfLayout, mapToTokens, sequence, tokensToMap } from '../blocks/maps';
import { outlookAttention } from '../blocks/outlookAttention';
import { resampled } from '../blocks/positions';
import { learnedToken, patchesOnly, pooledTokens, tokenAt, withClassToken } from '../blocks/specialTokens';
import { mlp, selfAttention } from '../blocks/transformer';
import type { BuildOptions, Evidence, EvidenceRecord, Family, Found, Recognised } from '../family';
import { numberOf, numbersOf, stored, wordOf } from '../figures';
import { activationOf, epsOf, isotropicAssumable, poolOf } from '../groups/isotropicFigures';
import { timmResampling } from '../groups/positionTable';
import { sizeTitle, type Sizes } from '../sizes';
import {
  classesOf,
  countOf,
  headsOf,
  imageSizeOf,
  recognisedFrom,
  sourcesOf,
  type Sources,
} from '../sources';
import { voloNames } from './names';

/** Sizes of Yuan et al. 2022 (VOLO, table 2). */
const sizes: Sizes = {
  '4,4,8,2 192': 'D1',
  '6,4,10,4 256': 'D2',
  '8,8,16,4 256': 'D3',
  '8,8,16,4 384': 'D4',
  '12,12,20,4 384': 'D5',
};

/** Stride of the first convolution, which no weight tells: the same in every VOLO. */
const stemStride = 2;

/** Indices of `network` that hold blocks; the others downsample. */
function stagesOf(tensors: Found['tensors']): readonly number[] {
  const all = Array.from({ length: countOf(tensors, 'network') }, (_, index) => index);
  return all.filter((index) => tensors.has(`network.${index}.0.norm1.weight`));
}

/** Heads of the stages and of the class attention: outlook attention tells its own, nine times nine weights for each. */
function headsFigure(sources: Sources, stages: readonly number[], dims: readonly number[]): Evidence {
  const { tensors } = sources.found;
  const all = [...dims, ...(tensors.has('cls_token') ? [dims.at(-1)!] : [])];
  const evidence = headsOf(sources, all, { config: [], perHead: 32 });
  const outlook = stages.map((stage) => tensors.get(`network.${stage}.0.attn.attn.weight`)?.shape[0]);
  const value = numbersOf({ heads: evidence }, 'heads').map(
    (heads, index) => (outlook[index] ?? 81 * heads) / 81,
  );
  return { ...evidence, value };
}

function recogniseVolo(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const stages = stagesOf(tensors);
  const kernel = tensors.get('patch_embed.proj.weight')?.shape[2];
  const table = tensors.get('pos_embed')?.shape;
  if (!kernel || table?.length !== 4 || stages.length === 0) return undefined;
  const dims = stages.map((stage) => tensors.get(`network.${stage}.0.norm1.weight`)!.shape[0]!);
  const depth = stages.map((stage) => countOf(tensors, `network.${stage}`));
  const patch = kernel * stemStride;
  const [, rows, columns] = table as readonly [number, number, number, number];
  const { imageSize, figure } = imageSizeOf(sources, [rows * 2 * patch, columns * 2 * patch]);
  const own = `pos_embed [${rows}, ${columns}] for maps of half as many rows and columns as patches`;
  return recognisedFrom(sources, {
    label: 'volo',
    title: sizeTitle('VOLO', sizes, depth, dims),
    evidence: {
      depth: stored(depth, stages.map((stage) => `network.${stage}`).join(', ')),
      class_depth: stored(countOf(tensors, 'post_network'), 'post_network'),
      dim: stored(dims, 'norm1.weight of each stage'),
      heads: headsFigure(sources, stages, dims),
      patch: stored(patch, `patch_embed.proj.weight, after a convolution of stride ${stemStride}`),
      grid: stored([rows, columns], own),
      resampling: stored(
        timmResampling,
        'as timm does to plain transformers; it builds this one for one size',
      ),
      activation: activationOf(sources),
      eps: epsOf(sources),
      pool: poolOf(sources, tensors.has('cls_token') ? ['token', 'avg'] : ['avg'], 'as timm has it'),
      channels: stored(tensors.get('patch_embed.conv.0.weight')?.shape[1] ?? 3, 'patch_embed.conv.0.weight'),
      classes: classesOf(tensors, 'head'),
      image_size: figure.assumed ? stored(figure.value, own) : figure,
    },
    imageSize,
    sizeStep: [2 * patch, 2 * patch],
    pixels: 'imagenet-1.0',
  });
}

interface BlockSettings {
  readonly heads: number;
  readonly eps: number;
  readonly activation: string;
}

/** Three convolutions and patches of their map (Yuan et al. 2021, §3.3): `[batch · count, dim]`. */
function embed(b: GraphBuilder, figures: EvidenceRecord, { imageSize, batch }: BuildOptions): Tokens {
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  return b.scope(
    'patch_embed',
    () => {
      const stem = [0, 3, 6].reduce(
        (x, at) =>
          convNorm(b, x, `conv.${at}`, `conv.${at + 1}`, {
            stride: at === 0 ? stemStride : 1,
            activation: 'relu',
            eps: 1e-5,
          }),
        pixels,
      );
      return mapToTokens(b, b.conv2d(stem, 'proj', { stride: b.shapeOf('proj.weight')[2]! }));
    },
    { title: 'Patch embedding' },
  );
}

/** x + attn(norm1(x)), then x + mlp(norm2(x)). Outlookers are those that hold the layer which says how to mix. */
function block(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): Tokens {
  const { heads, eps } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const attended = b.has('attn.attn.weight')
    ? outlookAttention(b, normed, heads)
    : selfAttention(b, normed, 'attn', b.scopePath, settings);
  const x = residual(b, tokens.value, attended);
  return withValue(tokens, residual(b, x, mlp(b, norm(b, x, 'norm2', eps), 'mlp', settings)));
}

/** The class token after it has asked all tokens; the patches stay as they are. */
function classBlock(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): Tokens {
  const { heads, eps } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const told = classAttention(b, normed, 'attn', b.scopePath, heads);
  const token = residual(b, tokenAt(b, tokens, 0), told);
  const fed = residual(b, token, mlp(b, norm(b, token, 'norm2', eps), 'mlp', settings));
  return withClassToken(b, fed, patchesOnly(b, tokens));
}

/** The tokens with their rows of the table, which stands behind the first downsampling. */
function placed(b: GraphBuilder, tokens: Tokens, figures: EvidenceRecord): Tokens {
  const [rows, columns] = numbersOf(figures, 'grid') as unknown as Grid;
  const dim = tokens.value.shape[1]!;
  const table = b.parameter('pos_embed', [1, rows * columns, dim]);
  const own = resampled(b, table, [rows, columns], gridOfLayout(tokens.layout), timmResampling);
  return withValue(tokens, b.reshape(b.add('Add', [sequence(b, tokens), own]), tokens.value.shape));
}

/** The stages of `network`, with downsampling between some of them. */
function buildNetwork(b: GraphBuilder, embedded: Tokens, figures: EvidenceRecord): Tokens {
  const common = { eps: numberOf(figures, 'eps'), activation: wordOf(figures, 'activation') };
  const heads = numbersOf(figures, 'heads');
  let tokens = embedded;
  let stage = 0;
  for (let index = 0; stage < numbersOf(figures, 'depth').length; index++) {
    const from = index === 2 ? placed(b, tokens, figures) : tokens;
    tokens = b.scope(
      `network.${index}`,
      () => {
        if (b.has('proj.weight'))
          return mapToTokens(b, b.conv2d(tokensToMap(b, from), 'proj', { stride: 2 }));
        const settings = { ...common, heads: heads[stage]! };
        const blocks = Array.from({ length: numbersOf(figures, 'depth')[stage++]! }, (_, at) => at);
        return blocks.reduce(
          (x, at) => b.scope(`${at}`, () => block(b, x, settings), { title: 'VOLO block' }),
          from,
        );
      },
      { title: 'Stage' },
    );
  }
  return tokens;
}

/** The classifier's answer, and half of what the auxiliary one finds most likely anywhere among the patches (Jiang et al. 2021, token labeling). */
function classify(b: GraphBuilder, tokens: Tokens, features: ValueInfo): void {
  const patches = patchesOnly(b, tokens);
  const everywhere = b.linear(patches.value, 'aux_head');
  const apart = b.reshape(everywhere, [patches.batch, patches.count, everywhere.shape[1]!]);
  const most = b.add('ReduceMax', [apart, b.indices([1])], { keepdims: int(0) });
  const half = b.add('Mul', [most, b.scalar(0.5)]);
  const last = sequence(b, tokens);
  b.output('logits', b.add('Add', [b.linear(features, 'head'), half]), 'logits');
  b.output('features', features, 'features');
  b.output('tokens', last, 'tokens');
}

function build(b: GraphBuilder, { evidence: figures }: Recognised, options: BuildOptions): void {
  let tokens = buildNetwork(b, embed(b, figures, options), figures);
  const eps = numberOf(figures, 'eps');
  const settings = {
    heads: numbersOf(figures, 'heads').at(-1)!,
    eps,
    activation: wordOf(figures, 'activation'),
  };
  if (b.has('cls_token')) tokens = withClassToken(b, learnedToken(b, 'cls_token', options.batch), tokens);
  for (let index = 0; index < numberOf(figures, 'class_depth'); index++)
    tokens = b.scope(`post_network.${index}`, () => classBlock(b, tokens, settings), {
      title: 'Class-attention block',
    });
  const last = withValue(tokens, norm(b, tokens.value, 'norm', eps));
  const pooled = pooledTokens(b, last, wordOf(figures, 'pool'));
  if (b.has('aux_head.weight') && b.has('head.weight')) classify(b, last, pooled);
  else answer(b, pooled, sequence(b, last));
}

/** VOLO (Yuan et al. 2021, "Vision Outlooker"): outlook attention on fine maps, self-attention on coarse ones, class attention at the end. */
export const volo: Family<Recognised, void> = {
  name: 'volo',
  title: 'VOLO',
  names: voloNames,
  assumable: [...isotropicAssumable, 'heads'],
  recognise: recogniseVolo,
  build,
};
