import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { dtypes } from '../../checkpoint/tensors';
import { residual, withValue, type Tokens } from './layers';
import { feedForward, projectedAttention } from './projectedAttention';
import { placesRoom, room } from '../../graph/limits';

/** Texts of a graph: how many, and tokens of each. */
export interface TextLengths {
  readonly texts: number;
  readonly text: number;
}

/** Texts and tokens that a part is written for. */
export const textLengths = (lengths: Readonly<Record<string, number>>): TextLengths => ({
  texts: lengths['texts'] ?? 1,
  text: lengths['text'] ?? 1,
});

/** Token ids `[texts, text]` as rows of a table `name` `[words, dim]`: `[texts · text, dim]`. */
export function wordEmbedding(b: GraphBuilder, ids: ValueInfo, name: string): ValueInfo {
  const table = b.parameter(name);
  const flat = b.reshape(ids, [at(ids.shape, 0) * at(ids.shape, 1)]);
  return b.add('Gather', [table, flat], { axis: int(0) });
}

/** The first rows of a table of positions, once for each text: `[texts · text, dim]`. */
export function textPositions(
  b: GraphBuilder,
  name: string,
  { texts, text }: TextLengths,
  first = 0,
): ValueInfo {
  const rows = b.slice(b.parameter(name), 0, first, first + text);
  return texts === 1 ? rows : b.concat(Array<ValueInfo>(texts).fill(rows), 0);
}

/** What is added to scores that must not count. */
export const hiddenScore = -3.4028234663852886e38;

/** A mask `[1, 1, text, text]` under which tokens see themselves and those before them alone. */
export function causalMask(b: GraphBuilder, text: number): ValueInfo {
  return b.shared(`causal ${text}`, () => {
    const values = new Float32Array(room(text * text));
    for (let query = 0; query < text; query++)
      values.fill(hiddenScore, query * text + query + 1, (query + 1) * text);
    return b.constant('/causal', 'F32', [1, 1, text, text], values);
  });
}

/** A mask `[texts, 1, 1, text]` under which padding is not seen; 1 in `mask` is a token. */
export function paddingMask(b: GraphBuilder, mask: ValueInfo): ValueInfo {
  return b.shared(`padding ${mask.name}`, () => {
    const kept = b.add('Cast', [mask], { to: int(dtypes.F32.onnx) });
    const hidden = b.add('Mul', [b.add('Sub', [b.scalar(1), kept]), b.scalar(hiddenScore)]);
    const [texts = 1, text = 1] = mask.shape;
    return b.reshape(hidden, [texts, 1, 1, text]);
  });
}

/** How the layers of CLIP's and SigLIP's text towers are written. */
export interface TextLayersConfig {
  readonly depth: number;
  readonly heads: number;
  readonly activation: string;
  readonly eps: number;
  readonly causal: boolean;
}

/**
 * Pre-norm layers `path.0` … of a text tower (Radford et al. 2021, §2.4): `layer_norm1`,
 * `self_attn`, `layer_norm2`, `mlp`.
 */
export function textLayers(
  b: GraphBuilder,
  embedded: Tokens,
  path: string,
  { depth, heads, activation, eps, causal }: TextLayersConfig,
  padding?: ValueInfo,
): Tokens {
  const masks = [...(causal ? [causalMask(b, embedded.count)] : []), ...(padding ? [padding] : [])];
  let tokens = embedded;
  for (let index = 0; index < depth; index++)
    tokens = b.scope(
      `${path}.${index}`,
      () => {
        const normed = withValue(tokens, b.layerNorm(tokens.value, 'layer_norm1', eps));
        const mixed = projectedAttention(
          b,
          'self_attn',
          { queries: normed, keys: normed },
          { heads, kind: causal ? 'causal' : 'self', bias: masks },
        );
        const attended = residual(b, tokens.value, mixed);
        const wide = b.layerNorm(attended, 'layer_norm2', eps);
        const fed = b.scope('mlp', () => feedForward(b, wide, activation));
        return withValue(tokens, residual(b, attended, fed));
      },
      { title: 'Text layer' },
    );
  return tokens;
}

/**
 * The token of each text where its greatest id stands, or its first `end` if one is given
 * (transformers, CLIPTextModel): `[texts, dim]`.
 */
export function tokenAtEnd(b: GraphBuilder, ids: ValueInfo, tokens: Tokens, end?: number): ValueInfo {
  const short = b.add('Cast', [ids], { to: int(dtypes.I32.onnx) });
  const marked =
    end === undefined
      ? short
      : b.add('Cast', [b.add('Equal', [short, b.constant('/end', 'I32', [], Int32Array.of(end))])], {
          to: int(dtypes.I32.onnx),
        });
  const place = b.add('ArgMax', [marked], { axis: int(1), keepdims: int(0) });
  const starts = BigInt64Array.from({ length: placesRoom(tokens.batch) }, (_, text) =>
    BigInt(text * tokens.count),
  );
  const row = b.add('Add', [place, b.constant('/starts', 'I64', [tokens.batch], starts)]);
  return b.add('Gather', [tokens.value, row], { axis: int(0) });
}
