import assert from 'node:assert/strict';
import { inertCell, visible } from '../../../src/domain/visible';

describe('what a file says', () => {
  it('moves no cursor and turns no name around', () => {
    assert.equal(
      visible('a\u001b[2Jb\u009b1m\u202ec\u2066d\u007f\re'),
      'a\\u001b[2Jb\\u009b1m\\u202ec\\u2066d\\u007f\\u000de',
    );
    assert.equal(visible('Größe × 2\n\tΩ 図'), 'Größe × 2\n\tΩ 図');
  });

  it('is the same string in JSON', () => {
    const value = { name: 'a\u202e\u009b\u001b' };
    assert.deepEqual(JSON.parse(visible(JSON.stringify(value))), value);
  });

  it('is no formula of a table, with or without spaces in front', () => {
    for (const formula of ['=1+1', ' =1+1', '\u00a0@a', '\t-2', '+3'])
      assert.equal(inertCell(formula), `'${formula}`);
    for (const text of ['a=1', 'blocks.0', '']) assert.equal(inertCell(text), text);
  });
});
