import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { classAttention } from '../blocks/classAttention';
import { convolution } from '../blocks/convolution';
import { activate, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mapToTokens, resizedMap, sequence } from '../blocks/maps';
import { learnedToken, patchesOnly, pooledTokens, tokenAt, withClassToken } from '../blocks/specialTokens';
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
import { preNormBlock } from '../groups/plainBlocks';
import { tableOf } from '../groups/positionTable';
import { sizeOf, type Sizes } from '../sizes';
import {
  classesOf,
  countOf,
  decide,
  nearestDivisor,
  onlySizeOf,
  recognisedFrom,
  sourcesOf,
  type Sources,
} from '../sources';
import { crossvitNames } from './names';

/** The branch of small patches and the branch of large ones. */
const branches = [0, 1] as const;
type Branch = (typeof branches)[number];
const other = (branch: Branch): Branch => (branch === 0 ? 1 : 0);

/** Sides of the patches that three convolutions cut (the "dagger" models), which do not show in their kernels. */
const convolvedPatches = [12, 16] as const;

/** Stride and padding of the three convolutions, by the patch that they cut together. */
const convolutions: Readonly<Record<number, readonly (readonly [stride: number, padding: number])[]>> = {
  12: [
    [4, 3],
    [3, 0],
    [1, 1],
  ],
  16: [
    [4, 3],
    [2, 1],
    [2, 1],
  ],
};

/** Sizes of Chen et al. 2021 (CrossViT, table 1), by multi-scale blocks and the blocks of their two branches. */
const sizes: Sizes = {
  '3,1,4 96': 'Ti',
  '3,1,4 192': 'S',
  '3,1,4 384': 'B',
  '3,1,3 128': '9',
  '3,1,5 192': '15',
  '3,1,6 224': '18',
};

/** Side of a branch's patches. */
function patchOf(tensors: Found['tensors'], branch: Branch): number {
  const kernel = tensors.get(`patch_embed.${branch}.proj.weight`)?.shape[2];
  return kernel ?? convolvedPatches[branch];
}

/** Rows and columns of `count` patches in about the proportions of `like`. */
function gridLike(count: number, [rows, columns]: Grid): Grid {
  const height = nearestDivisor(count, Math.sqrt((count * rows) / columns));
  return [height, count / height];
}

/** Heads of both branches; one number where they agree. */
function headsOf(sources: Sources, dims: readonly number[]): Evidence {
  const each = (value: ConfigValue): readonly number[] => {
    const heads = [value].flat().map(Number);
    return heads.length === 1 ? dims.map(() => heads[0]!) : heads;
  };
  const usual = dims.map((dim) => nearestDivisor(dim, dims[0]! / 32));
  const evidence = decide(sources, 'heads', {
    config: ['num_heads'],
    published: ({ heads }) => heads?.slice(0, dims.length),
    otherwise: assumed(usual, '32 channels per head in the first branch; not stored in the weights'),
    is: (value) =>
      each(value).length === dims.length &&
      each(value).every((heads, branch) => heads > 0 && dims[branch]! % heads === 0),
    needed: `a number for each of the widths ${dims.join(', ')} that divides it`,
  });
  const heads = each(evidence.value);
  return { ...evidence, value: new Set(heads).size === 1 ? heads[0]! : heads };
}

