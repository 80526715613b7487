import assert from 'node:assert/strict';
import { Recent } from '../../../src/domain/recent';

describe('entries used last', () => {
  it('are as many as were allowed, and the one used longest ago goes', () => {
    const recent = new Recent<string, number>(2);
    recent.set('one', 1);
    recent.set('two', 2);
    assert.deepEqual([recent.get('one'), recent.get('two')], [1, 2]);
    recent.set('three', 3);
    assert.deepEqual([recent.get('one'), recent.get('two'), recent.get('three')], [undefined, 2, 3]);
  });

  it('count a look and a new value as use', () => {
    const recent = new Recent<string, number>(2);
    recent.set('one', 1);
    recent.set('two', 2);
    recent.get('one');
    recent.set('three', 3);
    assert.deepEqual([recent.get('one'), recent.get('two')], [1, undefined]);
    recent.set('three', 33);
    recent.set('four', 4);
    assert.deepEqual([recent.get('one'), recent.get('three')], [undefined, 33]);
  });

  it('do not enter what was looked for and is not there', () => {
    const recent = new Recent<string, number>(1);
    recent.set('one', 1);
    assert.equal(recent.get('two'), undefined);
    assert.equal(recent.get('one'), 1);
  });

  it('are made once if there is none', () => {
    const recent = new Recent<string, number>(1);
    let made = 0;
    const make = (): number => ++made;
    assert.deepEqual([recent.ensure('one', make), recent.ensure('one', make)], [1, 1]);
    recent.set('two', 2);
    assert.equal(recent.ensure('one', make), 2);
  });
});
