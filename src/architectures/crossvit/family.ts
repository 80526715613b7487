import { at, last } from '../../domain/lists';
import type { Grid, Size } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { classAttention } from '../blocks/classAttention';
import { convolution } from '../blocks/convolution';
import { activate, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mapToTokens, resizedMap, sequence } from '../blocks/maps';
import { learnedToken, patchesOnly, pooledTokens, tokenAt, withClassToken } from '../blocks/specialTokens';
import { eachBlock, tokenStage, type Maps } from '../blocks/stages';
import { nearestDivisor } from '../divisors';
import type { BuildOptions, Evidence, Family, Found, Recognised } from '../family';
import { assumed, configOf, stored, type ConfigOf } from '../evidence';
import { preNormBlock, type BlockFacts } from '../groups/plainBlocks';
import { tableOf } from '../groups/positionTable';
import type { TableLayout } from '../groups/tableLayout';
import { sizeOf, type Sizes } from '../sizes';
import {
  classesOf,
  countOf,
  decide,
  headsDivide,
  headsOfEach,
  onlySizeOf,
  recognisedFrom,
  sideOf,
  sourcesOf,
  type Sources,
} from '../decide';
import { crossvitNames } from './names';

/** The branch of small patches and the branch of large ones. */
type Branch = 0 | 1;
type Both<T> = readonly [small: T, large: T];
const both = <T>(make: (branch: Branch) => T): Both<T> => [make(0), make(1)];
const other = (branch: Branch): Branch => (branch === 0 ? 1 : 0);

/**
 * Sides of the patches that three convolutions cut (the "dagger" models), which do not show in
 * their kernels.
 */
const convolvedPatches: Both<number> = [12, 16];

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

/**
 * Sizes of Chen et al. 2021 (CrossViT, table 1), by multi-scale blocks and the blocks of their two
 * branches.
 */
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

/** Heads of both branches; one number if they agree. */
function headsOf(sources: Sources, dims: Both<number>): Evidence<number | readonly number[]> {
  const usual = dims.map((dim) => nearestDivisor(dim, dims[0] / 32));
  const evidence = decide(sources, 'heads', {
    config: ['num_heads'],
    published: ({ heads }) => heads?.slice(0, dims.length),
    otherwise: assumed(usual, '32 channels per head in the first branch; not stored in the weights'),
    is: (value) => headsDivide(headsOfEach(value, dims.length), dims),
    needed: `a number for each of the widths ${dims.join(', ')} that divides it`,
  });
  const heads = headsOfEach(evidence.value, dims.length);
  return { ...evidence, value: new Set(heads).size === 1 ? at(heads, 0) : heads };
}

/** What is read off names and shapes. */
interface Shapes {
  readonly depth: number;
  /** Blocks of both branches in a multi-scale block. */
  readonly depths: Both<number>;
  readonly dims: Both<number>;
  readonly patches: Both<number>;
  readonly layout: TableLayout;
  /** Grid of the large patches. */
  readonly second: Grid;
  /** Three convolutions cut the patches. */
  readonly dagger: boolean;
}

function shapesOf(sources: Sources): Shapes | undefined {
  const { tensors } = sources.found;
  const patches = both((branch) => patchOf(tensors, branch));
  const layout = tableOf(sources, 'pos_embed_0', [patches[0], patches[0]], 1);
  const positions = tensors.get('pos_embed_1')?.shape[1];
  if (!layout || positions === undefined) return undefined;
  return {
    depth: countOf(tensors, 'blocks'),
    depths: both((branch) => countOf(tensors, `blocks.0.blocks.${branch}`)),
    dims: both((branch) => sideOf(tensors, `pos_embed_${branch}`, 2)),
    patches,
    layout,
    second: gridLike(positions - 1, layout.grid.value),
    dagger: !tensors.has('patch_embed.0.proj.weight'),
  };
}

