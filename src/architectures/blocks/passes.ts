import { at } from '../../domain/lists';
import { passNames, type Kept, type Pass } from '../../domain/pass';
import type { GraphBuilder } from '../../graph/builder';
import { int, type ValueInfo } from '../../graph/graph';
import { dtypes } from '../../checkpoint/tensors';
import { allTokens, fromTheFirst, type Memory, type Placed } from './decoding';
import type { Tokens } from './layers';
import { sequence } from './maps';
import { asSequence } from './projectedAttention';
import { causalMask, hiddenScore } from './textTower';
import { placesRoom } from '../../graph/limits';

/** What a decoder is written with, whichever of its tokens a pass is of. */
export interface Decoding {
  /** The tokens that have an id, and their positions. */
  readonly placed: Placed;
  readonly memory: Memory;
  /** The tokens that a pass is of: in front of the words those that have no ids. */
  joined(words: Tokens): Tokens;
  /**
   * Names what `head` makes of the tokens, `[rows, words]`: of all of them, or, if words are
   * generated, of the last one.
   */
  answer(tokens: Tokens, head: (rows: ValueInfo) => ValueInfo): void;
}

/** How a decoder reads its tokens. */
export interface DecodingOptions {
  /** Input of the whole pass, token ids `[batch, count]`. */
  readonly ids: string;
  /** Tokens of the whole pass. */
  readonly count: number;
  /** Tokens in front of the words that have no ids: an image's, in the same sequence. */
  readonly before?: Tokens;
  /** Hides tokens from those before them, `[1, 1, n, n]`; the causal mask without it. */
  readonly ahead?: (count: number) => ValueInfo;
  /** Masks of padding, own and of what is beside, in the whole pass; a generated text has none. */
  readonly padding?: () => readonly [own: readonly ValueInfo[], other?: readonly ValueInfo[]];
}

/** What the passes of a decoder are written for. */
export interface PassContext {
  readonly pass: Pass;
  readonly batch: number;
  readonly lengths: Readonly<Record<string, number>>;
}

/**
 * A decoder's tokens and memory in a pass: one description of its layers is written for all tokens
 * of a text, for the first ones of a generated text, and for one more. What a pass does not need of
 * the state beside it (its projections in a step) is left out of the graph.
 */
export const decodingOf = (b: GraphBuilder, context: PassContext, options: DecodingOptions): Decoding =>
  decodings[context.pass](b, context, options);

type Write = (b: GraphBuilder, context: PassContext, options: DecodingOptions) => Decoding;

const decodings: Readonly<Record<Pass, Write>> = { whole, start, step };

/** Tokens in front of others of the same sequence. */
function behind(b: GraphBuilder, before: Tokens | undefined, words: Tokens): Tokens {
  if (!before) return words;
  const together = b.concat([sequence(b, before), sequence(b, words)], 1);
  const count = before.count + words.count;
  const value = b.reshape(together, [words.batch * count, at(together.shape, 2)]);
  return { value, batch: words.batch, count, layout: { ...before.layout, sequence: words.count } };
}

function whole(b: GraphBuilder, { batch }: PassContext, options: DecodingOptions): Decoding {
  const { ids, count, before, ahead = (all) => causalMask(b, all), padding } = options;
  const placed = fromTheFirst(b, b.input(ids, [batch, count], 'I64'));
  const [own = [], other = []] = padding?.() ?? [];
  return {
    placed,
    memory: allTokens([ahead(count + (before?.count ?? 0)), ...own], other),
    joined: (words) => behind(b, before, words),
    answer: (tokens, head) => b.output('logits', asSequence(b, head(tokens.value), tokens.batch), 'words'),
  };
}

/** Counts attentions as they are written: the n-th of a pass is the n-th of every other. */
function counter(): () => number {
  let next = 0;
  return () => next++;
}

