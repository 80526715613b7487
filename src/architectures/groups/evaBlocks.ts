import type { GraphBuilder } from '../../graph/builder';
import type { ModuleNote, ValueInfo } from '../../graph/graph';
import { layerScale, norm, residual, withValue, type Tokens } from '../blocks/layers';
import { mlp, selfAttention, type SelfAttentionConfig } from '../blocks/transformer';

/** What a block is built by beside its parameters. */
export type EvaBlockConfig = SelfAttentionConfig & { readonly activation: string };

/** x + γ₁ · attn(norm1(x)), then x + γ₂ · mlp(norm2(x)) (Fang et al. 2023, EVA-02, §2). */
export function preNormBlock(b: GraphBuilder, tokens: Tokens, config: EvaBlockConfig): ValueInfo {
  const normed = withValue(tokens, norm(b, tokens.value, 'norm1', config.eps));
  const attended = selfAttention(b, normed, 'attn', b.scopePath, config);
  const x = residual(b, tokens.value, layerScale(b, attended, 'gamma_1'));
  const fed = mlp(b, norm(b, x, 'norm2', config.eps), 'mlp', config);
  return residual(b, x, layerScale(b, fed, 'gamma_2'));
}

/** x + norm1(attn(x)), then x + norm2(mlp(x)) (Sun et al. 2023, EVA-CLIP's enormous model). */
function postNormBlock(b: GraphBuilder, tokens: Tokens, config: EvaBlockConfig): ValueInfo {
  const attended = selfAttention(b, tokens, 'attn', b.scopePath, config);
  const x = residual(b, tokens.value, norm(b, attended, 'norm1', config.eps));
  return residual(b, x, norm(b, mlp(b, x, 'mlp', config), 'norm2', config.eps));
}

export const blocks = { pre: preNormBlock, post: postNormBlock } as const;

export const notes: Readonly<Record<keyof typeof blocks, ModuleNote>> = {
  pre: { title: 'Transformer block', formula: 'x + γ · f(norm(x))' },
  post: { title: 'Transformer block, norms last', formula: 'x + norm(f(x))' },
};
