import { timmNames, type Dialect, type Rename } from '../dialect';

type Replacement = readonly [from: RegExp, to: string];

/** The authors' list of stages in turns with the downsamplings between them: stages come first. */
const placeOf = (name: string): string =>
  name
    .replace(
      /^network\.(\d*[02468])\.(\d+)\./,
      (_, entry: string, block: string) => `stages.${Number(entry) / 2}.blocks.${block}.`,
    )
    .replace(/^network\.(\d+)\./, (_, entry: string) => `stages.${(Number(entry) + 1) / 2}.downsample.`);

/** Rows of a version: parts of a block or downsampling, as the authors and as timm name them. */
const rowsOf = (parts: readonly Replacement[]): readonly Rename[] => [
  [/^network\..+$/, (name) => parts.reduce((path, [from, to]) => path.replace(from, to), placeOf(name))],
  [/^((?:norm|head)\.(?:weight|bias|running_mean|running_var))$/, '$1'],
  [/^dist_head\./, 'head_dist.'],
];

const layerScale: Replacement = [/\.layer_scale_([12])$/, '.ls$1.gamma'];

const first: Dialect = {
  name: 'efficientformer',
  title: 'EfficientFormer (snap-research)',
  families: ['efficientformer'],
  resampling: ['bicubic', 'bicubic'],
  eps: 1e-5,
  signature: [
    /^patch_embed\.0\.weight$/,
    /^network\.0\.0\.mlp\.fc1\.weight$/,
    /^network\.\d+\.\d+\.token_mixer\.qkv\.weight$/,
  ],
  renames: [
    [/^patch_embed\.0\./, 'stem.conv1.'],
    [/^patch_embed\.1\./, 'stem.norm1.'],
    [/^patch_embed\.3\./, 'stem.conv2.'],
    [/^patch_embed\.4\./, 'stem.norm2.'],
    ...rowsOf([layerScale, [/\.downsample\.proj\./, '.downsample.conv.']]),
  ],
  modules: [0, 1, 2, 3].flatMap((stage) => [
    [new RegExp(`^stages\\.${stage}\\.blocks\\.`), `network.${2 * stage}.`] as const,
    [new RegExp(`^stages\\.${stage}\\.downsample$`), `network.${2 * stage - 1}`] as const,
  ]),
};

/** Convolutions and norms side by side, or in a list, where timm has a module of both. */
const units: readonly Replacement[] = [
  layerScale,
  [/\.downsample\.(?:proj|conv)\./, '.downsample.conv.conv.'],
  [/\.downsample\.(?:norm|bn)\./, '.downsample.conv.bn.'],
  [/\.mlp\.(fc[12]|mid)\./, '.mlp.$1.conv.'],
  [/\.mlp\.norm([12])\./, '.mlp.fc$1.bn.'],
  [/\.mlp\.mid_norm\./, '.mlp.mid.bn.'],
  [/\.(k|v|v_local|stride_conv|(?<=token_mixer\.)q|(?<=\.q\.)proj)\.0\./, '.$1.conv.'],
  [/\.(k|v|v_local|stride_conv|(?<=token_mixer\.)q|(?<=\.q\.)proj)\.1\./, '.$1.bn.'],
  [/\.q\.local\.0\./, '.q.local.'],
  // The activation comes first in this list.
  [/\.((?:token_mixer|attn)\.proj)\.1\./, '.$1.conv.'],
  [/\.((?:token_mixer|attn)\.proj)\.2\./, '.$1.bn.'],
];

const second: Dialect = {
  ...first,
  title: 'EfficientFormerV2 (snap-research)',
  signature: [
    /^patch_embed\.0\.weight$/,
    /^network\.0\.0\.mlp\.mid_norm\.weight$/,
    /^network\.\d+\.\d+\.token_mixer\.talking_head1\.weight$/,
  ],
  renames: [
    [/^patch_embed\.0\./, 'stem.conv1.conv.'],
    [/^patch_embed\.1\./, 'stem.conv1.bn.'],
    [/^patch_embed\.3\./, 'stem.conv2.conv.'],
    [/^patch_embed\.4\./, 'stem.conv2.bn.'],
    ...rowsOf(units),
  ],
};

/** EfficientFormer and EfficientFormerV2 as timm and their authors name them. */
export const efficientFormerNames: readonly Dialect[] = [
  timmNames('efficientformer', [
    /^stem\.conv1\.weight$/,
    /^stem\.norm2\.weight$/,
    /^stages\.0\.blocks\.0\.mlp\.fc1\.weight$/,
    /^stages\.\d+\.blocks\.\d+\.token_mixer\.attention_biases$/,
  ]),
  timmNames('efficientformer', [
    /^stem\.conv1\.conv\.weight$/,
    /^stages\.0\.blocks\.0\.mlp\.mid\.conv\.weight$/,
    /^stages\.\d+\.blocks\.\d+\.token_mixer\.attention_biases$/,
  ]),
  first,
  second,
];
