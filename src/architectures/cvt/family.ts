import { answer } from '../heads/classifier';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { batchNorm, convolution } from '../blocks/convolution';
import { maybeNorm, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mapToTokens, meanOfTokens, tokensToMap } from '../blocks/maps';
import { learnedToken, patchesOnly, tokenAt, withClassToken } from '../blocks/specialTokens';
import { mergeHeads, mlp, splitHeads } from '../blocks/transformer';
import type {
  BuildOptions,
  ConfigValue,
  Evidence,
  EvidenceRecord,
  Family,
  Found,
  Recognised,
} from '../family';
import { assumed, numberOf, numbersOf, stored, wordOf } from '../figures';
import { sizeTitle } from '../sizes';
import {
  activationOf,
  classesOf,
  countOf,
  decide,
  headsOf,
  imageSizeOf,
  recognisedFrom,
  sourcesOf,
  type Sources,
} from '../sources';
import { cvtNames } from './names';

/** Strides and paddings of the convolutions, which no weight tells: those of all published models. */
const usual = {
  patch_stride: { config: 'patch_stride', of: (kernel: number) => (kernel + 1) >> 1 },
  patch_padding: { config: 'patch_padding', of: (kernel: number) => (kernel === 7 ? 2 : kernel >> 1) },
  query_stride: { config: 'stride_q', of: () => 1 },
  kv_stride: { config: 'stride_kv', of: () => 2 },
} as const;

type Geometry = keyof typeof usual;

/** Activations as the libraries set them: the authors' quick GELU became the exact one in transformers. */
const libraryActivation: Readonly<Record<string, string>> = { cvt: 'quick_gelu', transformers: 'gelu' };

/** One of the figures that weights do not tell, per stage; one number stands for all. */
function geometry(sources: Sources, key: Geometry, kernels: readonly number[]): Evidence {
  const { config, of } = usual[key];
  const each = (value: ConfigValue): readonly number[] => {
    const numbers = [value].flat().map(Number);
    return numbers.length === 1 ? kernels.map(() => numbers[0]!) : numbers;
  };
  const least = key === 'patch_padding' ? 0 : 1;
  const published = kernels.map(of);
  const evidence = decide(sources, key, {
    config: [config],
    published: () => published,
    otherwise: assumed(published, 'as in all published models; not stored in the weights'),
    is: (value) =>
      each(value).length === kernels.length &&
      each(value).every((number) => Number.isInteger(number) && number >= least),
    needed: `one whole number from ${least}, or ${kernels.length} of them`,
  });
  return { ...evidence, value: each(evidence.value) };
}

function recognise(evidences: Found): Recognised | undefined {
  const { tensors, dialect } = evidences;
  const sources = sourcesOf(evidences);
  const stages = countOf(tensors, 'stages');
  const kernel = tensors.get('stages.0.patch_embed.proj.weight')?.shape;
  if (stages === 0 || kernel?.length !== 4) return undefined;
  const each = (name: string, axis: number): readonly number[] =>
    Array.from({ length: stages }, (_, stage) => tensors.get(`stages.${stage}.${name}`)?.shape[axis] ?? 0);
  const dims = each('patch_embed.proj.weight', 0);
  const kernels = each('patch_embed.proj.weight', 2);
  const last = `stages.${stages - 1}`;
  const depths = Array.from({ length: stages }, (_, stage) => countOf(tensors, `stages.${stage}.blocks`));
  const strides = geometry(sources, 'patch_stride', kernels);
  const step = [strides.value].flat().reduce<number>((product, stride) => product * Number(stride), 1);
  const { imageSize, figure } = imageSizeOf(sources);
  return recognisedFrom(sources, {
    label: 'cvt',
    title: sizeTitle('CvT', { '1,2,10 64': '13', '1,4,16 64': '21', '2,2,20 192': 'W24' }, depths, dims),
    evidence: {
      depth: stored(depths, `${last}.blocks`),
      dim: stored(dims, 'stages.0.patch_embed.proj.weight'),
      heads: headsOf(sources, dims, { config: ['num_heads'], perHead: 64 }),
      mlp_ratio: stored(
        each('blocks.0.mlp.fc1.weight', 0).map((width, stage) => width / dims[stage]!),
        'stages.0.blocks.0.mlp.fc1.weight',
      ),
      patch: stored(kernels, 'stages.0.patch_embed.proj.weight'),
      patch_stride: strides,
      patch_padding: geometry(sources, 'patch_padding', kernels),
      query_stride: geometry(sources, 'query_stride', kernels),
      kv_stride: geometry(sources, 'kv_stride', kernels),
      activation: activationOf(
        sources,
        stored(libraryActivation[dialect.name]!, `fixed by ${dialect.title}`),
      ),
      eps: stored(1e-5, `fixed by ${dialect.title}`),
      pool: tensors.has(`${last}.cls_token`)
        ? stored('token', `${last}.cls_token`)
        : stored('avg', 'no class token in the file'),
      channels: stored(kernel[1]!, 'stages.0.patch_embed.proj.weight'),
      classes: classesOf(tensors, 'head'),
      image_size: figure,
    },
    imageSize,
    sizeStep: [step, step],
    pixels: 'imagenet',
  });
}