/** The hyper-parameters, in the order in which people see them. */
function evidenceOf(sources: Sources, shapes: Shapes, imageSize: Evidence<Size>) {
  const { tensors } = sources.found;
  const { depth, depths, dims, patches, layout, second, dagger } = shapes;
  const hidden = both((branch) => tensors.get(`blocks.0.blocks.${branch}.0.mlp.fc1.weight`)?.shape[0] ?? 0);
  const kernel = tensors.get('patch_embed.0.proj.weight') ?? tensors.get('patch_embed.0.proj.0.weight');
  return {
    depth: stored(depth, `blocks.${depth - 1}`),
    branch_depth: stored(depths, 'blocks.0.blocks'),
    dim: stored(dims, 'pos_embed_0'),
    heads: headsOf(sources, dims),
    mlp_ratio: stored(
      both((branch) => hidden[branch] / dims[branch]),
      'blocks.0.blocks.0.0.mlp.fc1.weight',
    ),
    patch: stored(
      patches,
      dagger ? 'those of all models with three convolutions' : 'patch_embed.0.proj.weight',
    ),
    grid: layout.grid,
    second_grid: stored(second, 'pos_embed_1'),
    activation: stored('gelu', 'fixed by the library'),
    eps: stored(1e-6, 'fixed by the library'),
    pool: decide<'token' | 'avg'>(sources, 'pool', {
      config: ['global_pool'],
      otherwise: stored<'token' | 'avg'>('token', 'the default of the library'),
      is: (value) => value === 'token' || value === 'avg',
      needed: 'token or avg',
    }),
    channels: stored(kernel?.shape[1] ?? 3, 'patch_embed.0.proj'),
    classes: classesOf(tensors, 'head.0'),
    image_size: imageSize,
  };
}

type CrossConfig = Omit<ConfigOf<ReturnType<typeof evidenceOf>>, 'heads'> & { readonly heads: Both<number> };

function recognise(found: Found): Recognised<CrossConfig> | undefined {
  const sources = sourcesOf(found);
  const shapes = shapesOf(sources);
  if (!shapes) return undefined;
  const { depth, depths, dims, patches, layout, dagger } = shapes;
  const [rows, columns] = layout.grid.value;
  const own: Size = [rows * patches[0], columns * patches[0]];
  const { imageSize, evidence: sized } = onlySizeOf(sources, own, 'pos_embed_0');
  const settled = evidenceOf(sources, shapes, sized);
  const heads = headsOfEach(settled.heads.value, dims.length);
  const size = sizeOf(sizes, [depth, ...depths], dims);
  const named = size ? `-${size}` : ` with ${depth} × (${depths.join(' + ')}) blocks`;
  return recognisedFrom(sources, {
    label: 'crossvit',
    title: `CrossViT${named}${dagger ? '†' : ''}`,
    config: { ...configOf(settled), heads: both((branch) => at(heads, branch)) },
    evidence: settled,
    imageSize,
    sizeStep: [0, 0],
    pixels: 'imagenet',
    warnings: layout.warnings,
  });
}

/** Patches of a map: one strided convolution, or three with ReLU between them. */
function cut(b: GraphBuilder, map: ValueInfo, patch: number): ValueInfo {
  if (b.has('proj.weight')) return convolution(b, map, 'proj', { stride: patch, padding: 0 });
  return (convolutions[patch] ?? []).reduce((x, [stride, padding], index) => {
    const input = index === 0 ? x : activate(b, x, 'relu');
    return convolution(b, input, `proj.${2 * index}`, { stride, padding });
  }, map);
}