function recognise(evidences: Found): Recognised | undefined {
  const { tensors } = evidences;
  const sources = sourcesOf(evidences);
  const patches = branches.map((branch) => patchOf(tensors, branch));
  const dims = branches.map((branch) => tensors.get(`pos_embed_${branch}`)?.shape[2] ?? 0);
  const layout = tableOf(sources, 'pos_embed_0', [patches[0]!, patches[0]!], 1);
  const positions = tensors.get('pos_embed_1')?.shape[1];
  if (!layout || positions === undefined) return undefined;
  const grid = layout.grid.value as Grid;
  const small = gridLike(positions - 1, grid);
  const own = [grid[0] * patches[0]!, grid[1] * patches[0]!] as const;
  const { imageSize, figure } = onlySizeOf(sources, own, 'pos_embed_0');
  const depth = countOf(tensors, 'blocks');
  const depths = branches.map((branch) => countOf(tensors, `blocks.0.blocks.${branch}`));
  const size = sizeOf(sizes, [depth, ...depths], dims);
  const dagger = !tensors.has('patch_embed.0.proj.weight');
  const channels = (tensors.get('patch_embed.0.proj.weight') ?? tensors.get('patch_embed.0.proj.0.weight'))
    ?.shape[1];
  return recognisedFrom(sources, {
    label: 'crossvit',
    title: `CrossViT${size ? `-${size}` : ` with ${depth} × (${depths.join(' + ')}) blocks`}${dagger ? '†' : ''}`,
    evidence: {
      depth: stored(depth, `blocks.${depth - 1}`),
      branch_depth: stored(depths, 'blocks.0.blocks'),
      dim: stored(dims, 'pos_embed_0'),
      heads: headsOf(sources, dims),
      mlp_ratio: stored(
        branches.map(
          (branch) =>
            (tensors.get(`blocks.0.blocks.${branch}.0.mlp.fc1.weight`)?.shape[0] ?? 0) / dims[branch]!,
        ),
        'blocks.0.blocks.0.0.mlp.fc1.weight',
      ),
      patch: stored(
        patches,
        dagger ? 'those of all models with three convolutions' : 'patch_embed.0.proj.weight',
      ),
      grid: layout.grid,
      second_grid: stored(small, 'pos_embed_1'),
      activation: stored('gelu', 'fixed by the library'),
      eps: stored(1e-6, 'fixed by the library'),
      pool: decide(sources, 'pool', {
        config: ['global_pool'],
        otherwise: stored('token', 'the default of the library'),
        is: (value) => value === 'token' || value === 'avg',
        needed: 'token or avg',
      }),
      channels: stored(channels ?? 3, 'patch_embed.0.proj'),
      classes: classesOf(tensors, 'head.0'),
      image_size: figure,
    },
    imageSize,
    sizeStep: [0, 0],
    pixels: 'imagenet',
    warnings: layout.warnings,
  });
}

/** Patches of a map: one strided convolution, or three with ReLU between them. */
function cut(b: GraphBuilder, map: ValueInfo, patch: number): ValueInfo {
  if (b.has('proj.weight')) return convolution(b, map, 'proj', { stride: patch, padding: 0 });
  return convolutions[patch]!.reduce((x, [stride, padding], index) => {
    const input = index === 0 ? x : activate(b, x, 'relu');
    return convolution(b, input, `proj.${2 * index}`, { stride, padding });
  }, map);
}

/** The branch's tokens of a picture, which is shrunk bicubically to the size of the branch. */
function embed(b: GraphBuilder, pixels: ValueInfo, figures: EvidenceRecord, branch: Branch): Tokens {
  const patch = numbersOf(figures, 'patch')[branch]!;
  const [rows, columns] = numbersOf(figures, branch === 0 ? 'grid' : 'second_grid') as readonly [
    number,
    number,
  ];
  const patches = b.scope(
    `patch_embed.${branch}`,
    () =>
      mapToTokens(
        b,
        cut(b, resizedMap(b, pixels, [rows * patch, columns * patch], { mode: 'cubic' }), patch),
      ),
    { title: `Patch embedding, branch ${branch + 1}` },
  );
  const tokens = withClassToken(b, learnedToken(b, `cls_token_${branch}`, patches.batch), patches);
  const sum = b.add('Add', [sequence(b, tokens), b.parameter(`pos_embed_${branch}`)]);
  return withValue(tokens, b.reshape(sum, tokens.value.shape));
}

interface Settings {
  readonly heads: readonly number[];
  readonly eps: number;
  readonly activation: string;
}

/** Norm, activation and linear layer of the class token `[batch, dim]` from one branch's width to the other's. */
function project(b: GraphBuilder, token: ValueInfo, name: string, { eps, activation }: Settings): ValueInfo {
  return b.scope(name, () => b.linear(activate(b, norm(b, token, '0', eps), activation), '2'));
}

/** The class token `[batch, dim]` of `tokens` plus what it is told by them all (Chen et al. 2021, CrossViT §3.3). */
function fuse(b: GraphBuilder, tokens: Tokens, heads: number, eps: number): ValueInfo {
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const told = classAttention(b, normed, 'attn', b.scopePath, heads, 'cross');
  return residual(b, tokenAt(b, tokens, 0), told);
}

