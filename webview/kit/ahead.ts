import { useEffect, useRef } from 'preact/hooks';
import type { CallOptions } from '../../src/protocol/channel';
import { isSame, type Asked } from './newest';

/** Milliseconds that answers may take to be asked for before anyone wants them. */
const quick = 250;

type Ask<Q, A> = (question: Q, call: CallOptions) => Promise<A>;

/**
 * Asks once for what is likely to be wanted next, while nothing else is asked and only where the
 * last answer came quickly. Returns how to ask: of what was asked for ahead the answer is there
 * already, or is on its way.
 */
export function useAhead<Q extends Asked, A>(ask: Ask<Q, A>, likely: Q | undefined): Ask<Q, A> {
  const early = useRef<{ readonly question: Q; readonly answer: Promise<A> } | undefined>(undefined);
  /** The question asked last, and the likely one that needs no asking any more. */
  const past: { last?: Q; done?: Q } = {};
  const now = useRef({ ...past, likely, busy: 0, took: Infinity });
  now.current.likely = likely;

  const timed: Ask<Q, A> = async (question, call) => {
    const started = performance.now();
    now.current.last = question;
    now.current.busy++;
    try {
      const answer = await ask(question, call);
      now.current.took = performance.now() - started;
      return answer;
    } finally {
      now.current.busy--;
      askAhead();
    }
  };
  const askAhead = (): void => {
    const { likely: question, last, busy, took } = now.current;
    // Whoever asked it has its answer, and may have gone on to others.
    if (isSame(question, last)) now.current.done = question;
    if (!question || busy > 0 || took > quick || isSame(question, now.current.done)) return;
    const begun = { question, answer: timed(question, {}) };
    early.current = begun;
    // Whoever wants it asks again, and is told why it fails.
    begun.answer.catch(() => {
      if (early.current === begun) early.current = undefined;
    });
  };
  useEffect(askAhead, [likely?.scope, likely?.key]);
  return (question, call) => {
    const known = early.current;
    return known && isSame(question, known.question) ? known.answer : timed(question, call);
  };
}
