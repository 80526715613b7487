import type { Tensor } from '../../checkpoint/tensors';

/**
 * Networks that are known by name alone: patterns that all have to find a tensor, the narrower
 * network before the wider. Patterns begin at a module, whatever stands before it.
 */
const networks: readonly (readonly [title: string, ...patterns: readonly string[]])[] = [
  ['CPUBone', 'stages\\.\\d+\\.\\d+\\.total\\.\\d+\\.\\d+\\.main\\.'],
  ['LowFormer', 'in_conv\\.conv\\.weight$', 'stages\\.\\d+\\.\\d+\\.local\\.main\\.'],
  ['CSATv2', 'stem_dct\\.conv_y\\.'],
  ['CSPNeXt', 'stages\\.\\d+\\.\\d+\\.main_conv\\.bn\\.', 'stages\\.\\d+\\.\\d+\\.short_conv\\.bn\\.'],
  ['the encoder of DeepSeek-VL', 'blocks\\.\\d+\\.attn\\.qkv\\.weight$', 'aligner\\.fc1\\.weight$'],
  ['the encoder of Qwen3-VL', 'blocks\\.\\d+\\.attn\\.qkv\\.weight$', 'merger\\.(?:linear_)?fc1\\.weight$'],
  ['the encoder of Gemma 4', 'patch_embed\\.position_embedding_table$', 'patch_embed\\.input_proj\\.weight$'],
  ['DPN (dual path network)', 'features\\.conv\\d_\\d+\\.c1x1_a\\.bn\\.'],
  ['EfficientViM', 'stages\\.\\d+\\.blocks\\.\\d+\\.mixer\\.A$'],
  ['InceptionFormer', 'stages\\.\\d+\\.blocks\\.\\d+\\.cpe\\.module\\.c\\.weight$'],
  ['Inception-ResNet V2', 'conv2d_1a\\.conv\\.weight$', 'mixed_5b\\.'],
  ['Inception V3', 'Conv2d_1a_3x3\\.conv\\.weight$', 'Mixed_5b\\.'],
  ['Inception V4', 'features\\.0\\.conv\\.weight$', 'features\\.\\d+\\.branch0(?:\\.\\d)?\\.conv\\.weight$'],
  ['GoogLeNet', 'inception3a\\.branch1\\.'],
  ['LCNetV2', 'stages\\.\\d+\\.\\d+\\.dw_conv\\.bn\\.', 'stem\\.\\d+\\.pw_conv\\.bn\\.'],
  ['Xception', 'block1\\.rep\\.0\\.', 'block1\\.skip\\.weight$'],
  ['Xception (aligned)', 'blocks\\.\\d+\\.stack\\.conv1\\.conv_dw\\.weight$'],
  ['MobileNet V5', 'conv_stem\\.conv\\.weight$', 'msfa\\.'],
  ['MobileNet V5', 'conv_stem\\.conv\\.weight$', 'blocks\\.\\d+\\.\\d+\\.(?:pw_exp|attn)\\.'],
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
  ['SelecSLS', 'features\\.0\\.conv1\\.0\\.weight$', 'features\\.0\\.conv6\\.0\\.weight$'],
  ['Sequencer', 'stages\\.\\d+\\.blocks\\.\\d+\\.rnn_tokens\\.'],
  ['Sequencer', 'stages\\.\\d+\\.\\d+\\.rnn_tokens\\.'],
  ['SHViT', 'blocks\\.\\d+\\.mixer\\.m\\.qkv\\.c\\.weight$'],
  ['SwiftFormer', 'attn\\.w_g$', 'attn\\.final\\.weight$'],
  ['TResNet', 'body\\.conv1\\.', 'body\\.layer1\\.0\\.conv1\\.'],
  ['BoTNet, HaloNet or LambdaNet', 'stages\\.\\d+\\.\\d+\\.self_attn\\.'],
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
