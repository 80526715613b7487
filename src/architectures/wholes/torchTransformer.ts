import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import { allTokens, otherAttention, ownAttention, separateProjections, stateInput } from '../blocks/decoding';
import { activate, withValue, type Tokens } from '../blocks/layers';
import { sequence } from '../blocks/maps';
import { causalMask } from '../blocks/textTower';
import { countOf, knownActivation, shapeOf } from '../decide';
import { rows, type Rename } from '../dialect';
import { nearestDivisor } from '../divisors';
import { assumed, stored } from '../evidence';
import { settle, type FoundModel, type ModelContext, type Standalone } from '../whole';
import { countedTokens } from './imageToText';
import { countedText, normedBranch, sequencesOf, sequenceEps, trueOrFalse } from './sequences';

/** What torch's `nn.Transformer` is written by. */
interface TorchConfig {
  readonly depth: number;
  readonly decoderDepth: number;
  readonly dim: number;
  readonly heads: number;
  readonly activation: string;
  readonly isPre: boolean;
  readonly masked: boolean;
}

/** Heads of `nn.Transformer` and its layers if nobody says others (torch 2.13). */
const usualHeads = 8;
const projections = separateProjections(['q_proj', 'k_proj', 'v_proj', 'out_proj']);
const firstWide = 'encoder.layers.0.linear1.weight';

/** torch keeps the projections of queries, keys and values in one matrix. */
const apart: readonly Rename[] = ['q_proj', 'k_proj', 'v_proj'].flatMap((name, index): Rename[] => [
  [/^(.*\.(?:self_attn|multihead_attn))\.in_proj_weight$/, `$1.${name}.weight`, rows(index, 3)],
  [/^(.*\.(?:self_attn|multihead_attn))\.in_proj_bias$/, `$1.${name}.bias`, rows(index, 3)],
]);

const untold = 'not stored in the weights';

function recognise(found: FoundModel): ReturnType<Standalone<TorchConfig>['recognise']> {
  const { tensors } = found;
  const [hidden = 0, dim = 0] = shapeOf(tensors, firstWide);
  const usual = nearestDivisor(dim, dim % usualHeads === 0 ? usualHeads : dim / 64);
  const evidence = {
    depth: stored(countOf(tensors, 'encoder.layers'), 'encoder.layers.*'),
    decoder_depth: stored(countOf(tensors, 'decoder.layers'), 'decoder.layers.*'),
    dim: stored(dim, firstWide),
    heads: settle<number>(found, 'heads', {
      config: [],
      otherwise: assumed(usual, `the default of nn.Transformer; ${untold}`),
      is: (value) => typeof value === 'number' && value > 0 && dim % value === 0,
      needed: `a number that divides the width ${dim}`,
    }),
    mlp_dim: stored(hidden, firstWide),
    activation: settle<string>(found, 'activation', {
      config: [],
      otherwise: assumed('relu', `the default of nn.Transformer; ${untold}`),
      ...knownActivation,
    }),
    norm_order: settle<string>(found, 'norm_order', {
      config: [],
      otherwise: assumed('post', `the default of nn.Transformer (norm_first); ${untold}`),
      is: (value) => value === 'pre' || value === 'post',
      needed: 'pre or post',
    }),
    masked: settle<boolean>(found, 'masked', {
      config: [],
      otherwise: assumed(true, 'tgt_mask is given by the code that calls it'),
      ...trueOrFalse,
    }),
  };
  return {
    label: 'transformer',
    title: `nn.Transformer, ${evidence.depth.value} + ${evidence.decoder_depth.value} layers of ${dim}`,
    evidence,
    config: {
      depth: evidence.depth.value,
      decoderDepth: evidence.decoder_depth.value,
      dim,
      heads: evidence.heads.value,
      activation: evidence.activation.value,
      isPre: evidence.norm_order.value === 'pre',
      masked: evidence.masked.value,
    },
    reading: { task: 'other' },
    warnings: [
      'Words and positions are the code’s own: embeddings go in and come out (vitrine run, inputs src and tgt).',
    ],
    lengths: { text: countedText, decoder: countedTokens },
  };
}

