import type { Failed } from '../host';

/**
 * What is asked: questions of one key have one answer; those of another scope are about another
 * thing.
 */
export interface Asked {
  readonly scope: number;
  readonly key: string;
}

/** An answer with the question that it is of. */
export interface Drawn<Q, A> {
  readonly question: Q;
  readonly answer: A;
}

/**
 * What of many quick questions is drawn, answered and wanted. One runs at a time and the newest
 * alone waits for it: what came between is never asked. One that runs is left to end, though it is
 * superseded: ending it would cost the process that answers, and with it more time than the rest of
 * its work.
 */
export interface Newest<Q, A> {
  readonly wanted: Q | undefined;
  readonly running: Q | undefined;
  readonly drawn: Drawn<Q, A> | undefined;
  readonly failed: { readonly question: Q; readonly error: Failed } | undefined;
}

export const nothingAsked = {
  wanted: undefined,
  running: undefined,
  drawn: undefined,
  failed: undefined,
} as const;

export const isSame = (left: Asked | undefined, right: Asked | undefined): boolean =>
  left !== undefined && left.scope === right?.scope && left.key === right.key;

/** Starts what is wanted unless it is drawn, has failed, or must wait for what runs. */
function started<Q extends Asked, A>(state: Newest<Q, A>): Newest<Q, A> {
  const { wanted, running, drawn, failed } = state;
  if (running || isSame(wanted, drawn?.question) || isSame(wanted, failed?.question)) return state;
  return { ...state, running: wanted };
}

/** A newer question, or the same once more after it failed. */
export function asked<Q extends Asked, A>(state: Newest<Q, A>, question: Q): Newest<Q, A> {
  const isOther = ({ scope }: Asked): boolean => scope !== question.scope;
  const { running, drawn } = state;
  return started({
    wanted: question,
    running: running && isOther(running) ? undefined : running,
    // The same answer may be asked for by other words.
    drawn:
      !drawn || isOther(drawn.question)
        ? undefined
        : isSame(drawn.question, question)
          ? { ...drawn, question }
          : drawn,
    failed: undefined,
  });
}

/** What ran is answered; it is drawn even though another is wanted by now, under its own name. */
export function answered<Q extends Asked, A>(state: Newest<Q, A>, question: Q, answer: A): Newest<Q, A> {
  if (state.running !== question) return state;
  const { wanted, drawn } = state;
  const own = { question: wanted && isSame(wanted, question) ? wanted : question, answer };
  return started({ ...state, running: undefined, drawn: isSame(wanted, drawn?.question) ? drawn : own });
}

/** What ran has failed; nobody minds if another is wanted by now. */
export function failedWithError<Q extends Asked, A>(
  state: Newest<Q, A>,
  question: Q,
  error: Failed,
): Newest<Q, A> {
  if (state.running !== question) return state;
  const failed = isSame(state.wanted, question) ? { question, error } : undefined;
  return started({ ...state, running: undefined, failed });
}

/** Gives up what runs and what waits: what is drawn stays, and is what is wanted. */
export function givenUp<Q extends Asked, A>(state: Newest<Q, A>): Newest<Q, A> {
  const { drawn, wanted } = state;
  const error = { message: 'Cancelled.', kind: 'cancelled' };
  if (drawn) return { ...nothingAsked, drawn, wanted: drawn.question };
  return { ...nothingAsked, wanted, failed: wanted && { question: wanted, error } };
}

/** Whether what is drawn is another than what is wanted. */
export const isBehind = <Q extends Asked, A>({ drawn, wanted }: Newest<Q, A>): boolean =>
  wanted !== undefined && !isSame(wanted, drawn?.question);

/** Whether what is wanted is on its way. */
export const isPending = <Q extends Asked, A>(state: Newest<Q, A>): boolean =>
  state.running !== undefined && isBehind(state);