interface BlockSettings {
  readonly heads: number;
  readonly qStride: number;
  readonly kvStride: number;
  readonly activation: string;
  readonly eps: number;
}

/** Convolutional projection (Wu et al. 2021, §3.2): a depthwise convolution and batch norm over the map, a linear layer per token; the class token skips the convolution. */
function projection(
  b: GraphBuilder,
  tokens: Tokens,
  part: 'q' | 'k' | 'v',
  stride: number,
  eps: number,
): Tokens {
  const map = tokensToMap(b, patchesOnly(b, tokens));
  const mixed = b.scope(`conv_proj_${part}`, () =>
    batchNorm(b, convolution(b, map, 'conv', { stride }), 'bn', eps),
  );
  const patches = mapToTokens(b, mixed);
  const all = tokens.layout.special?.length ? withClassToken(b, tokenAt(b, tokens, 0), patches) : patches;
  return withValue(all, b.linear(all.value, `proj_${part}`));
}

/** Attention whose queries, keys and values are convolutional projections; the scores are scaled by the whole width, not a head's. */
function attention(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): ValueInfo {
  const { heads, qStride, kvStride, eps } = settings;
  const layer = b.scopePath;
  return b.scope(
    'attn',
    () => {
      const query = projection(b, tokens, 'q', qStride, eps);
      const key = projection(b, tokens, 'k', kvStride, eps);
      const value = projection(b, tokens, 'v', kvStride, eps);
      const split = ({ value: x, batch }: Tokens): ValueInfo => splitHeads(b, x, batch, heads);
      const less = key.count < query.count;
      const mixed = b.attention(split(query), split(key), split(value), {
        scale: 1 / Math.sqrt(tokens.value.shape[1]!),
        probe: {
          layer,
          kind: less ? 'reduced' : 'self',
          queries: query.layout,
          keys: key.layout,
          ...(less && { reduction: kvStride / qStride }),
        },
      });
      return b.linear(mergeHeads(b, mixed), 'proj');
    },
    { title: `Convolutional attention, ${heads} heads`, formula: 'softmax(conv(x)·conv(x)ᵀ/√D)·conv(x)' },
  );
}

function block(b: GraphBuilder, tokens: Tokens, settings: BlockSettings): Tokens {
  const { eps, activation } = settings;
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const x = residual(b, tokens.value, attention(b, normed, settings));
  const fed = mlp(b, norm(b, x, 'norm2', eps), 'mlp', { activation, eps });
  return withValue(tokens, residual(b, x, fed));
}

function settingsOf(figures: EvidenceRecord, stage: number): BlockSettings {
  return {
    heads: numbersOf(figures, 'heads')[stage]!,
    qStride: numbersOf(figures, 'query_stride')[stage]!,
    kvStride: numbersOf(figures, 'kv_stride')[stage]!,
    activation: wordOf(figures, 'activation'),
    eps: numberOf(figures, 'eps'),
  };
}

/** A stage (Wu et al. 2021, §3.1): convolutional token embedding, a class token where one is stored, blocks. */
function stageTokens(b: GraphBuilder, map: ValueInfo, figures: EvidenceRecord, stage: number): Tokens {
  const settings = settingsOf(figures, stage);
  const patches = b.scope(
    'patch_embed',
    () => {
      const stride = numbersOf(figures, 'patch_stride')[stage]!;
      const padding = numbersOf(figures, 'patch_padding')[stage]!;
      const cut = mapToTokens(b, convolution(b, map, 'proj', { stride, padding }));
      return withValue(cut, norm(b, cut.value, 'norm', settings.eps));
    },
    { title: 'Convolutional token embedding' },
  );
  let tokens = b.has('cls_token')
    ? withClassToken(b, learnedToken(b, 'cls_token', patches.batch), patches)
    : patches;
  for (let index = 0; index < numbersOf(figures, 'depth')[stage]!; index++)
    tokens = b.scope(`blocks.${index}`, () => block(b, tokens, settings), { title: 'Block' });
  return tokens;
}

/** Stages over a shrinking map; the class token of the last, or the mean of its tokens, is classified. */
function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  let map = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  let tokens: Tokens | undefined;
  for (const stage of numbersOf(figures, 'depth').keys()) {
    tokens = b.scope(`stages.${stage}`, () => stageTokens(b, map, figures, stage), {
      title: `Stage ${stage + 1}`,
    });
    map = tokensToMap(b, patchesOnly(b, tokens));
  }
  const eps = numberOf(figures, 'eps');
  const features =
    wordOf(figures, 'pool') === 'token'
      ? maybeNorm(b, tokenAt(b, tokens!, 0), 'norm', eps)
      : meanOfTokens(b, withValue(tokens!, maybeNorm(b, tokens!.value, 'norm', eps)));
  answer(b, features, map);
}

/** CvT (Wu et al. 2021, "Introducing Convolutions to Vision Transformers"): convolutions embed tokens and project queries, keys and values. */
export const cvt: Family<Recognised, void> = {
  name: 'cvt',
  title: 'Convolutional vision Transformer',
  names: cvtNames,
  assumable: ['heads', 'activation', ...(Object.keys(usual) as Geometry[])],
  recognise,
  build,
};