/** The branch's tokens of an image, which is shrunk bicubically to the size of the branch. */
function embed(b: GraphBuilder, pixels: ValueInfo, config: CrossConfig, branch: Branch): Tokens {
  const patch = config.patch[branch];
  const [rows, columns] = branch === 0 ? config.grid : config.second_grid;
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

type Settings = Omit<BlockFacts, 'heads'> & { readonly heads: Both<number> };

/**
 * Norm, activation and linear layer of the class token `[batch, dim]` from one branch's width to
 * the other's.
 */
function project(b: GraphBuilder, token: ValueInfo, name: string, { eps, activation }: Settings): ValueInfo {
  return b.scope(name, () => b.linear(activate(b, norm(b, token, '0', eps), activation), '2'));
}

/**
 * The class token `[batch, dim]` of `tokens` plus what attention to all of them gives (Chen et al.
 * 2021, CrossViT §3.3).
 */
function fuse(b: GraphBuilder, tokens: Tokens, heads: number, eps: number): ValueInfo {
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', eps));
  const attended = classAttention(b, normed, 'attn', b.scopePath, heads, 'cross');
  return residual(b, tokenAt(b, tokens, 0), attended);
}

/**
 * Cross-attention blocks of a branch: the first reads the other branch's patches; what follows has
 * the class token alone left.
 */
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
  const facts = { ...settings, heads: settings.heads[branch] };
  let out = tokens;
  for (let index = 0; b.has(`blocks.${branch}.${index}.norm1.weight`); index++) {
    const block = (): ValueInfo => preNormBlock(b, out, { ...facts, index });
    out = withValue(out, b.scope(`blocks.${branch}.${index}`, block, { title: 'Transformer block' }));
  }
  return out;
}

/**
 * Each branch by itself, then the class token of each asks the patches of the other and returns
 * (CrossViT §3.2).
 */
function multiScaleBlock(b: GraphBuilder, inputs: Both<Tokens>, settings: Settings): Both<Tokens> {
  const alone = both((branch) => branchBlocks(b, inputs[branch], branch, settings));
  const sent = both((branch) => project(b, tokenAt(b, alone[branch], 0), `projs.${branch}`, settings));
  return both((branch) => {
    const there = other(branch);
    const guest = withClassToken(b, sent[branch], patchesOnly(b, alone[there]));
    const fused = fusion(b, guest, `fusion.${branch}`, settings.heads[there], settings.eps);
    const back = project(b, fused, `revert_projs.${branch}`, settings);
    return withClassToken(b, back, patchesOnly(b, alone[branch]));
  });
}

interface CrossMaps extends Maps {
  /** Last tokens of both branches, after their norms. */
  readonly branches: Both<Tokens>;
}

/** Writes multi-scale blocks over both branches; a stage is what a branch ends with. */
function build(b: GraphBuilder, config: CrossConfig, { imageSize, batch }: BuildOptions): CrossMaps {
  const pixels = b.input('pixel_values', [batch, config.channels, ...imageSize]);
  const { heads, eps, activation, depth } = config;
  const blocks = eachBlock(
    b,
    both((branch) => embed(b, pixels, config, branch)),
    {
      depth,
      block: (tokens) => multiScaleBlock(b, tokens, { heads, eps, activation }),
      note: { title: 'Multi-scale block' },
    },
  );
  const ends = last(blocks);
  const normed = (branch: Branch): Tokens =>
    withValue(ends[branch], norm(b, ends[branch].value, `norm.${branch}`, eps));
  return { stages: ends.map((tokens) => tokenStage(tokens, imageSize)), branches: both(normed) };
}

/** Ends with the mean of the logits of both class tokens. */
function head(b: GraphBuilder, { branches }: CrossMaps, { pool }: CrossConfig): void {
  const sequences = both((branch) => sequence(b, branches[branch]));
  const pooled = both((branch) => pooledTokens(b, branches[branch], pool));
  if (b.has('head.0.weight')) {
    const logits = both((branch) => b.linear(pooled[branch], `head.${branch}`));
    b.output('logits', b.add('Mul', [b.add('Add', logits), b.scalar(0.5)]), 'logits');
  }
  b.output('features', b.concat(pooled, 1), 'features');
  b.output('tokens', sequences[0], 'tokens');
  b.output('tokens_1', sequences[1], 'tokens');
}

/**
 * CrossViT (Chen et al. 2021): small and large patches in two branches, whose class tokens visit
 * each other.
 */
export const crossvit: Family<CrossConfig, CrossMaps> = {
  name: 'crossvit',
  title: 'CrossViT',
  names: crossvitNames,
  assumable: ['heads', 'grid', 'pool'],
  recognise,
  build,
  head,
};