/** Cross-attention blocks of a branch: the first asks the other branch's patches; what follows has the class token alone left. */
function fusion(b: GraphBuilder, tokens: Tokens, name: string, heads: number, eps: number): ValueInfo {
  const note = { title: 'Cross-attention block' };
  if (b.has(`${name}.norm1.weight`)) return b.scope(name, () => fuse(b, tokens, heads, eps), note);
  let asking = tokens;
  for (let index = 0; b.has(`${name}.${index}.norm1.weight`); index++) {
    const value = b.scope(`${name}.${index}`, () => fuse(b, asking, heads, eps), note);
    asking = { value, batch: tokens.batch, count: 1, layout: { special: ['cls'] } };
  }
  return tokenAt(b, asking, 0);
}

/** Blocks of one branch, `blocks.<branch>.0` … of the current scope. */
function branchBlocks(b: GraphBuilder, tokens: Tokens, branch: Branch, settings: Settings): Tokens {
  const options = { ...settings, heads: settings.heads[branch]! };
  let out = tokens;
  for (let index = 0; b.has(`blocks.${branch}.${index}.norm1.weight`); index++) {
    const block = (): ValueInfo => preNormBlock(b, out, { ...options, index });
    out = withValue(out, b.scope(`blocks.${branch}.${index}`, block, { title: 'Transformer block' }));
  }
  return out;
}

/** Each branch by itself, then the class token of each asks the patches of the other and returns (CrossViT §3.2). */
function multiScaleBlock(b: GraphBuilder, inputs: readonly Tokens[], settings: Settings): readonly Tokens[] {
  const alone = branches.map((branch) => branchBlocks(b, inputs[branch]!, branch, settings));
  const sent = branches.map((branch) =>
    project(b, tokenAt(b, alone[branch]!, 0), `projs.${branch}`, settings),
  );
  return branches.map((branch) => {
    const there = other(branch);
    const guest = withClassToken(b, sent[branch]!, patchesOnly(b, alone[there]!));
    const told = fusion(b, guest, `fusion.${branch}`, settings.heads[there]!, settings.eps);
    const back = project(b, told, `revert_projs.${branch}`, settings);
    return withClassToken(b, back, patchesOnly(b, alone[branch]!));
  });
}

/** Two branches of multi-scale blocks; the mean of what both class tokens say is the answer. */
function build(b: GraphBuilder, { evidence: figures }: Recognised, { imageSize, batch }: BuildOptions): void {
  const pixels = b.input('pixel_values', [batch, numberOf(figures, 'channels'), ...imageSize]);
  const heads = numbersOf(figures, 'heads');
  const settings: Settings = {
    heads: branches.map((branch) => heads[branch] ?? heads[0]!),
    eps: numberOf(figures, 'eps'),
    activation: wordOf(figures, 'activation'),
  };
  let all: readonly Tokens[] = branches.map((branch) => embed(b, pixels, figures, branch));
  for (let index = 0; index < numberOf(figures, 'depth'); index++)
    all = b.scope(`blocks.${index}`, () => multiScaleBlock(b, all, settings), { title: 'Multi-scale block' });
  const last = all.map((tokens, branch) =>
    withValue(tokens, norm(b, tokens.value, `norm.${branch}`, settings.eps)),
  );
  const sequences = last.map((tokens) => sequence(b, tokens));
  const pooled = last.map((tokens) => pooledTokens(b, tokens, wordOf(figures, 'pool')));
  if (b.has('head.0.weight')) {
    const [first, second] = pooled.map((features, branch) => b.linear(features, `head.${branch}`));
    b.output('logits', b.add('Mul', [b.add('Add', [first, second]), b.scalar(0.5)]), 'logits');
  }
  b.output('features', b.concat(pooled, 1), 'features');
  b.output('tokens', sequences[0]!, 'tokens');
  b.output('tokens_1', sequences[1]!, 'tokens');
}

/** CrossViT (Chen et al. 2021): small and large patches in two branches, whose class tokens visit each other. */
export const crossvit: Family<Recognised, void> = {
  name: 'crossvit',
  title: 'CrossViT',
  names: crossvitNames,
  assumable: ['heads', 'grid', 'pool'],
  recognise,
  build,
};
