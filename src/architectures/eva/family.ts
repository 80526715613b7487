import { ParameterError, type GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { withValue, type Tokens } from '../blocks/layers';
import { axialRotation, mixedRotation, type Rotation } from '../blocks/rotary';
import { eachBlock, type TokenMaps } from '../blocks/stages';
import type { BuildOptions, Family } from '../family';
import { blocks, notes } from '../groups/evaBlocks';
import { normedMaps } from '../groups/plain';
import { embed } from '../groups/plainEmbedding';
import { tokensAnswer } from '../heads/tokens';
import { recogniseEva, type EvaConfig } from './hyperparameters';
import { evaNames } from './names';

/** How the blocks' queries and keys are turned, block by block; undefined if they are not. */
function rotationsOf(
  b: GraphBuilder,
  { layout }: Tokens,
  { rotation: turning, heads, head_dim: width }: EvaConfig,
): (block: number) => Rotation | undefined {
  if (turning.rope === 'none') return () => undefined;
  if (turning.rope === 'mixed') {
    const [, depth = 0, , pairs = 0] = b.shapeOf('rope.freqs');
    const frequencies = b.split(b.parameter('rope.freqs', [2, depth, heads, pairs]), depth, 1);
    return (block) => {
      const own = frequencies[block];
      if (!own) throw new ParameterError('rope.freqs', `no frequencies of block ${block}`);
      return mixedRotation(b, layout, b.reshape(own, [2, heads, pairs]), turning);
    };
  }
  const rotation = axialRotation(b, layout, width, turning);
  return () => rotation;
}

/** Tokens, how the next block turns them, and what is added to its scores. */
interface Turned {
  readonly tokens: Tokens;
  readonly rotation?: Rotation | undefined;
  readonly bias?: ValueInfo | undefined;
}

function build(b: GraphBuilder, config: EvaConfig, options: BuildOptions): TokenMaps {
  const { heads, eps, activation, depth, norm_order: order } = config;
  const { entering } = options;
  // Queries that join the tokens are turned by nothing, in tables of their own.
  const rotations = new Map<number, (block: number) => Rotation | undefined>();
  const rotationOf = (tokens: Tokens, block: number): Rotation | undefined => {
    const known = rotations.get(tokens.count) ?? rotationsOf(b, tokens, config);
    rotations.set(tokens.count, known);
    return known(block);
  };
  const embedded = embed(b, config, options);
  const ends = eachBlock<Turned>(
    b,
    { tokens: embedded },
    {
      depth,
      enter: (before, index) => {
        const { tokens, bias } = entering?.(b, before.tokens, index) ?? before;
        return { tokens, bias: entering && bias, rotation: rotationOf(tokens, index) };
      },
      block: ({ tokens, rotation, bias }) => {
        const facts = { heads, eps, activation, ...(rotation && { rotation }), ...(bias && { bias }) };
        return { tokens: withValue(tokens, blocks[order](b, tokens, facts)) };
      },
      note: notes[order],
    },
  );
  const turned = ends.map(({ tokens }) => tokens);
  return normedMaps(b, turned, eps, options);
}

/** Ends as a plain transformer does; attention pooling has heads and an activation of its own. */
const head = (b: GraphBuilder, maps: TokenMaps, config: EvaConfig): void =>
  tokensAnswer(b, maps, { ...config, heads: config.poolHeads, activation: 'gelu' });

/**
 * What timm's eva.py builds: EVA (Fang et al. 2022), EVA-02 (2023) and transformers with rotary
 * positions: DINOv3 (Siméoni et al. 2025), Perception Encoder (Bolya et al. 2025), RoPE-ViT (Heo et
 * al. 2024) and others. No weight but learned frequencies shows the rotation.
 */
export const eva: Family<EvaConfig, TokenMaps> = {
  name: 'eva',
  title: 'EVA and rotary transformers',
  names: evaNames,
  idle: /^(?:mask_token|local_cls_norm\.(?:weight|bias))$/,
  assumable: [
    'heads',
    'pool',
    'eps',
    'activation',
    'norm_order',
    'grid',
    'rope',
    'rope_temperature',
    'rope_ref_grid',
    'rope_indexing',
    'rope_offset',
    'rope_pairing',
  ],
  recognise: recogniseEva,
  build,
  head,
};
