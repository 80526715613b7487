import { openModel } from '../../../src/models/openedModels';
import assert from 'node:assert/strict';
import { countMacs } from '../../../src/analysis/complexity';
import { gridIndex, gridProbe } from '../../../src/architectures/blocks/gridWindows';
import {
  buildGraph,
  countParameters,
  recognise,
  type Known,
} from '../../../src/architectures/recognise/recognise';
import { windowPlaces } from '../../../src/attention/windows';
import { checkpointPath, readCases } from '../../support/cases';
import { checkpointOf, linesFolder, readLines, type Line } from '../../oracles/lines';

const lineOf = (id: string): Line =>
  readLines(linesFolder).find((line) => line.id === id) ?? assert.fail(`no line ${id}`);

function known(line: Line, config?: Line['config_json'], imageSize?: readonly [number, number]): Known {
  const recognition = recognise(checkpointOf(line, config), imageSize && { imageSize });
  assert(recognition.family !== null);
  return recognition;
}

/**
 * The line with its tables of relative positions made for windows of other sides, and under a name
 * that nobody published.
 */
function withWindows(line: Line, rows: number, columns: number): Line {
  const tensors = line.tensors
    .filter(([name]) => name !== 'head.fc.bias')
    .map(([name, dtype, shape]) =>
      name.endsWith('relative_position_bias_table')
        ? ([name, dtype, [(2 * rows - 1) * (2 * columns - 1), shape[1]!]] as const)
        : ([name, dtype, shape] as const),
    );
  return { ...line, tensors };
}

describe('MaxViT and CoAtNet', () => {
  it('spreads grids over the map as the attention view puts them back', () => {
    for (const [map, size] of [
      [
        [6, 9],
        [2, 3],
      ],
      [
        [8, 4],
        [4, 1],
      ],
      [
        [7, 7],
        [7, 7],
      ],
    ] as const) {
      const places = windowPlaces(gridProbe({ map, size }, 'stages.0.blocks.0.attn_grid'));
      assert.deepEqual([...places!.keys.cells], [...gridIndex({ map, size })]);
    }
  });

  /** Case, a size whose maps the windows do not cover, and the size that is offered instead. */
  const refused = [
    ['maxvit-rw-timm-safetensors', [70, 96], '64 × 96'],
    ['coatnet-0-timm-safetensors', [96, 120], '96 × 128'],
    ['maxvit-torchvision-pth', [48, 64], '48 × 72'],
  ] as const;
  for (const [id, size, offer] of refused)
    it(`${id} refuses ${size.join(' × ')} and names the nearest size`, async () => {
      const golden = readCases().find((each) => each.id === id) ?? assert.fail(`no case ${id}`);
      const model = await openModel(checkpointPath(golden));
      assert.throws(
        () => model.graph({ imageSize: size }),
        (error: Error) => error.message.includes(size.join(' × ')) && error.message.includes(offer),
      );
    });

  it('believes the tables of relative positions, not a config.json of another size', () => {
    const line = lineOf('timm/coatnet_0_rw_224@384');
    const config = { architecture: 'coatnet_0_rw_224', pretrained_cfg: { input_size: [3, 224, 224] } };
    for (const beside of [config, undefined]) assert.deepEqual(known(line, beside).imageSize, [384, 384]);
  });

  it('takes the sides of a window that is no square from the image size, and asks for it where nobody says', () => {
    const line = withWindows(lineOf('timm/maxvit_nano_rw_256'), 2, 3);
    assert.deepEqual(known(line, undefined, [64, 96]).evidence['trained_size']?.value, [64, 96]);
    const unsized = recognise(checkpointOf(line));
    assert.ok(unsized.family === null);
    assert.match(unsized.reason, /fits no square picture; state the image size/);
  });

  it('knows by the published name what weights do not hold, and assumes it of others', () => {
    const stride = (line: Line) => {
      const { value, assumed } = known(line).evidence['stride_mode']!;
      return [value, assumed];
    };
    assert.deepEqual(stride(lineOf('timm/coatnet_nano_rw_224')), ['pooling', false]);
    assert.deepEqual(stride(lineOf('timm/maxvit_nano_rw_256')), ['depthwise', false]);
    assert.deepEqual(stride(lineOf('timm/coatnet_rmlp_1_rw2_224.sw_in12k')), ['depthwise', false]);
    const other = lineOf('timm/coatnet_bn_0_rw_224');
    const tensors = other.tensors.map(
      ([name, dtype, shape]) => [name, dtype, name === 'stem.conv1.weight' ? [32, 4, 3, 3] : shape] as const,
    );
    assert.deepEqual(stride({ ...other, tensors }), ['depthwise', true]);
  });
});

describe('MobileViT', () => {
  it('counts a backbone below a segmentation head, whose last stages keep the map', () => {
    const line = lineOf('transformers/apple/deeplabv3-mobilevit-x-small');
    for (const config of [undefined, line.config_json]) {
      const recognition = known(line, config, line.image_size);
      const checkpoint = checkpointOf(line, config);
      const { linear, attention } = countMacs(buildGraph(checkpoint, recognition).graph);
      assert.deepEqual({ linear, attention }, { linear: line.macs.linear, attention: line.macs.attention });
      assert.equal(countParameters(checkpoint, recognition).params, line.params);
      assert.equal(recognition.evidence['output_stride']?.assumed, config === undefined);
    }
  });

  it('refuses an image whose last map holds no patch, where maps are cut to whole ones', async () => {
    const golden = readCases().find(({ id }) => id === 'mobilevitv2-transformers-safetensors')!;
    const model = await openModel(checkpointPath(golden));
    assert.throws(() => model.graph({ imageSize: [32, 96] }), /32 × 96 found.*The nearest size is 64 × 96/);
    assert.equal(model.graph({ imageSize: [33, 96] }).probes.length, 9);
  });
});