function start(b: GraphBuilder, { lengths }: PassContext, options: DecodingOptions): Decoding {
  const { before, ahead = (all) => causalMask(b, all) } = options;
  const count = lengths['prompt'] ?? 1;
  const placed = fromTheFirst(b, b.input(passNames.ids, [1, count], 'I64'));
  const all = allTokens([ahead(count + (before?.count ?? 0))]);
  const [nextOwn, nextOther] = [counter(), counter()];
  const keep = (name: (kept: Kept) => string, key: ValueInfo, value: ValueInfo): void => {
    b.output(name('key'), key, 'state');
    b.output(name('value'), value, 'state');
  };
  const memory: Memory = {
    own: (key, value, tokens) => {
      const index = nextOwn();
      keep((kept) => passNames.made(index, kept), key, value);
      return all.own(key, value, tokens);
    },
    other: (make, state, query) => {
      const index = nextOther();
      const seen = all.other(make, state, query);
      keep((kept) => passNames.other(index, kept), seen.key, seen.value);
      return seen;
    },
  };
  return {
    placed,
    memory,
    joined: (words) => behind(b, before, words),
    answer: ({ value, count: tokens }, head) =>
      b.output(passNames.scores, head(b.slice(value, 0, tokens - 1, tokens)), 'words'),
  };
}

/**
 * One token for each row behind at most `past` others, in inputs of that capacity: places that no
 * token has taken yet are hidden, so that what lies there has no part in the result.
 */
function step(b: GraphBuilder, { lengths }: PassContext, { before }: DecodingOptions): Decoding {
  const { rows = 1, past = 1 } = lengths;
  const front = before?.count ?? 0;
  const capacity = front + past;
  const position = b.input(passNames.position, [1], 'I64');
  const ids = b.input(passNames.ids, [rows, 1], 'I64');
  const layout = { ...before?.layout, special: before?.layout.special ?? [], sequence: past + 1 };
  const [nextOwn, nextOther] = [counter(), counter()];
  const memory: Memory = {
    own: (key, value) => {
      const index = nextOwn();
      const [, heads = 1, , width = 1] = key.shape;
      const extended = (kept: Kept, made: ValueInfo): ValueInfo => {
        b.output(passNames.made(index, kept), made, 'state');
        return b.concat([b.input(passNames.past(index, kept), [rows, heads, capacity, width]), made], 2);
      };
      const masks = [untakenMask(b, position, front, capacity)];
      return { key: extended('key', key), value: extended('value', value), layout, masks };
    },
    other: (_, state, query) => {
      const index = nextOther();
      const [, heads = 1, , width = 1] = query.shape;
      const kept = (which: Kept): ValueInfo =>
        b.input(passNames.other(index, which), [1, heads, state.count, width]);
      return { key: kept('key'), value: kept('value'), layout: state.layout };
    },
  };
  return {
    placed: {
      ids,
      positions: (table, offset = 0) =>
        b.add('Gather', [table, shifted(b, position, offset)], { axis: int(0) }),
      distances: () => b.shared('distances', () => distancesFrom(b, position, past)),
    },
    memory,
    joined: (words) => words,
    answer: ({ value }, head) => b.output(passNames.scores, head(value), 'words'),
  };
}

/** int64 `[1]` with a number added. */
const shifted = (b: GraphBuilder, position: ValueInfo, by: number): ValueInfo =>
  by === 0
    ? position
    : b.add('Add', [position, b.constant('/shift', 'I64', [1], BigInt64Array.of(BigInt(by)))]);

/** 0, 1 … `count` − 1 as int64. */
const places = (b: GraphBuilder, count: number): ValueInfo =>
  b.constant(
    '/places',
    'I64',
    [count],
    BigInt64Array.from({ length: placesRoom(count) }, (_, place) => BigInt(place)),
  );

/**
 * Hides of `capacity` places those that no token has taken, of which the first `front` always are;
 * the token of the step stands behind them all: `[1, 1, 1, capacity + 1]`.
 */
const untakenMask = (b: GraphBuilder, position: ValueInfo, front: number, capacity: number): ValueInfo =>
  b.shared('untaken', () => {
    const free = b.add('GreaterOrEqual', [places(b, capacity), shifted(b, position, front)]);
    const hidden = b.add('Mul', [b.add('Cast', [free], { to: int(dtypes.F32.onnx) }), b.scalar(hiddenScore)]);
    const own = b.constant('/itself', 'F32', [1], Float32Array.of(0));
    return b.reshape(b.concat([hidden, own], 0), [1, 1, 1, capacity + 1]);
  });

/** How far before the step's token each place lies, 0 of those not taken: int64 `[1, past + 1]`. */
function distancesFrom(b: GraphBuilder, position: ValueInfo, past: number): ValueInfo {
  const zero = b.constant('/zero', 'I64', [1], BigInt64Array.of(0n));
  const apart = b.add('Max', [b.add('Sub', [position, places(b, past)]), zero]);
  return b.reshape(b.concat([apart, zero], 0), [1, past + 1]);
}
