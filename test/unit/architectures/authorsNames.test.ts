import assert from 'node:assert/strict';
import { buildGraph } from '../../../src/architectures/recognise/recognise';
import type { Known } from '../../../src/architectures/family';
import type { Tensor } from '../../../src/checkpoint/tensors';
import { areTheSame, inWords, known, opened, renamed, type Row } from '../../support/renamed';

/** One code base's names of a network, as rows from a library's, applied one after the other. */
interface Authors {
  /** Golden case with the library's names that the rows are of. */
  readonly id: string;
  readonly dialect: string;
  readonly rows: readonly Row[];
  /** What stands before all names. */
  readonly prefix?: string;
  /** Tensors that timm alone has. */
  readonly without?: RegExp;
}

const authors: Readonly<Record<string, Authors>> = {
  'Florence-2': {
    id: 'davit-florence-timm-safetensors',
    dialect: 'florence2',
    prefix: 'vision_tower.',
    without: /^norm_pre\./,
    rows: [
      [/^stem\.conv/, 'convs.0.proj'],
      [/^stem\.norm/, 'convs.0.norm'],
      [/^stages\.(\d+)\.downsample\.conv/, 'convs.$1.proj'],
      [/^stages\.(\d+)\.downsample\.norm/, 'convs.$1.norm'],
      [/^stages\.(\d+)\.blocks/, 'blocks.$1'],
      [/spatial_block\.norm1/, 'spatial_block.window_attn.norm'],
      [/spatial_block\.attn/, 'spatial_block.window_attn.fn'],
      [/channel_block\.norm1/, 'channel_block.channel_attn.norm'],
      [/channel_block\.attn/, 'channel_block.channel_attn.fn'],
      [/\.norm2/, '.ffn.norm'],
      [/\.mlp/, '.ffn.fn.net'],
      [/\.cpe([12])\.proj/, '.conv$1.fn.dw'],
    ],
  },
  'DenseNet before 2018': {
    id: 'densenet-timm-safetensors',
    dialect: 'torchvision',
    rows: [[/(denselayer\d+\.(?:norm|conv))(\d)/, '$1.$2']],
  },
  'MobileCLIP-B': {
    id: 'hybrid-mci-timm-safetensors',
    dialect: 'mobileclip',
    prefix: 'image_encoder.model.',
    rows: [
      [/^blocks/, 'transformer'],
      [/^pos_embed$/, 'pos_embed.pos_embed.pos_embed'],
      [/^norm\./, 'post_transformer_norm.'],
      [/^patch_embed\.backbone\.(\d+)\.conv/, 'patch_emb.$1.block.conv'],
      [/^patch_embed\.backbone\.(\d+)\.bn/, 'patch_emb.$1.block.norm'],
      [/\.norm1/, '.pre_norm_mha.0'],
      [/\.attn\.qkv/, '.pre_norm_mha.1.qkv_proj'],
      [/\.attn\.proj/, '.pre_norm_mha.1.out_proj'],
      [/\.norm2/, '.pre_norm_ffn.0'],
      [/\.mlp\.fc1/, '.pre_norm_ffn.1'],
      [/\.mlp\.fc2/, '.pre_norm_ffn.4'],
      [/^head\./, 'classifier.'],
    ],
  },
  TNT: {
    id: 'tnt-timm-safetensors',
    dialect: 'tnt',
    rows: [
      [/^patch_pos/, 'outer_pos'],
      [/^pixel_pos/, 'inner_pos'],
      [/^pixel_embed/, 'patch_embed'],
      [/norm([12])_proj/, 'proj_norm$1'],
      [/\.mlp\./, '.outer_mlp.'],
      [/norm_mlp_in/, 'inner_norm2'],
      [/norm_in/, 'inner_norm1'],
      [/attn_in/, 'inner_attn'],
      [/mlp_in/, 'inner_mlp'],
      [/norm_out/, 'outer_norm1'],
      [/norm_mlp/, 'outer_norm2'],
      [/attn_out/, 'outer_attn'],
    ],
  },
  SEER: {
    id: 'regnet-torchvision-pth',
    dialect: 'classy-vision',
    rows: [
      [/^stem/, '_feature_blocks.conv1.stem'],
      [/^trunk_output\.block(\d)/, '_feature_blocks.res$1'],
      [/proj\.0/, 'proj'],
      [/proj\.1/, 'bn'],
      [/f\.c\.0/, 'f.c'],
      [/f\.c\.1/, 'f.final_bn'],
      [/se\.fc1/, 'se.excitation.0'],
      [/se\.fc2/, 'se.excitation.2'],
      [/^fc\./, '0.clf.0.'],
    ],
  },
  AIMv2: {
    id: 'vit-aimv2-timm-hub-safetensors',
    dialect: 'aimv2',
    rows: [
      [/^patch_embed/, 'preprocessor.patchifier'],
      [/^pos_embed/, 'preprocessor.pos_embed'],
      [/^norm\./, 'trunk.post_trunk_norm.'],
      [/^blocks/, 'trunk.blocks'],
      [/norm([12])\./, 'norm_$1.'],
      [/fc1_g/, 'fc1'],
      [/fc1_x/, 'fc3'],
    ],
  },
};

