import type { Sizes } from '../sizes';

const sevenStrides = [1, 2, 2, 2, 1, 2, 1];

const mobileExcite = ['relu', 'hard_sigmoid'] as const;

const reluExcite = ['relu', 'sigmoid'] as const;

const efficientExcite = ['silu', 'sigmoid'] as const;

/** The network that the kernels of the stages belong to, and what goes with it as published. */
export interface Layout {
  readonly name: string;
  readonly label: string;
  /** Sides of the first block's kernel, stage by stage. */
  readonly kernels: RegExp;
  readonly strides: readonly number[];
  /** One for all stages, or one for each; stem and head have the last. */
  readonly activations: readonly string[];
  /** Activation inside squeeze and excitation, and its gate. */
  readonly excite: readonly [activation: string, gate: string];
  /** Whether its blocks weigh their channels, if another layout with these kernels does not. */
  readonly gated?: boolean;
  /** Its second stage begins with a whole convolution, not a depthwise one. */
  readonly fused?: true;
  /** Channels that the last stage gives, if another layout with these kernels gives others. */
  readonly last?: number;
  /** Stages without residuals, and those of which the first block is none, whatever their shape. */
  readonly plainStages?: readonly number[];
  readonly plainFirsts?: readonly number[];
  /** Of stem and head, if it is not that of the last stage. */
  readonly endActivation?: string;
  /** Published sizes beside those of EfficientNet B0 to B7. */
  readonly sizes?: Sizes;
  /** Blocks are no residuals: an activation ends each. */
  readonly chain?: true;
  /** Blocks and last width of the network whose widths others multiply. */
  readonly unit?: readonly [blocks: string, width: number];
}

