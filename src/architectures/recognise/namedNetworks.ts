import type { Tensor } from '../../checkpoint/tensors';

/**
 * Networks that are known by name alone: patterns that all have to find a tensor, the narrower
 * network before the wider. Patterns begin at a module, whatever stands before it.
 */
const networks: readonly (readonly [title: string, ...patterns: readonly string[]])[] = [
  ['ConvMixer', 'blocks\\.\\d+\\.0\\.fn\\.0\\.weight$'],
  ['CPUBone', 'stages\\.\\d+\\.\\d+\\.total\\.\\d+\\.\\d+\\.main\\.'],
  ['LowFormer', 'in_conv\\.conv\\.weight$', 'stages\\.\\d+\\.\\d+\\.local\\.main\\.'],
  ['CSATv2', 'stem_dct\\.conv_y\\.'],
  ['CSPNeXt', 'stages\\.\\d+\\.\\d+\\.main_conv\\.bn\\.', 'stages\\.\\d+\\.\\d+\\.short_conv\\.bn\\.'],
  [
    'a CSPNet or Darknet',
    'stages\\.\\d+\\.conv_down\\.conv\\.weight$',
    'stages\\.\\d+\\.conv_(?:transition|exp)\\b',
  ],
  [
    'a CSPNet or Darknet',
    'stages\\.\\d+\\.conv_down\\.conv\\.weight$',
    'stages\\.\\d+\\.blocks\\.\\d+\\.conv1\\.',
  ],
  ['the encoder of DeepSeek-VL', 'blocks\\.\\d+\\.attn\\.qkv\\.weight$', 'aligner\\.fc1\\.weight$'],
  ['the encoder of Qwen3-VL', 'blocks\\.\\d+\\.attn\\.qkv\\.weight$', 'merger\\.(?:linear_)?fc1\\.weight$'],
  ['the encoder of Gemma 4', 'patch_embed\\.position_embedding_table$', 'patch_embed\\.input_proj\\.weight$'],
  ['DLA (deep layer aggregation)', 'base_layer\\.0\\.weight$', 'level\\d\\.(?:tree\\d|root)\\.'],
  ['NFNet, or a ResNet without norms', 'stages\\.\\d+\\.\\d+\\.conv1\\.gain$'],
  ['DPN (dual path network)', 'features\\.conv\\d_\\d+\\.c1x1_a\\.bn\\.'],
  ['VoVNet', 'stages\\.\\d+\\.blocks\\.\\d+\\.conv_mid\\.', 'stages\\.\\d+\\.blocks\\.\\d+\\.conv_concat\\.'],
  ['EfficientViM', 'stages\\.\\d+\\.blocks\\.\\d+\\.mixer\\.A$'],
  ['FasterNet', 'stages\\.\\d+\\.blocks\\.\\d+\\.spatial_mixing\\.partial_conv3\\.weight$'],
  ['RepGhostNet', 'blocks\\.\\d+\\.\\d+\\.ghost1\\.fusion_bn\\.'],
  ['GhostNet', 'blocks\\.\\d+\\.\\d+\\.ghost1\\.(?:primary_(?:conv|rpr_conv)|primary)'],
  ['HGNet', 'stages\\.\\d+\\.blocks\\.\\d+\\.aggregation\\.0\\.'],
  ['HRNet', 'transition1\\.0\\.0\\.', 'stage2\\.0\\.branches\\.0\\.'],
  ['InceptionFormer', 'stages\\.\\d+\\.blocks\\.\\d+\\.cpe\\.module\\.c\\.weight$'],
  ['Inception-ResNet V2', 'conv2d_1a\\.conv\\.weight$', 'mixed_5b\\.'],
  ['Inception V3', 'Conv2d_1a_3x3\\.conv\\.weight$', 'Mixed_5b\\.'],
  ['Inception V4', 'features\\.0\\.conv\\.weight$', 'features\\.\\d+\\.branch0(?:\\.\\d)?\\.conv\\.weight$'],
  ['GoogLeNet', 'inception3a\\.branch1\\.'],
  ['LCNetV2', 'stages\\.\\d+\\.\\d+\\.dw_conv\\.bn\\.', 'stem\\.\\d+\\.pw_conv\\.bn\\.'],
  ['SENet', 'layer0\\.conv1\\.weight$', 'layer1\\.0\\.se_module\\.fc1\\.'],
  ['Xception', 'block1\\.rep\\.0\\.', 'block1\\.skip\\.weight$'],
  ['Xception (aligned)', 'blocks\\.\\d+\\.stack\\.conv1\\.conv_dw\\.weight$'],
  ['MobileNet V5', 'conv_stem\\.conv\\.weight$', 'msfa\\.'],
  ['MobileNet V5', 'conv_stem\\.conv\\.weight$', 'blocks\\.\\d+\\.\\d+\\.(?:pw_exp|attn)\\.'],
  ['MobileNet V4', 'blocks\\.\\d+\\.\\d+\\.pw_exp\\.bn\\.', 'blocks\\.\\d+\\.\\d+\\.pw_proj\\.bn\\.'],
  ['NASNet', 'conv0\\.conv\\.weight$', 'cell_0\\.path_1\\.'],
  ['PNASNet', 'conv_0\\.conv\\.weight$', 'cell_0\\.comb_iter_0_left\\.'],
  ['Next-ViT', 'blocks\\.\\d+\\.e_mhsa\\.q\\.weight$'],
  ['Next-ViT', 'features\\.\\d+\\.e_mhsa\\.q\\.weight$'],
  ['RDNet', 'dense_stages\\.\\d+\\.\\d+\\.'],
  [
    'RegNet with norms before its convolutions (RegNetV)',
    's1\\.b1\\.norm1\\.weight$',
    's1\\.b1\\.conv1\\.weight$',
  ],
  ['RepViT', 'blocks\\.\\d+\\.token_mixer\\.conv\\.c\\.weight$'],
  ['Res2Net', 'layer1\\.0\\.convs\\.0\\.weight$'],
  ['ResNeSt', 'layer1\\.0\\.conv2\\.fc1\\.weight$', 'layer1\\.0\\.conv2\\.bn0\\.'],
  ['SKNet', 'layer1\\.0\\.conv[12]\\.(?:paths\\.0|attn)\\.'],
  ['ReXNet', 'features\\.\\d+\\.conv_pwl\\.conv\\.weight$', 'features\\.\\d+\\.conv_dw\\.conv\\.weight$'],
  ['SelecSLS', 'features\\.0\\.conv1\\.0\\.weight$', 'features\\.0\\.conv6\\.0\\.weight$'],
  ['Sequencer', 'stages\\.\\d+\\.blocks\\.\\d+\\.rnn_tokens\\.'],
  ['Sequencer', 'stages\\.\\d+\\.\\d+\\.rnn_tokens\\.'],
  ['SHViT', 'blocks\\.\\d+\\.mixer\\.m\\.qkv\\.c\\.weight$'],
  ['SwiftFormer', 'attn\\.w_g$', 'attn\\.final\\.weight$'],
  ['TResNet', 'body\\.conv1\\.', 'body\\.layer1\\.0\\.conv1\\.'],
  ['BoTNet, HaloNet or LambdaNet', 'stages\\.\\d+\\.\\d+\\.self_attn\\.'],
  ['RepVGG', 'stages\\.\\d+\\.\\d+\\.conv_kxk\\.conv\\.weight$', 'stages\\.\\d+\\.\\d+\\.identity\\.weight$'],
  [
    'MobileOne',
    'stages\\.\\d+\\.\\d+\\.conv_kxk\\.0\\.conv\\.weight$',
    'stages\\.\\d+\\.\\d+\\.identity\\.weight$',
  ],
  [
    'a network of blocks from timm’s byobnet (GENet, RegNetZ, ResNets of its own)',
    'stages\\.\\d+\\.\\d+\\.conv1_1x1\\.conv\\.weight$',
    'stages\\.\\d+\\.\\d+\\.conv(?:2_kxk|2_1x1|3_1x1)\\.',
  ],
  [
    'a ResNet V2',
    'stages\\.\\d+\\.blocks\\.0\\.norm1\\.',
    'stages\\.\\d+\\.blocks\\.0\\.conv1\\.weight$',
    'head\\.fc\\.',
  ],
  [
    'PP-LCNet',
    'conv_stem\\.weight$',
    '^(?:.*\\.)?bn1\\.weight$',
    'blocks\\.\\d+\\.\\d+\\.conv_dw\\.weight$',
    'conv_head\\.bias$',
  ],
  ['SqueezeNet', 'features\\.\\d+\\.squeeze\\.weight$', 'features\\.\\d+\\.expand3x3\\.weight$'],
  ['ShuffleNet V2', 'stage2\\.0\\.branch1\\.0\\.weight$', 'stage2\\.0\\.branch2\\.0\\.weight$'],
  ['MNASNet', 'layers\\.8\\.0\\.layers\\.0\\.weight$', 'layers\\.8\\.0\\.layers\\.3\\.weight$'],
  ['AlexNet', 'features\\.10\\.weight$', 'classifier\\.4\\.weight$'],
  ['RADIO', 'patch_generator\\.embedder\\.weight$', 'patch_generator\\.cls_token\\.token$'],
  ['T2T-ViT', 'tokens_to_token\\.attention1\\.'],
  ['CSWin', 'stage1_conv_embed\\.0\\.weight$', 'stage1\\.0\\.attns\\.0\\.'],
  ['Conformer', 'conv_trans_2\\.', 'trans_patch_conv\\.weight$'],
  ['VAN (visual attention network)', 'attn\\.spatial_gating_unit\\.conv0\\.weight$'],
  ['a state-space model (Vision Mamba)', 'mixer\\.A_log$'],
  ['a state-space model (VMamba)', 'op\\.A_logs$'],
];

const anywhere = (pattern: string): RegExp => new RegExp(`(?:^|\\.)${pattern}`);

/** `MLP-Mixer, which is not run: blocks.0.mlp_tokens.fc1.weight`; undefined if none is known. */
export function namedNetwork(tensors: readonly Tensor[]): string | undefined {
  for (const [title, ...patterns] of networks) {
    const found = patterns.map((pattern) => {
      const name = anywhere(pattern);
      return tensors.find((tensor) => name.test(tensor.name))?.name;
    });
    if (!found.includes(undefined)) return `${title}, which is not run: ${found.join(', ')}`;
  }
  return undefined;
}