/**
 * FastViT's authors keep stages, what lies before them and positions in one list, whose numbers
 * follow from which of them there are.
 */
function inOneList(names: readonly string[]): (name: string) => string {
  const places = [
    ...new Set(names.flatMap((name) => /^stages\.\d+\.(?:downsample|pos_emb|blocks)/.exec(name)?.[0] ?? [])),
  ];
  const order = ['downsample', 'pos_emb', 'blocks'];
  const rank = (place: string): number =>
    Number(place.split('.')[1]) * 3 + order.indexOf(place.split('.')[2]!);
  const numbered = new Map(
    places.toSorted((a, b) => rank(a) - rank(b)).map((place, index) => [place, `network.${index}`]),
  );
  const words: readonly Row[] = [
    [/^stem/, 'patch_embed'],
    [/conv_kxk/, 'rbr_conv'],
    [/conv_scale/, 'rbr_scale'],
    [/\.identity\./, '.rbr_skip.'],
    [/^final_conv/, 'conv_exp'],
    [/large_conv/, 'lkb_origin'],
    [/\.mlp\./, '.convffn.'],
    [/se\.fc1/, 'se.reduce'],
    [/se\.fc2/, 'se.expand'],
    [/\.gamma$/, ''],
    [/\.pos_enc\./, '.pe.'],
    [/^head\.fc/, 'head'],
  ];
  return (name) => {
    const place = places.find((each) => name.startsWith(`${each}.`)) ?? '';
    return inWords(words, (numbered.get(place) ?? '') + name.slice(place.length));
  };
}