/** Published networks of inverted residuals; the first whose kernels fit. */
export const layouts: readonly Layout[] = [
  {
    name: 'EfficientNet',
    label: 'efficientnet',
    kernels: /^3,3,5,3,5,5,3$/,
    strides: sevenStrides,
    activations: ['silu'],
    excite: efficientExcite,
    gated: true,
    sizes: { '4,8,8,11,11,15,4 32': 'B8', '6,11,11,16,16,22,6 72': 'L2' },
  },
  {
    name: 'EfficientNet',
    label: 'efficientnet',
    kernels: /^3,3,5,3,5,5,3$/,
    strides: sevenStrides,
    activations: ['relu6'],
    excite: efficientExcite,
    gated: false,
    sizes: {
      '1,2,2,3,3,4,1 16': 'Lite0',
      '1,3,3,4,4,5,1 16,24,40': 'Lite1',
      '1,3,3,4,4,5,1 16,24,48': 'Lite2',
      '1,3,3,5,5,6,1 24': 'Lite3',
      '1,4,4,6,6,8,1 24': 'Lite4',
    },
  },
  {
    name: 'EfficientNet V2',
    label: 'efficientnet',
    fused: true,
    kernels: /^3,3,3,3,3,3(?:,3)?$/,
    strides: sevenStrides,
    activations: ['silu'],
    excite: efficientExcite,
    sizes: {
      '1,2,2,3,5,8 16': 'B0',
      '2,3,3,4,6,9 16': 'B1',
      '2,3,3,4,6,10 16': 'B2',
      '2,3,3,5,7,12 16': 'B3',
      '2,4,4,6,9,15 24,48,64,128,160,256': 'S',
      '3,5,5,7,14,18,5 24': 'M',
      '4,7,7,10,19,25,7 32': 'L',
      '4,8,8,16,24,32,8 32': 'XL',
      '2,4,4,6,9,14 24': 'RW-T',
      '2,4,4,6,9,15 24,48,64,128,160,272': 'RW-S',
      '3,5,5,8,15,24 32': 'RW-M',
    },
  },
  {
    name: 'MobileNet V1',
    label: 'mobilenet_v1',
    kernels: /^3,3,3,3,3$/,
    strides: [1, 2, 2, 2, 2],
    activations: ['relu6'],
    excite: efficientExcite,
    chain: true,
    unit: ['1,2,2,6,2', 1024],
  },
  {
    name: 'MobileNet V2',
    label: 'mobilenet_v2',
    kernels: /^3,3,3,3,3,3,3$/,
    strides: sevenStrides,
    activations: ['relu6'],
    excite: efficientExcite,
    unit: ['1,2,3,4,3,3,1', 320],
  },
  {
    name: 'MobileNet V3 Large',
    label: 'mobilenet_v3',
    kernels: /^3,3,5,3,3,5,1$/,
    strides: sevenStrides,
    activations: ['relu', 'relu', 'relu', ...Array<string>(4).fill('hard_swish')],
    excite: mobileExcite,
    unit: ['1,2,3,4,2,3,1', 960],
  },
  {
    name: 'MobileNet V3 Small',
    label: 'mobilenet_v3',
    kernels: /^3,3,5,5,5,1$/,
    strides: [2, 2, 2, 1, 2, 1],
    activations: ['relu', 'relu', ...Array<string>(4).fill('hard_swish')],
    excite: mobileExcite,
    unit: ['1,2,3,2,3,1', 576],
  },
  {
    name: 'MnasNet-B1',
    label: 'mnasnet',
    kernels: /^3,3,5,5,3,5,3$/,
    strides: sevenStrides,
    activations: ['relu'],
    excite: reluExcite,
    unit: ['1,3,3,3,2,4,1', 320],
  },
  {
    name: 'MnasNet-A1',
    label: 'mnasnet',
    kernels: /^3,3,5,3,3,5,3$/,
    strides: sevenStrides,
    activations: ['relu'],
    excite: reluExcite,
    unit: ['1,2,3,4,2,3,1', 320],
  },
  {
    name: 'MnasNet small',
    label: 'mnasnet',
    kernels: /^3,3,3,5,3,5,3$/,
    strides: sevenStrides,
    activations: ['relu'],
    excite: reluExcite,
    unit: ['1,1,2,4,3,3,1', 144],
  },
  {
    name: 'FBNet-C',
    label: 'fbnet',
    kernels: /^3,3,5,5,5,5,3$/,
    strides: sevenStrides,
    activations: ['relu'],
    excite: reluExcite,
    last: 352,
    unit: ['1,3,4,4,4,4,1', 352],
  },
  {
    name: 'Single-Path NAS',
    label: 'mnasnet',
    kernels: /^3,3,5,5,5,5,3$/,
    strides: sevenStrides,
    activations: ['relu'],
    excite: reluExcite,
    unit: ['1,3,4,4,4,4,1', 320],
  },
  {
    name: 'FBNet V3',
    label: 'mobilenet_v3',
    kernels: /^3,(?:5,5,5|3,5,3),3,3,1$/,
    strides: sevenStrides,
    activations: ['hard_swish'],
    excite: ['hard_swish', 'hard_sigmoid'],
    sizes: { '2,4,5,5,6,7,1 16': 'B', '2,6,5,5,7,7,1 16': 'D', '3,5,5,5,9,9,1 24': 'G' },
  },
  {
    name: 'HardCoRe-NAS',
    label: 'mobilenet_v3',
    kernels: /^3,5,5,5,[35],5,1$/,
    strides: sevenStrides,
    activations: ['relu', 'relu', 'relu', ...Array<string>(4).fill('hard_swish')],
    excite: mobileExcite,
    sizes: {
      '1,2,2,2,2,2,1 16': 'A',
      '1,3,3,4,4,3,1 16': 'B',
      '1,2,4,4,4,3,1 16': 'C',
      '1,2,3,4,4,4,1 16': 'D',
      '1,2,4,2,4,4,1 16': 'E',
      '1,2,2,4,4,4,1 16': 'F',
    },
  },
  {
    name: 'MobileNet V3 Large minimal',
    label: 'mobilenet_v3',
    kernels: /^3,3,3,3,3,3,1$/,
    strides: sevenStrides,
    activations: ['relu'],
    excite: mobileExcite,
    unit: ['1,2,3,4,2,3,1', 960],
  },
  {
    name: 'MobileNet V3 Small minimal',
    label: 'mobilenet_v3',
    kernels: /^3,3,3,3,3,1$/,
    strides: [2, 2, 2, 1, 2, 1],
    activations: ['relu'],
    excite: mobileExcite,
    unit: ['1,2,3,2,3,1', 576],
  },
  {
    name: 'PP-LCNet',
    label: 'mobilenet_v3',
    kernels: /^3,3,3,3,5,5$/,
    strides: sevenStrides,
    activations: ['hard_swish'],
    excite: mobileExcite,
    chain: true,
    unit: ['1,2,2,2,4,2', 512],
  },
  {
    name: 'EfficientNet-EdgeTPU',
    label: 'efficientnet',
    kernels: /^3,3,3,5,5,5$/,
    strides: sevenStrides,
    activations: ['relu'],
    excite: reluExcite,
    fused: true,
    plainStages: [0],
    sizes: { '1,2,4,5,4,2 24': 'S', '2,3,5,6,5,3 24': 'M', '2,3,6,7,6,3 32': 'L' },
  },
  {
    name: 'MobileNet-EdgeTPU',
    label: 'mobilenet-edgetpu',
    kernels: /^1,3,3,3,3,5,3$/,
    strides: sevenStrides,
    activations: ['relu'],
    excite: reluExcite,
    fused: true,
    plainFirsts: [4],
    unit: ['1,4,4,4,4,4,1', 192],
  },
  {
    name: 'MobileNet-EdgeTPU V2',
    label: 'mobilenet-edgetpu',
    kernels: /^1,3,3,3,3,3,3$/,
    strides: sevenStrides,
    activations: ['relu'],
    excite: reluExcite,
    fused: true,
    sizes: {
      '1,2,4,4,4,4,1 16': 'XS',
      '1,2,4,4,4,4,1 24': 'S',
      '1,2,4,4,4,4,1 32,64,80': 'M',
      '1,2,4,4,4,4,1 32,64,96': 'L',
    },
  },
  {
    name: 'EfficientNet, test',
    label: 'efficientnet',
    kernels: /^3,3,3,3,3$/,
    strides: [1, 2, 2, 2, 2],
    activations: ['silu'],
    excite: efficientExcite,
    fused: true,
    unit: ['1,1,1,1,1', 64],
  },
  {
    name: 'MixNet',
    label: 'mixnet',
    kernels: /^3,3,3,3,3,3$/,
    strides: sevenStrides,
    activations: ['relu', 'relu', 'silu'],
    excite: efficientExcite,
    endActivation: 'relu',
    sizes: {
      '1,2,4,3,3,3 16': 'S',
      '1,2,4,4,4,4 24': 'M',
      '1,2,4,4,4,4 32': 'L',
      '1,2,5,5,5,5 40': 'XL',
      '1,3,5,5,5,5 56': 'XXL',
    },
  },
];