/** Embeddings `[batch, count, dim]` that are given as they are. */
const given = (b: GraphBuilder, name: string, batch: number, count: number, width: number): Tokens =>
  stateInput(b, name, { batch, count, width, layout: { special: [], sequence: count } });

const dense = (b: GraphBuilder, x: ValueInfo, activation: string): ValueInfo =>
  b.linear(activate(b, b.linear(x, 'linear1'), activation), 'linear2');

/** A side's last norm, where it has one. */
const ended = (b: GraphBuilder, tokens: Tokens, side: string): ValueInfo =>
  b.has(`${side}.norm.weight`)
    ? sequence(b, withValue(tokens, b.layerNorm(tokens.value, `${side}.norm`, sequenceEps)))
    : sequence(b, tokens);

function encoder(b: GraphBuilder, config: TorchConfig, context: ModelContext): void {
  const { depth, dim, heads, activation, isPre } = config;
  const { batch, text } = sequencesOf(context);
  const attention = { heads, projections, memory: allTokens([]), kind: 'self' as const };
  let tokens = given(b, 'src', batch, text, dim);
  const layer = (): Tokens => {
    const own = normedBranch(b, tokens, { norm: 'norm1', isPre }, (asking) =>
      ownAttention(b, 'self_attn', asking, attention),
    );
    return normedBranch(b, own, { norm: 'norm2', isPre }, ({ value }) => dense(b, value, activation));
  };
  for (let index = 0; index < depth; index++)
    tokens = b.scope(`encoder.layers.${index}`, layer, { title: 'Encoder layer' });
  b.output('memory', ended(b, tokens, 'encoder'), 'state');
}

function decoder(b: GraphBuilder, config: TorchConfig, context: ModelContext): void {
  const { decoderDepth, dim, heads, activation, isPre, masked } = config;
  const { batch, text, decoder: count } = sequencesOf(context);
  const state = given(b, 'memory', batch, text, dim);
  const memory = allTokens(masked ? [causalMask(b, count)] : []);
  const attention = { heads, projections, memory, kind: masked ? ('causal' as const) : ('self' as const) };
  let tokens = given(b, 'tgt', batch, count, dim);
  const layer = (): Tokens => {
    const own = normedBranch(b, tokens, { norm: 'norm1', isPre }, (asking) =>
      ownAttention(b, 'self_attn', asking, attention),
    );
    const other = normedBranch(b, own, { norm: 'norm2', isPre }, (asking) =>
      otherAttention(b, 'multihead_attn', asking, state, attention),
    );
    return normedBranch(b, other, { norm: 'norm3', isPre }, ({ value }) => dense(b, value, activation));
  };
  for (let index = 0; index < decoderDepth; index++)
    tokens = b.scope(`decoder.layers.${index}`, layer, { title: 'Decoder layer' });
  b.output('output', ended(b, tokens, 'decoder'), 'tokens');
}

/** torch's `nn.Transformer` (Vaswani et al. 2017): layers alone, without words or positions. */
export const torchTransformer: Standalone<TorchConfig> = {
  standalone: true,
  name: 'transformer',
  row: 'seq2seq',
  title: 'Transformer',
  task: 'features',
  library: { name: 'torch', title: 'torch’s nn.Transformer' },
  modelTypes: [],
  signature: [
    'encoder.layers.0.self_attn.q_proj.weight',
    firstWide,
    'decoder.layers.0.multihead_attn.q_proj.weight',
  ],
  renames: apart,
  assumable: ['heads', 'activation', 'norm_order', 'masked'],
  recognise,
  parts: [
    { name: 'text', build: encoder },
    { name: 'decoder', build: decoder },
  ],
};