describe('the names of networks in their authors’ repositories', () => {
  for (const [title, { id, dialect, rows, prefix = '', without }] of Object.entries(authors))
    it(`${title}: every parameter is the one that timm has it for`, () =>
      areTheSame(id, dialect, (name) => prefix + inWords(rows, name), without).then((found) =>
        assert.ok(found.translation!.parameters.size > 10),
      ));

  for (const id of ['fastvit-t', 'fastvit-sa', 'fastvit-mci', 'fastvit-fused'].map(
    (kind) => `${kind}-timm-hub-safetensors`,
  ))
    it(`${id}: one list of stages and what lies between`, async () => {
      const { selected } = await opened(id);
      await areTheSame(id, 'fastvit', inOneList(selected.tensors.map(({ name }) => name)));
    });

  it('BEiT-3: the expert of images runs, that of words counts; two rows of positions are padding', async () => {
    const timm = await opened('vit-beit3-timm-hub-safetensors');
    const rows: readonly Row[] = [
      [/^blocks\.(\d+)\.attn\.proj/, 'beit3.encoder.layers.$1.self_attn.out_proj.A'],
      [/^blocks\.(\d+)\.attn\.norm/, 'beit3.encoder.layers.$1.self_attn.inner_attn_ln.A'],
      [/^blocks\.(\d+)\.mlp\.norm/, 'beit3.encoder.layers.$1.ffn.A.ffn_layernorm'],
      [/^blocks\.(\d+)\.mlp\.(fc\d)/, 'beit3.encoder.layers.$1.ffn.A.$2'],
      [/^blocks\.(\d+)\.norm1/, 'beit3.encoder.layers.$1.self_attn_layer_norm.A'],
      [/^blocks\.(\d+)\.norm2/, 'beit3.encoder.layers.$1.final_layer_norm.A'],
      [/^patch_embed/, 'beit3.vision_embed'],
      [/^cls_token/, 'beit3.vision_embed.cls_token'],
      [/^pos_embed/, 'beit3.encoder.embed_positions.A.weight'],
    ];
    const apart = (tensor: Tensor): readonly Tensor[] => {
      const { name, shape } = tensor;
      const [, layer, leaf] = /^blocks\.(\d+)\.attn\.qkv\.(weight|bias)$/.exec(name) ?? [];
      if (layer !== undefined)
        return ['q', 'k', 'v'].map((each) => ({
          ...tensor,
          name: `beit3.encoder.layers.${layer}.self_attn.${each}_proj.A.${leaf}`,
          shape: [shape[0]! / 3, ...shape.slice(1)],
        }));
      const padded = name === 'pos_embed' ? [shape[1]! + 2, shape[2]!] : shape;
      return [{ ...tensor, name: inWords(rows, name), shape: padded }];
    };
    const words = { name: 'beit3.encoder.layers.0.ffn.B.fc1.weight', shape: [7, 3] };
    const [first] = timm.selected.tensors;
    const tensors = [...timm.selected.tensors.flatMap(apart), { ...first!, ...words }];
    const own = { ...timm, selected: { ...timm.selected, tensors } };
    const found = known(own);
    assert.equal(found.dialect, 'beit3');
    const table = found.translation!.parameters.get('pos_embed')!;
    const { shape } = timm.selected.tensors.find(({ name }) => name === 'pos_embed')!;
    assert.deepEqual([table.shape, table.view.first], [shape, 2 * shape[2]!]);
    const { used } = buildGraph(own, found);
    assert.deepEqual(
      tensors.map(({ name }) => name).filter((name) => !used.has(name)),
      [words.name],
    );
    assert.match(found.warnings.join(), /not run: beit3\.encoder\.layers\.0\.ffn\.B/);
  });

  it('reads a flattened patch embedding of timm’s first models channel by channel', async () => {
    const timm = await opened('vit-timm-safetensors');
    const flat = timm.selected.tensors.map((tensor) =>
      tensor.name === 'patch_embed.proj.weight'
        ? { ...tensor, shape: [tensor.shape[0]!, tensor.shape.slice(1).reduce((a, b) => a * b)] }
        : tensor,
    );
    const [expected, found] = [
      known(timm),
      known({ ...timm, selected: { ...timm.selected, tensors: flat } }),
    ];
    const kernel = (of: Known) => of.translation!.parameters.get('patch_embed.proj.weight')!.shape;
    assert.deepEqual(kernel(found), kernel(expected));
    assert.equal(found.evidence['patch']?.assumed, true);
  });

  it('takes the temperature of Swin V2-CR for what it is', async () => {
    const rename = (name: string): string => name.replace(/logit_scale$/, 'tau').replace(/^head\.fc/, 'head');
    const own = renamed(await opened('swinv2-cr-ns-timm-safetensors'), rename);
    const { graph } = buildGraph(own, known(own));
    const scales = graph.nodes.filter(
      ({ op, inputs }) => op === 'Div' && inputs.some((name) => /scalar/.test(name)),
    );
    const tables = own.selected.tensors.filter(({ name }) => name.endsWith('.tau'));
    assert.equal(scales.length, tables.length);
  });
});
