// Whole models: which of their tensors are saved, and which are buffers. Pickles are written as
// text, as PyTorch writes them.
import assert from 'node:assert/strict';
import { fromBytes } from '../../../src/checkpoint/byteSource';
import { readTable } from '../../../src/checkpoint/formats';
import { zipPieces, type ZipPart } from '../../support/zipWriter';

const text = (value: string) => `X${String.fromCharCode(value.length)}\0\0\0${value}`;
const dict = (...entries: readonly (readonly [string, string])[]) =>
  `}(${entries.map(([key, value]) => text(key) + value).join('')}u`;
const object = (module: string, name: string, state: string) => `c${module}\n${name}\n)\x81${state}b`;
/** A tensor of four floats in storage `key`. */
const tensor = (key: string) =>
  `ctorch._utils\n_rebuild_tensor_v2\n((${text('storage')}ctorch\nFloatStorage\n${text(key)}${text('cpu')}K\x04tQK\0K\x04\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR`;

async function table(value: string, ...more: readonly ZipPart[]) {
  const parts = [
    { name: 'm/data.pkl', content: Buffer.from(`\x80\x02${value}.`, 'latin1') },
    ...['0', '1', '2'].map((key) => ({ name: `m/data/${key}`, content: new Uint8Array(16) })),
    ...more,
  ];
  const pieces = zipPieces(parts) as Uint8Array[];
  const read = await readTable(fromBytes('model.pt', Buffer.concat(pieces)));
  return {
    ...read,
    names: read.stateDicts[0]!.tensors.map(({ name, buffer }) => (buffer ? `${name} (buffer)` : name)),
  };
}

const module = (parts: { parameters?: string; buffers?: string; modules?: string; unsaved?: string }) =>
  dict(
    ['training', '\x89'],
    ['_parameters', parts.parameters ?? '}'],
    ['_buffers', parts.buffers ?? '}'],
    ['_non_persistent_buffers_set', `c__builtin__\nset\n](${parts.unsaved ?? ''}e\x85R`],
    ['_modules', parts.modules ?? '}'],
  );

describe('whole pickled modules', () => {
  const norm = object(
    'torch.nn.modules.batchnorm',
    'BatchNorm2d',
    module({ parameters: dict(['weight', tensor('0')]), buffers: dict(['running_mean', tensor('1')]) }),
  );
  const net = (unsaved = '') =>
    object(
      'mynet',
      'Net',
      module({
        parameters: dict(['cls_token', tensor('0')]),
        buffers: dict(['index', tensor('2')]),
        unsaved,
        modules: dict(['norm', norm]),
      }),
    );

  it('have the names of state_dict(), parameters before buffers before submodules', async () => {
    const { names, warnings } = await table(net());
    assert.deepEqual(names, ['cls_token', 'index (buffer)', 'norm.weight', 'norm.running_mean (buffer)']);
    assert.deepEqual(warnings, [
      'm/data.pkl is a whole pickled model (mynet.Net): its tensors are shown, nothing of it was executed',
    ]);
  });

  it('leave out buffers that are not persistent', async () => {
    const { names } = await table(net(text('index')));
    assert.deepEqual(names, ['cls_token', 'norm.weight', 'norm.running_mean (buffer)']);
  });

  it('are found inside a training checkpoint', async () => {
    const { stateDicts, extras } = await table(dict(['epoch', 'K\x07'], ['model', net()]));
    assert.deepEqual(
      stateDicts.map(({ name, tensors }) => [name, tensors.length]),
      [['model', 4]],
    );
    assert.deepEqual(extras, [{ name: 'epoch', summary: '7' }]);
  });
});

describe('TorchScript archives', () => {
  it('tell buffers by the lists in their code', async () => {
    const norm = object(
      '__torch__.torch.nn.modules.batchnorm',
      'BatchNorm2d',
      dict(['weight', tensor('0')], ['running_mean', tensor('1')]),
    );
    const code =
      'class Other(Module):\n  __buffers__ = ["weight", ]\n\nclass BatchNorm2d(Module):\n  __parameters__ = ["weight", ]\n  __buffers__ = ["running_mean", ]\n  def forward(self):\n    pass\n';
    const { format, names } = await table(
      object('__torch__', 'Net', dict(['training', '\x89'], ['norm', norm])),
      { name: 'm/constants.pkl', content: Buffer.from('\x80\x02).', 'latin1') },
      { name: 'm/code/__torch__/torch/nn/modules/batchnorm.py', content: Buffer.from(code) },
    );
    assert.equal(format, 'torchscript');
    assert.deepEqual(names, ['norm.weight', 'norm.running_mean (buffer)']);
  });

  it('tell buffers by code of 4 MB at most', async () => {
    const names = async (size: number) => {
      const code = 'class Net(Module):\n  __buffers__ = ["mean", ]\n  def forward(self):\n    pass\n';
      const root = object('__torch__.net', 'Net', dict(['weight', tensor('0')], ['mean', tensor('1')]));
      const content = Buffer.from(code.padEnd(size, '#'));
      return (await table(root, { name: 'm/code/__torch__/net.py', content })).names;
    };
    assert.deepEqual(await names(4_000_000), ['weight', 'mean (buffer)']);
    assert.deepEqual(await names(4_000_001), ['weight', 'mean']);
  });
});
