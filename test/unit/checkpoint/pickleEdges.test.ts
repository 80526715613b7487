import assert from 'node:assert/strict';
import { fromBytes } from '../../../src/checkpoint/byteSource';
import type { TensorTable } from '../../../src/checkpoint/format';
import { torchLegacy } from '../../../src/checkpoint/formats/torchLegacy';
import { torchZip } from '../../../src/checkpoint/formats/torchZip';
import {
  unpickle,
  type PickleGlobal,
  type PickleObject,
  type PickleValue,
} from '../../../src/checkpoint/pickle/pickle';
import { parsePickledTensor } from '../../../src/checkpoint/pickle/tensors';
import { collectTensors } from '../../../src/checkpoint/pickle/tree';
import { zipPieces } from '../../support/zipWriter';

const type = (module: string, name: string): PickleGlobal => ({ kind: 'global', module, name });
const tuple = (...items: PickleValue[]): PickleValue => ({ kind: 'tuple', items });
const object = (made: PickleGlobal, ...args: PickleValue[]): PickleObject => ({
  kind: 'object',
  type: made,
  args,
});
const rebuildV2 = type('torch._utils', '_rebuild_tensor_v2');
const storage: PickleValue = {
  kind: 'persistent',
  id: tuple('storage', type('torch', 'FloatStorage'), '0', 'cpu', 6),
};
/** Arguments of a tensor of 2 × 3 floats. */
const viewed = [storage, 0, tuple(2, 3), tuple(3, 1), false, null];
const tensor = object(rebuildV2, ...viewed);

describe('opcodes of a pickle', () => {
  const read = (text: string) => unpickle(Buffer.from(text, 'latin1'));

  it('take no value from below the last MARK', () => {
    assert.deepEqual(read('N(N\x85.').value, { kind: 'tuple', items: [null] });
    assert.throws(() => read('N(\x85.'), /the stack is empty \(opcode 0x85 of the pickle, before byte 3\)/);
  });

  it('take no text with three bytes that are neither UTF-8 nor a surrogate', () => {
    const text = (bytes: string) => read(`\x80\x03X\x03\0\0\0${bytes}.`).value;
    assert.equal(text('\xed\xbf\xbf'), '\udfff');
    for (const bytes of ['\xed\xa0\x41', '\xed\xc0\x80', '\xee\xa0\x41'])
      assert.throws(() => text(bytes), /a text \(a name\?\) at byte 7 is not valid UTF-8/);
  });
});

describe('tensors of a pickle', () => {
  it('of a class of its own are left out by the name of the class alone', () => {
    const own = object(
      type('torch._utils', '_rebuild_wrapper_subclass'),
      type('torch.distributed.tensor', 'DTensor'),
      'cpu',
      null,
      3,
    );
    assert.throws(() => parsePickledTensor(own), {
      message: 'a tensor of a class of its own (torch.distributed.tensor.DTensor); it is left out',
    });
  });

  it('of a subclass are what its rebuilding function makes of a tuple', () => {
    const fromType = (args: PickleValue) =>
      parsePickledTensor(
        object(type('torch._tensor', '_rebuild_from_type_v2'), rebuildV2, type('net', 'Own'), args, null),
      );
    assert.deepEqual(fromType(tuple(...viewed)), parsePickledTensor(tensor));
    assert.throws(() => fromType({ kind: 'list', items: viewed }), /a tensor without a rebuilding function/);
  });

  it('of NumPy have strides where columns come first and that is another order', () => {
    const strides = (shape: readonly number[], order: string) =>
      parsePickledTensor(
        object(
          type('numpy._core.numeric', '_frombuffer'),
          new Uint8Array(shape.reduce((product, size) => product * size)),
          object(type('numpy', 'dtype'), 'u1', false, true),
          tuple(...shape),
          order,
        ),
      ).strides;
    assert.equal(strides([2, 3], 'C'), undefined);
    assert.deepEqual(strides([2, 3], 'F'), [1, 2]);
    assert.equal(strides([6], 'F'), undefined);
  });

  it('with attributes are tensors, not dicts of them', () => {
    const gradient: PickleValue = { kind: 'dict', entries: new Map([['grad', tensor]]) };
    const root: PickleObject = { ...tensor, state: gradient };
    const found = collectTensors(root).groups.flatMap(({ tensors }) => tensors);
    assert.deepEqual(found, [{ name: '', value: root }]);
  });

  it('are found in an OrderedDict that has its pairs as an argument (Python 2)', () => {
    const pairs: PickleValue = { kind: 'list', items: [tuple('weight', tensor)] };
    const { groups, warnings } = collectTensors(object(type('collections', 'OrderedDict'), pairs));
    assert.deepEqual(groups, [{ path: '', tensors: [{ name: 'weight', value: tensor }] }]);
    assert.deepEqual(warnings, []);
  });
});

describe('a bare pickle', () => {
  const bytes = 'cnumpy.core.numeric\n_frombuffer\n(C\x04\0\0\0\0cnumpy\ndtype\nX\x02\0\0\0f4\x85R';
  const weights = `\x80\x03}X\x01\0\0\0w${bytes}K\x01\x85X\x01\0\0\0CtRs.`;
  const read = (text: string): Promise<TensorTable> =>
    torchLegacy.read(fromBytes('weights.pkl', Buffer.from(text, 'latin1')));

  it('may end with its last opcode or with empty lines', async () => {
    for (const end of ['', '\n', '\r\n\n']) {
      const { stateDicts } = await read(weights + end);
      assert.deepEqual(
        stateDicts[0]!.tensors.map(({ name, dtype, shape }) => [name, dtype, shape]),
        [['w', 'F32', [1]]],
      );
    }
  });

  it('has no other bytes behind it', () =>
    assert.rejects(
      read(`${weights}\n \n`),
      new RegExp(`weights\\.pkl.*3 trailing bytes follow the pickle at byte ${weights.length}`, 's'),
    ));

  it('is refused by the first eight names that it would run', async () => {
    const names = Array.from({ length: 10 }, (_, index) => `cos\nf${index}\n0`).join('');
    await assert.rejects(
      read(`\x80\x02${names}N.`),
      /the first pickle would run code.*: os\.f0, .*os\.f7 and 2 more\. Nothing was executed/s,
    );
  });
});

describe('a zip of PyTorch', () => {
  const read = (...names: readonly string[]): Promise<TensorTable> => {
    const pieces = zipPieces(names.map((name) => ({ name, content: new Uint8Array(1) }))) as Uint8Array[];
    return torchZip.read(fromBytes('model.pt', Buffer.concat(pieces)));
  };

  it('has data.pkl once: without it the first entries are named', async () => {
    await assert.rejects(
      read('a/0', 'a/1', 'a/2', 'a/3', 'a/4'),
      /model\.pt.*without data\.pkl .* its entries are "a\/0", "a\/1", "a\/2", "a\/3" …/s,
    );
    await assert.rejects(
      read('a/data.pkl', 'b/data.pkl', 'b/0'),
      /holds data\.pkl 2 times \(a\/data\.pkl, b\/data\.pkl\), one is allowed/,
    );
  });
});
