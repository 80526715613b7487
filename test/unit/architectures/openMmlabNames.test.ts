import assert from 'node:assert/strict';
import { countParameters } from '../../../src/architectures/recognise/counts';
import { areTheSame, inWords, known, opened, renamed, type Row } from '../../support/renamed';

/** A golden case with a library's names, and rows to those of mmpretrain 1.2. */
interface Renaming {
  readonly id: string;
  /** Applied one after the other; what begins with `head.` then is no part of the backbone. */
  readonly rows: readonly Row[];
  readonly dialect?: string;
}

const plainRows: readonly Row[] = [
  [/^patch_embed\.proj\./, 'patch_embed.projection.'],
  [/^norm\./, 'ln1.'],
  [/^fc_norm\./, 'ln2.'],
  [/^blocks\.(\d+)\.norm([12])\./, 'layers.$1.ln$2.'],
  [/^blocks\.(\d+)\.mlp\.fc1\./, 'layers.$1.ffn.layers.0.0.'],
  [/^blocks\.(\d+)\.mlp\.fc2\./, 'layers.$1.ffn.layers.1.'],
  [/^blocks\./, 'layers.'],
];

const convnextRows: readonly Row[] = [
  [/^stem\./, 'downsample_layers.0.'],
  [/^stages\.(\d+)\.downsample\./, 'downsample_layers.$1.'],
  [/^stages\.(\d+)\.blocks\./, 'stages.$1.'],
  [/\.conv_dw\./, '.depthwise_conv.'],
  [/\.mlp\.fc([12])\./, '.pointwise_conv$1.'],
  [/\.mlp\.grn\.weight$/, '.grn.gamma'],
  [/\.mlp\.grn\.bias$/, '.grn.beta'],
  [/^head\.norm\./, 'norm3.'],
];

/** Before MobileNets' and EfficientNets' blocks: the words of a block that expands, and others. */
const inverted: readonly Row[] = [
  [/\.conv_pw\./, '.expand_conv.conv.'],
  [/\.conv_dw\./, '.depthwise_conv.conv.'],
  [/\.conv_pwl\./, '.linear_conv.conv.'],
  [/\.se\.conv_reduce\./, '.se.conv1.conv.'],
  [/\.se\.conv_expand\./, '.se.conv2.conv.'],
];

const norms: Readonly<Record<string, readonly string[]>> = {
  expanded: ['expand_conv', 'depthwise_conv', 'linear_conv'],
  plain: ['depthwise_conv', 'linear_conv'],
  edge: ['conv1', 'conv2'],
  single: [],
};

function kindIn(names: ReadonlySet<string>, block: string): string {
  if (names.has(`${block}.conv_pwl.weight`))
    return names.has(`${block}.conv_exp.weight`) ? 'edge' : 'expanded';
  return names.has(`${block}.conv_dw.weight`) ? 'plain' : 'single';
}

/** timm's names of a block as EfficientNet of the library has them. */
const asEfficientNet =
  (names: ReadonlySet<string>) =>
  (name: string): string => {
    const [block = '', stage = '', index = ''] = /^blocks\.(\d+)\.(\d+)/.exec(name) ?? [];
    if (block === '')
      return inWords(
        [
          [/^conv_stem\./, 'layers.0.conv.'],
          [/^bn1\./, 'layers.0.bn.'],
          [/^conv_head\./, 'layers.9.conv.'],
          [/^bn2\./, 'layers.9.bn.'],
          [/^classifier\./, 'head.fc.'],
        ],
        name,
      );
    const kind = kindIn(names, block);
    const words: readonly Row[] =
      kind === 'edge'
        ? [
            [/\.conv_exp\./, '.conv1.conv.'],
            [/\.conv_pwl\./, '.conv2.conv.'],
          ]
        : kind === 'plain'
          ? [[/\.conv_pw\./, '.linear_conv.conv.'], ...inverted.slice(1)]
          : inverted;
    const rest = inWords(
      [
        [/\.bn(\d)\./, (_, unit) => `.${norms[kind]?.[Number(unit) - 1] ?? ''}.bn.`.replace('..', '.')],
        ...words,
      ],
      name.slice(block.length),
    );
    return `layers.${Number(stage) + 1}.${index}${rest}`;
  };

/** timm's names of MobileNet V2's blocks: all convolutions stand in one list. */
const asMobileNetV2 =
  (names: ReadonlySet<string>) =>
  (name: string): string => {
    const [block = '', stage = '', index = ''] = /^blocks\.(\d+)\.(\d+)/.exec(name) ?? [];
    if (block === '')
      return inWords(
        [
          [/^conv_stem\./, 'conv1.conv.'],
          [/^bn1\./, 'conv1.bn.'],
          [/^conv_head\./, 'conv2.conv.'],
          [/^bn2\./, 'conv2.bn.'],
          [/^classifier\./, 'head.fc.'],
        ],
        name,
      );
    const order = names.has(`${block}.conv_pwl.weight`) ? ['pw', 'dw', 'pwl'] : ['dw', 'pw'];
    const rest = inWords(
      [
        [/\.bn(\d)\./, (_, unit) => `.conv.${Number(unit) - 1}.bn.`],
        [/\.conv_(\w+)\./, (_, unit) => `.conv.${order.indexOf(unit)}.conv.`],
      ],
      name.slice(block.length),
    );
    return `layer${Number(stage) + 1}.${index}${rest}`;
  };

