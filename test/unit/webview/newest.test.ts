import assert from 'node:assert/strict';
import {
  answered,
  asked,
  failedWithError,
  givenUp,
  isBehind,
  isPending,
  nothingAsked,
  type Asked,
  type Newest,
} from '../../../webview/kit/newest';

interface Question extends Asked {
  readonly words?: string;
}
type State = Newest<Question, string>;

const question = (key: string, scope = 1): Question => ({ scope, key });
const none: State = nothingAsked;
const broken = { message: 'no memory', kind: 'refused' };

/** Asks in order, and keeps what ran. */
function run(state: State, keys: readonly string[]): State {
  return keys.reduce<State>((before, key) => asked(before, question(key)), state);
}

function answer(state: State, text: string): State {
  assert.ok(state.running);
  return answered(state, state.running, text);
}

describe('newest question', () => {
  it('starts the first at once', () => {
    const state = asked(none, question('a'));
    assert.equal(state.running?.key, 'a');
    assert.ok(isPending(state));
    const done = answer(state, 'A');
    assert.deepEqual(done.drawn, { question: question('a'), answer: 'A' });
    assert.equal(done.running, undefined);
    assert.ok(!isPending(done) && !isBehind(done));
  });

  it('lets the newest alone wait: what came between is never asked', () => {
    let state = run(none, ['a', 'b', 'c', 'd']);
    assert.equal(state.running?.key, 'a');
    state = answer(state, 'A');
    // What ran is drawn by its own name while the newest is on its way.
    assert.equal(state.drawn?.question.key, 'a');
    assert.equal(state.running?.key, 'd');
    assert.ok(isPending(state));
    state = answer(state, 'D');
    assert.deepEqual([state.drawn?.question.key, state.drawn?.answer, state.running], ['d', 'D', undefined]);
  });

  it('draws nothing over what is wanted again', () => {
    let state = answer(run(none, ['a']), 'A');
    state = run(state, ['b', 'a']);
    assert.equal(state.running?.key, 'b');
    assert.ok(!isPending(state), 'what is wanted is drawn');
    state = answer(state, 'B');
    assert.deepEqual([state.drawn?.answer, state.running], ['A', undefined]);
  });

  it('asks no question twice, and takes the newer words for the same one', () => {
    let state = run(none, ['a', 'a']);
    const first = state.running;
    state = asked(state, { ...question('a'), words: 'again' });
    assert.equal(state.running, first);
    state = answer(state, 'A');
    assert.equal(state.drawn?.question.words, 'again');
    state = asked(state, { ...question('a'), words: 'once more' });
    assert.equal(state.running, undefined);
    assert.deepEqual([state.drawn?.question.words, state.drawn?.answer], ['once more', 'A']);
  });

  it('keeps what is drawn when the newest fails, and asks it once more if it is told to', () => {
    let state = run(answer(run(none, ['a']), 'A'), ['b']);
    assert.ok(state.running);
    state = failedWithError(state, state.running, broken);
    assert.deepEqual(state.failed, { question: question('b'), error: broken });
    assert.deepEqual([state.drawn?.answer, state.running], ['A', undefined]);
    assert.ok(isBehind(state) && !isPending(state));
    state = asked(state, question('b'));
    assert.deepEqual([state.running?.key, state.failed], ['b', undefined]);
  });

  it('does not mind the failure of one that is no longer wanted', () => {
    let state = run(none, ['a', 'b']);
    assert.ok(state.running);
    state = failedWithError(state, state.running, broken);
    assert.deepEqual([state.failed, state.running?.key], [undefined, 'b']);
  });

  it('goes back to what is drawn when it is given up, and takes no late answer', () => {
    const before = run(answer(run(none, ['a']), 'A'), ['b', 'c']);
    const late = before.running;
    assert.ok(late);
    const state = givenUp(before);
    assert.deepEqual([state.running, state.wanted?.key, state.drawn?.answer], [undefined, 'a', 'A']);
    assert.equal(answered(state, late, 'B'), state);
    assert.equal(failedWithError(state, late, broken), state);
    const nothing = givenUp(run(none, ['a']));
    assert.equal(nothing.failed?.error.kind, 'cancelled');
    assert.ok(!isPending(nothing));
  });

  it('takes no answer about another thing', () => {
    const before = run(answer(run(none, ['a']), 'A'), ['b']);
    const late = before.running;
    assert.ok(late);
    const state = asked(before, question('b', 2));
    assert.deepEqual([state.running, state.drawn], [question('b', 2), undefined]);
    assert.equal(answered(state, late, 'B of before'), state);
  });
});
