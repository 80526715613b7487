import assert from 'node:assert/strict';
import { wholeNetwork } from '../../../../src/architectures/networks/networks';
import { asNamed, timmNames, translate } from '../../../../src/architectures/dialect';
import type { Found } from '../../../../src/architectures/family';
import { stored } from '../../../../src/architectures/evidence';
import { measureStages, stagedConfig } from '../../../../src/architectures/groups/stagedConfig';
import { checkpointOf } from '../../../oracles/lines';

type Shapes = Readonly<Record<string, readonly number[]>>;

const network: Shapes = {
  'stages.0.blocks.0.conv.weight': [8, 1, 7, 7],
  'stages.0.blocks.1.conv.weight': [8, 1, 7, 7],
  'stages.0.blocks.0.fc1.weight': [32, 8],
  'stages.1.downsample.weight': [16, 8, 2, 2],
  'stages.1.blocks.0.conv.weight': [16, 1, 7, 7],
  'stages.1.blocks.0.fc1.weight': [48, 16],
  'head.weight': [10, 16],
};

/** Names and shapes as a family finds them. */
function foundOf(shapes: Shapes): Found {
  const tensors = Object.entries(shapes).map(([name, shape]) => [name, 'F32', shape] as const);
  const checkpoint = checkpointOf({ id: 'staged', tensors });
  const dialect = timmNames('staged', [], { renames: [asNamed] });
  const translation =
    translate(dialect, wholeNetwork(checkpoint.selected.tensors)) ?? assert.fail('no names');
  return {
    tensors: translation.parameters,
    dialect,
    ownTensors: () => checkpoint.selected.tensors,
    checkpoint,
    assume: {},
  };
}

const measure = (shapes: Shapes, block = 'stages.*.blocks.*') =>
  measureStages(foundOf(shapes), block, 'conv.weight');

const measured = (shapes: Shapes, block?: string) => measure(shapes, block) ?? assert.fail('not measured');

describe('stages of a network', () => {
  it('are counted by the path of a block, with the pattern as the source', () => {
    const { counted, each, ratio } = measured(network);
    assert.deepEqual(counted, {
      depth: stored([2, 1], 'stages.*.blocks'),
      dim: stored([8, 16], 'stages.*.blocks.0.conv.weight'),
    });
    assert.deepEqual(each('conv.weight', 2).value, [7, 7]);
    assert.deepEqual(ratio('fc1.weight'), stored([32 / 8, 48 / 16], 'stages.*.blocks.0.fc1.weight'));
    assert.deepEqual(each('gate.weight', 0).value, [0, 0]);
  });

  it('begin with the first block, from 1 and behind a downsampling in their list', () => {
    const { depths, dims } = measured(
      {
        'layer1.0.weight': [8, 3, 3, 3],
        'layer1.1.conv.weight': [8, 1, 3, 3],
        'layer1.2.conv.weight': [8, 1, 3, 3],
        'layer2.0.weight': [16, 8, 3, 3],
        'layer2.1.conv.weight': [16, 1, 3, 3],
      },
      'layer*.*',
    );
    assert.deepEqual(
      [depths, dims],
      [
        [2, 1],
        [8, 16],
      ],
    );
  });

  it('are none of a network that lacks the blocks of one', () => {
    const { 'stages.1.blocks.0.conv.weight': removed, ...rest } = network;
    assert(removed);
    assert.equal(measure(rest), undefined);
    assert.equal(measure({ 'head.weight': [10, 16] }), undefined);
  });
});

describe('a recognition that ends in stagedConfig', () => {
  const sizes = { '2,1 8': 'S' };
  const common = { label: 'staged', head: 'head', stride: 32 } as const;

  it('derives title, classes, image size and config, and keeps plumbing out of sight', () => {
    const recognised = stagedConfig(measured(network), {
      ...common,
      title: ['Staged', sizes],
      shapes: { kernel: stored(7, 'a convolution') },
      settings: { activation: stored('gelu', 'as published') },
      plumbing: { firstBlock: 1 },
    });
    assert.deepEqual(Object.keys(recognised.evidence), [
      'depth',
      'dim',
      'kernel',
      'image_size',
      'classes',
      'activation',
    ]);
    const { title, task, sizeStep, config } = recognised;
    assert.deepEqual([title, task, sizeStep], ['Staged-S', 'classify', [32, 32]]);
    const expected = { depth: [2, 1], dim: [8, 16], kernel: 7, activation: 'gelu', firstBlock: 1 };
    assert.deepEqual(config, expected);
  });

  it("shows a family's own word for a derived key, where the family has put it", () => {
    const shapes = {
      depth: stored([2, 1], 'two lists'),
      classes: stored(10, 'head'),
      pool: stored('avg', ''),
    };
    const { evidence } = stagedConfig(measured(network), { ...common, title: 'Staged', shapes });
    assert.equal(evidence['depth']?.source, 'two lists');
    assert.deepEqual(Object.keys(evidence), ['depth', 'dim', 'classes', 'pool', 'image_size']);
  });
});