/** torchvision's names of MobileNet V3: its blocks are counted through, too. */
const asMobileNetV3 =
  (names: ReadonlySet<string>) =>
  (name: string): string => {
    const units = ['expand_conv', 'depthwise_conv', 'linear_conv'];
    const inBlock = (block: string): readonly string[] =>
      [...names].filter((each) => new RegExp(`^features\\.${block}\\.block\\.\\d+\\.0\\.weight$`).test(each));
    const wordOf = (block: string, place: string): string => {
      const found = inBlock(block);
      const index = found.findIndex((each) => each.includes(`.block.${place}.`));
      return units.slice(3 - found.length)[index] ?? assert.fail(name);
    };
    return inWords(
      [
        [
          /^features\.(\d+)\.block\.(\d+)\.([01])\./,
          (_, block, place, part) => `layer${block}.${wordOf(block, place)}.${part === '0' ? 'conv' : 'bn'}.`,
        ],
        [/^features\.(\d+)\.block\.\d+\.fc([12])\./, 'layer$1.se.conv$2.conv.'],
        [/^features\.(\d+)\.0\./, 'layer$1.conv.'],
        [/^features\.(\d+)\.1\./, 'layer$1.bn.'],
        [/^classifier\.0\./, 'head.layers.0.fc.'],
        [/^classifier\.3\./, 'head.layers.1.fc.'],
      ],
      name,
    );
  };

const renamings: Readonly<Record<string, Renaming>> = {
  BEiTViT: { id: 'beit-timm-safetensors', rows: [...plainRows, [/^head\./, 'head.fc.']] },
  'BEiTViT without tables (EVA)': {
    id: 'eva-giant-timm-safetensors',
    rows: [...plainRows, [/^head\./, 'head.fc.']],
  },
  DistilledVisionTransformer: {
    id: 'deit-distilled-timm-safetensors',
    rows: [...plainRows, [/^(head|head_dist)\./, 'head.layers.$1.']],
  },
  ViTSAM: { id: 'samvit-timm-safetensors', rows: [...plainRows, [/^neck\./, 'channel_reduction.']] },
  ConvNeXt: { id: 'convnext-timm-hub-safetensors', rows: convnextRows },
  'ConvNeXt V2': { id: 'convnextv2-timm-safetensors', rows: convnextRows },
  EdgeNeXt: {
    id: 'edgenext-timm-hub-safetensors',
    rows: [
      ...convnextRows,
      [/\.convs\./, '.conv_modules.'],
      [/\.pos_embd\.token_projection\./, '.pos_embed.proj.'],
      [/\.(gamma|norm)_xca/, '.$1_csa'],
      [/\.xca\.temperature$/, '.csa.scale'],
      [/\.xca\./, '.csa.'],
    ],
  },
  'ResNetV1d, a stem of three convolutions': {
    id: 'resnet-d-timm-safetensors',
    rows: [
      [/^bn1\./, 'stem.2.bn.'],
      [/^conv1\.([036])\./, (_, place) => `stem.${Number(place) / 3}.conv.`],
      [/^conv1\.([14])\./, (_, place) => `stem.${(Number(place) - 1) / 3}.bn.`],
      [/^fc\./, 'head.fc.'],
    ],
  },
  SEResNet: {
    id: 'seresnet-timm-safetensors',
    rows: [
      [/\.se\.fc([12])\./, '.se_layer.conv$1.conv.'],
      [/^fc\./, 'head.fc.'],
    ],
  },
  RegNet: {
    id: 'regnetx-transformers-safetensors',
    rows: [
      [/^regnet\./, ''],
      [/^embedder\.embedder\.convolution\./, 'conv1.'],
      [/^embedder\.embedder\.normalization\./, 'bn1.'],
      [/^encoder\.stages\.(\d+)\.layers\./, (_, stage) => `layer${Number(stage) + 1}.`],
      [/\.layer\.(\d)\.convolution\./, (_, unit) => `.conv${Number(unit) + 1}.`],
      [/\.layer\.(\d)\.normalization\./, (_, unit) => `.bn${Number(unit) + 1}.`],
      [/\.shortcut\.convolution\./, '.downsample.0.'],
      [/\.shortcut\.normalization\./, '.downsample.1.'],
      [/^classifier\.1\./, 'head.fc.'],
    ],
  },
  DenseNet: {
    id: 'densenet-timm-safetensors',
    rows: [
      [/^features\.norm5\./, 'transitions.3.0.'],
      [/^features\.conv0\./, 'stem.0.'],
      [/^features\.norm0\./, 'stem.1.'],
      [
        /^features\.denseblock(\d+)\.denselayer(\d+)\./,
        (_, stage, layer) => `stages.${Number(stage) - 1}.block.${Number(layer) - 1}.`,
      ],
      [/^features\.transition(\d+)\./, (_, stage) => `transitions.${Number(stage) - 1}.`],
      [/^classifier\./, 'head.fc.'],
    ],
  },
  MViT: {
    id: 'mvitv2-original-pth',
    rows: [
      [/^patch_embed\.proj\./, 'patch_embed.projection.'],
      [/^norm\./, 'norm3.'],
      [/^head\.projection\./, 'head.fc.'],
    ],
  },
  TinyViT: {
    id: 'tiny-vit-original-pth',
    rows: [
      [/^layers\./, 'stages.'],
      [/\.c\./, '.conv2d.'],
      [/\.bn\./, '.bn2d.'],
      [/^norm_head\./, 'norm3.'],
      [/^head\./, 'head.fc.'],
    ],
  },
  PoolFormer: {
    id: 'poolformer-original-pth',
    dialect: 'poolformer',
    rows: [
      [/^norm\./, 'norm6.'],
      [/^head\./, 'head.fc.'],
    ],
  },
};

