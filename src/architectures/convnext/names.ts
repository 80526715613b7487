import { timmNames, type Dialect, type Rename } from '../dialect';
import {
  convnextOpenMmlab,
  convnextOpenMmlabSignature,
  convnextRepository,
  convnextSignature,
} from '../libraries/convnext';

const layer = '^encoder\\.stages\\.(\\d+)\\.layers\\.(\\d+)\\.';
const inBlock = (from: string, to: string): Rename => [
  new RegExp(`${layer}${from}`),
  `stages.$1.blocks.$2.${to}`,
];

/**
 * torchvision keeps stem, stages and what lies between them in one list: stage 1 is its second, the
 * downsampling before it the third entry.
 */
const torchvisionStage = (stage: number): readonly Rename[] => {
  const blocks = `^features\\.${2 * stage + 1}\\.(\\d+)\\.`;
  const to = `stages.${stage}.blocks.$1.`;
  const before = stage === 0 ? 'stem' : `stages.${stage}.downsample`;
  return [
    [new RegExp(`^features\\.${2 * stage}\\.([01])\\.(weight|bias)$`), `${before}.$1.$2`],
    [new RegExp(`${blocks}layer_scale$`), `${to}gamma`],
    [new RegExp(`${blocks}block\\.0\\.`), `${to}conv_dw.`],
    [new RegExp(`${blocks}block\\.2\\.`), `${to}norm.`],
    [new RegExp(`${blocks}block\\.3\\.`), `${to}mlp.fc1.`],
    [new RegExp(`${blocks}block\\.5\\.`), `${to}mlp.fc2.`],
  ];
};

/**
 * DINOv3's ConvNeXt (transformers 5, modeling_dinov3_convnext.py): the stem is the first of the
 * layers between stages. transformers' own memory of a model has its stages in `model`.
 */
const dinov3: Dialect = {
  name: 'transformers-dinov3',
  title: 'Hugging Face transformers',
  families: ['convnext'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-6,
  signature: [
    /^(?:model\.)?stages\.0\.downsample_layers\.0\.weight$/,
    /^(?:model\.)?stages\.0\.layers\.0\.depthwise_conv\.weight$/,
  ],
  renames: [
    [/^(?:model\.)?stages\.0\.downsample_layers\./, 'stem.'],
    [/^(?:model\.)?stages\.([1-9]\d*)\.downsample_layers\./, 'stages.$1.downsample.'],
    ...(
      [
        ['depthwise_conv\\.', 'conv_dw.'],
        ['layer_norm\\.', 'norm.'],
        ['pointwise_conv([12])\\.', 'mlp.fc$3.'],
        ['gamma$', 'gamma'],
      ] as const
    ).map(([from, to]): Rename => [
      new RegExp(`^(?:model\\.)?stages\\.(\\d+)\\.layers\\.(\\d+)\\.${from}`),
      `stages.$1.blocks.$2.${to}`,
    ]),
    [/^layer_norm\./, 'head.norm.'],
  ],
};

/** ConvNeXt and ConvNeXt V2. */
export const convnextNames: readonly Dialect[] = [
  timmNames('convnext', [
    /^stem\.0\.weight$/,
    /^stages\.0\.blocks\.0\.conv_dw\.weight$/,
    /^stages\.0\.blocks\.0\.mlp\.fc1\.weight$/,
  ]),
  {
    name: 'transformers',
    title: 'Hugging Face transformers',
    families: ['convnext'],
    prefix: /^convnext(?:v2)?\./,
    resampling: ['bicubic', 'bicubic'],
    eps: 1e-12,
    signature: [/^embeddings\.patch_embeddings\.weight$/, new RegExp(`${layer}dwconv\\.weight$`)],
    renames: [
      [/^embeddings\.patch_embeddings\./, 'stem.0.'],
      [/^embeddings\.layernorm\./, 'stem.1.'],
      [/^encoder\.stages\.(\d+)\.downsampling_layer\./, 'stages.$1.downsample.'],
      inBlock('dwconv\\.', 'conv_dw.'),
      inBlock('layernorm\\.', 'norm.'),
      inBlock('pwconv([12])\\.', 'mlp.fc$3.'),
      inBlock('grn\\.', 'mlp.grn.'),
      inBlock('layer_scale_parameter$', 'gamma'),
      [/^layernorm\./, 'head.norm.'],
      [/^classifier\./, 'head.fc.'],
    ],
  },
  dinov3,
  {
    ...convnextRepository,
    name: 'convnext',
    title: 'facebookresearch/ConvNeXt',
    families: ['convnext'],
    signature: convnextSignature,
    absent: [/\.xca\.temperature$/],
  },
  {
    ...convnextOpenMmlab,
    families: ['convnext'],
    signature: convnextOpenMmlabSignature,
    absent: [/\.csa\.scale$/],
  },
  {
    name: 'torchvision',
    title: 'torchvision',
    families: ['convnext'],
    resampling: ['bicubic', 'bicubic'],
    eps: 1e-6,
    signature: [/^features\.1\.0\.layer_scale$/, /^features\.1\.0\.block\.5\.weight$/],
    renames: [
      ...[0, 1, 2, 3].flatMap(torchvisionStage),
      [/^classifier\.0\./, 'head.norm.'],
      [/^classifier\.2\./, 'head.fc.'],
    ],
  },
];
