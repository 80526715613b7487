import { dtypes } from '../../checkpoint/tensors';
import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { hiddenScore } from './textTower';
import { room } from '../../graph/limits';

/** What keeps the phrases of a text apart. */
export interface PhraseMask {
  /** Added to scores, `[texts, 1, text, text]`: a token sees those of its own phrase. */
  readonly mask: ValueInfo;
  /** The same as 1 where a token sees another and 0 elsewhere. */
  readonly seen: ValueInfo;
  /** Place of each token in its phrase, `[texts · text]`, of the type of indices. */
  readonly places: ValueInfo;
}

const toFloat = (b: GraphBuilder, x: ValueInfo): ValueInfo =>
  b.add('Cast', [x], { to: int(dtypes.F32.onnx) });

const sumOverLast = (b: GraphBuilder, x: ValueInfo): ValueInfo =>
  b.add('ReduceSum', [x, b.indices([x.shape.length - 1])], { keepdims: int(0) });

/** 1 where a token is one of these ids, `[texts, text]`. */
function marked(b: GraphBuilder, ids: ValueInfo, of: readonly number[]): ValueInfo {
  const short = b.add('Cast', [ids], { to: int(dtypes.I32.onnx) });
  return of
    .map((id) => toFloat(b, b.add('Equal', [short, b.constant('/end', 'I32', [], Int32Array.of(id))])))
    .reduce((sum, each) => b.add('Add', [sum, each]));
}

/**
 * Cuts texts into phrases at end tokens (Liu et al. 2023, Grounding DINO, §3.4): a token sees its
 * own phrase with the end, and counts from its beginning. What ends with the last token, or
 * nowhere, is no phrase: its tokens see themselves alone, at place 0.
 *
 * @param ids `[texts, text]`
 * @param ends ids of the tokens that end a phrase
 */
export function phraseMask(b: GraphBuilder, ids: ValueInfo, ends: readonly number[]): PhraseMask {
  const [texts, text] = [at(ids.shape, 0), at(ids.shape, 1)];
  const square = (name: string, value: (row: number, column: number) => number): ValueInfo => {
    const values = Array.from({ length: room(text * text) }, (_, i) => value(Math.floor(i / text), i % text));
    return b.constant(name, 'F32', [1, text, text], Float32Array.from(values));
  };
  const isEnd = b.reshape(marked(b, ids, ends), [texts, 1, text]);
  // How many ends stand before a token names its phrase.
  const before = square('/before', (row, column) => (column < row ? 1 : 0));
  const phrase = sumOverLast(b, b.add('Mul', [before, isEnd]));
  const isSame = toFloat(
    b,
    b.add('Equal', [b.reshape(phrase, [texts, text, 1]), b.reshape(phrase, [texts, 1, text])]),
  );
  const isLast = toFloat(b, b.add('Equal', [phrase, b.slice(phrase, 1, text - 1, text)]));
  const counts = b.add('Sub', [b.scalar(1), isLast]);
  const seen = b.add('Max', [
    b.add('Mul', [isSame, b.reshape(counts, [texts, 1, text])]),
    square('/itself', (row, column) => (row === column ? 1 : 0)),
  ]);
  const hidden = b.add('Mul', [b.add('Sub', [b.scalar(1), seen]), b.scalar(hiddenScore)]);
  const behind = square('/behind', (row, column) => (column < row ? column + 1 : 0));
  const starts = b.add('ReduceMax', [b.add('Mul', [behind, isEnd]), b.indices([2])], { keepdims: int(0) });
  const order = b.constant(
    '/order',
    'F32',
    [1, text],
    Float32Array.from({ length: text }, (_, i) => i),
  );
  const places = b.add('Mul', [b.add('Sub', [order, starts]), counts]);
  return {
    mask: b.reshape(hidden, [texts, 1, text, text]),
    seen: b.reshape(seen, [texts, 1, text, text]),
    places: b.reshape(b.add('Cast', [places], { to: int(dtypes.I64.onnx) }), [texts * text]),
  };
}