const inBackbone = (name: string): string => (name.startsWith('head.') ? name : `backbone.${name}`);

describe('the names of OpenMMLab’s mmpretrain', () => {
  for (const [title, { id, rows, dialect = 'mmpretrain' }] of Object.entries(renamings))
    it(`${title}: every parameter is the one that the golden case has it for`, async () => {
      const found = await areTheSame(id, dialect, (name) => inBackbone(inWords(rows, name)));
      assert.ok(found.translation!.parameters.size > 10);
    });

  for (const [title, id, renaming] of [
    ['EfficientNet', 'efficientnet-timm-safetensors', asEfficientNet],
    ['EfficientNet V2', 'efficientnetv2-timm-safetensors', asEfficientNet],
    ['MobileNet V2', 'mobilenetv2-timm-safetensors', asMobileNetV2],
    ['MobileNet V3 Large', 'mobilenetv3-large-torchvision-pth', asMobileNetV3],
    ['MobileNet V3 Small', 'mobilenetv3-small-torchvision-pth', asMobileNetV3],
  ] as const)
    it(`${title}: every parameter is the one that the golden case has it for`, async () => {
      const { selected } = await opened(id);
      const rename = renaming(new Set(selected.tensors.map(({ name }) => name)));
      await areTheSame(id, 'mmpretrain', (name) => inBackbone(rename(name)));
    });

  it('VGG: modules of convolution and activation are listed where torchvision lists both', async () => {
    const { selected } = await opened('vgg-torchvision-pth');
    const places = selected.tensors.flatMap(({ name, shape }) =>
      shape.length === 4 ? [Number(/^features\.(\d+)/.exec(name)?.[1])] : [],
    );
    const entryOf = (place: number): string => {
      const index = places.findLastIndex((convolution) => convolution <= place);
      const part = places[index] === place ? 'conv' : 'bn';
      // Norm and activation take a place each.
      return `features.${(places[index] ?? 0) - 2 * index}.${part}.`;
    };
    assert.ok(selected.tensors.some(({ name }) => name === 'features.1.running_mean'));
    await areTheSame('vgg-torchvision-pth', 'mmpretrain', (name) =>
      inBackbone(name.replace(/^features\.(\d+)\./, (_, place) => entryOf(Number(place)))),
    );
  });

  it('EfficientNets are padded as TensorFlow does it, with the norms’ ε of the library', async () => {
    const file = await opened('efficientnet-timm-safetensors');
    const rename = asEfficientNet(new Set(file.selected.tensors.map(({ name }) => name)));
    const { evidence } = known(renamed(file, (name) => inBackbone(rename(name))));
    assert.deepEqual([evidence['padding']?.value, evidence['padding']?.assumed], ['same', false]);
    assert.equal(evidence['eps']?.value, 0.001);
  });

  it('norms behind the earlier stages of a detector’s backbone are not read', async () => {
    const file = await opened('convnext-timm-hub-safetensors');
    const own = renamed(file, (name) => inBackbone(inWords(convnextRows, name)));
    const [first] = own.selected.tensors;
    const earlier = ['weight', 'bias'].map((part) => ({
      ...first!,
      name: `backbone.norm0.${part}`,
      shape: [8],
      storage: { kind: 'inline', bytes: new Uint8Array() } as const,
    }));
    const tensors = [...own.selected.tensors, ...earlier];
    const withNorm = { ...own, selected: { ...own.selected, tensors } };
    const [plain, more] = [known(own), known(withNorm)];
    assert.deepEqual(more.evidence['depth'], plain.evidence['depth']);
    const counts = [countParameters(own, plain), countParameters(withNorm, more)].map(({ params }) => params);
    assert.equal(counts[1], counts[0]! + 16);
  });
});
