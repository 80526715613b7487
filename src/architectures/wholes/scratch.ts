import type { Rename } from '../dialect';

/**
 * MiDaS's, DPT's and Depth Anything's own names of neck and fusion, which begin with `at` (a
 * pattern), as transformers has them. The authors count from the finest map, the library in the
 * order in which maps are fused.
 */
export const scratchNames = (at: string): readonly Rename[] => [
  [
    new RegExp(`^${at}scratch\\.layer([1-4])_rn\\.weight$`),
    (_, level = '1') => `neck.convs.${Number(level) - 1}.weight`,
  ],
  [
    new RegExp(`^${at}scratch\\.refinenet([1-4])\\.out_conv\\.(weight|bias)$`),
    (_, level = '1', leaf = '') => `neck.fusion_stage.layers.${4 - Number(level)}.projection.${leaf}`,
  ],
  [
    new RegExp(`^${at}scratch\\.refinenet([1-4])\\.resConfUnit([12])\\.(conv|bn)([12])\\.(.+)$`),
    (_, level = '1', unit = '', part = '', index = '', leaf = '') =>
      `neck.fusion_stage.layers.${4 - Number(level)}.residual_layer${unit}.${part === 'bn' ? 'batch_norm' : 'convolution'}${index}.${leaf}`,
  ],
];

/** The three parts of DPT's reassembling in an `act_postprocess` of the authors' code. */
const parts: Readonly<Record<string, string>> = { 3: 'projection', 4: 'resize' };

/** isl-org's DPT and MiDaS v3: readout and projections lie beside the backbone in `pretrained`. */
export const dptNames: readonly Rename[] = [
  ...scratchNames(''),
  [
    /^pretrained\.act_postprocess([1-4])\.0\.project\.0\.(weight|bias)$/,
    (_, level = '1', leaf = '') => `neck.reassemble_stage.readout_projects.${Number(level) - 1}.0.${leaf}`,
  ],
  [
    /^pretrained\.act_postprocess([1-4])\.([34])\.(weight|bias)$/,
    (_, level = '1', part = '', leaf = '') =>
      `neck.reassemble_stage.layers.${Number(level) - 1}.${parts[part] ?? part}.${leaf}`,
  ],
  [/^scratch\.output_conv\.(\d)\.(.+)$/, 'head.head.$1.$2'],
  [/^auxlayer\.(\d)\.(.+)$/, 'auxiliary_head.head.$1.$2'],
];

/** Depth Anything's own repository, both versions. */
export const depthAnythingNames: readonly Rename[] = [
  ...scratchNames('depth_head\\.'),
  [/^depth_head\.projects\.([0-3])\.(weight|bias)$/, 'neck.reassemble_stage.layers.$1.projection.$2'],
  [/^depth_head\.resize_layers\.([0-3])\.(weight|bias)$/, 'neck.reassemble_stage.layers.$1.resize.$2'],
  [/^depth_head\.scratch\.output_conv1\.(weight|bias)$/, 'head.conv1.$1'],
  [/^depth_head\.scratch\.output_conv2\.0\.(weight|bias)$/, 'head.conv2.$1'],
  [/^depth_head\.scratch\.output_conv2\.2\.(weight|bias)$/, 'head.conv3.$1'],
];
