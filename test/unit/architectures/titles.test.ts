import assert from 'node:assert/strict';
import { recognise } from '../../../src/architectures/recognise/recognise';
import { sizeOf, sizeTitle } from '../../../src/architectures/sizes';
import { checkpointOf, ownFolder, readLines, type Line } from '../../oracles/lines';

/** What the papers call published models, and timm its own. */
const titles = {
  'original/beit/beit_base_patch16_224_pt22k_ft22kto1k': 'BEiT-B/16',
  'transformers/facebook/data2vec-vision-large-ft1k+buffers': 'Data2Vec-L/16',
  'timm/beit3_base_patch16_224.indomain_pt': 'BEiT-3-B/16',
  'timm/cait_xxs36_384': 'CaiT-XXS36',
  'timm/cait_m48_448': 'CaiT-M48',
  'transformers/laion/CLIP-ViT-H-14-laion2B-s32B-b79K': 'CLIP ViT-H/14',
  'transformers/laion/CLIP-ViT-bigG-14-laion2B-39B-b160k': 'CLIP ViT-bigG/14',
  'torchvision/regnet_y_16gf': 'RegNetY-16GF',
  'timm/resnet101': 'ResNet-101',
  'timm/seresnet50.a3_in1k': 'SE-ResNet-50',
  'timm/resnetv2_50x1_bit': 'BiT ResNet-50×1',
  'torchvision/densenet121': 'DenseNet-121',
  'torchvision/vgg16': 'VGG-16',
  'timm/convnext_base': 'ConvNeXt-B',
  'transformers/facebook/convnextv2-tiny-1k-224': 'ConvNeXt V2-T',
  'timm/efficientnet_b0': 'EfficientNet-B0',
  'transformers/google/mobilenet_v2_1.0_224': 'MobileNet V2',
  'timm/mobilenetv3_small_100': 'MobileNet V3 Small',
  'timm/coat_tiny': 'CoaT-Tiny',
  'timm/coat_small': 'CoaT-Small',
  'timm/coat_lite_medium': 'CoaT-Lite-Medium',
  'original/convit/convit_tiny': 'ConViT-Ti',
  'timm/convit_base': 'ConViT-B',
  'timm/crossvit_9_dagger_240': 'CrossViT-9†',
  'timm/crossvit_18_240': 'CrossViT-18',
  'timm/crossvit_tiny_240': 'CrossViT-Ti',
  'transformers/microsoft/cvt-21': 'CvT-21',
  'original/cvt/CvT-w24-384x384-IN-22k': 'CvT-W24',
  'timm/davit_small': 'DaViT-S',
  'timm/davit_huge': 'DaViT-H',
  'timm/edgenext_xx_small': 'EdgeNeXt-XXS',
  'timm/edgenext_small': 'EdgeNeXt-S',
  'timm/edgenext_base': 'EdgeNeXt-B',
  'timm/efficientformer_l1': 'EfficientFormer-L1',
  'timm/efficientformer_l3': 'EfficientFormer-L3',
  'timm/efficientformerv2_s2': 'EfficientFormerV2-S2',
  'timm/efficientformerv2_l': 'EfficientFormerV2-L',
  'timm/efficientvit_b1.r256_in1k': 'EfficientViT-B1',
  'timm/efficientvit_b3.r288_in1k': 'EfficientViT-B3',
  'timm/efficientvit_l2': 'EfficientViT-L2',
  'timm/efficientvit_m1': 'EfficientViT-M1',
  'timm/efficientvit_m4': 'EfficientViT-M4',
  'timm/efficientvit_m5': 'EfficientViT-M5',
  'timm/eva02_enormous_patch14_clip_224': 'EVA-02-CLIP-E/14',
  'timm/eva_giant_patch14_336': 'EVA-g/14',
  'timm/eva02_tiny_patch14_336': 'EVA-02-Ti/14',
  'timm/vit_pe_lang_large_patch14_448#1000': 'Perception Encoder ViT-L/14',
  'timm/vit_pe_spatial_gigantic_patch14_448': 'Perception Encoder ViT-G/14',
  'timm/vit_large_patch16_sapiens2': 'Sapiens2-0.4B/16',
  'transformers/facebook/dinov3-vits16plus-pretrain-lvd1689m': 'DINOv3 ViT-S+/16',
  'transformers/facebook/dinov3-vits16-pretrain-lvd1689m': 'DINOv3 ViT-S/16',
  'transformers/facebook/dinov3-vith16plus-pretrain-lvd1689m': 'DINOv3 ViT-H+/16',
  'transformers/facebook/dinov3-vit7b16-pretrain-lvd1689m': 'DINOv3 ViT-7B/16',
  'timm/fastvit_t8': 'FastViT-T8',
  'timm/fastvit_t12': 'FastViT-T12',
  'timm/fastvit_s12#features': 'FastViT-S12',
  'timm/fastvit_sa12@384': 'FastViT-SA12',
  'timm/fastvit_ma36': 'FastViT-MA36',
  'timm/fastvit_mci1': 'FastViT-MCi1',
  'transformers/microsoft/focalnet-tiny': 'FocalNet-T (SRF)',
  'transformers/microsoft/focalnet-base-lrf': 'FocalNet-B (LRF)',
  'timm/hiera_base_plus_224': 'Hiera-B+',
  'transformers/facebook/hiera-large-224-in1k-hf': 'Hiera-L',
  'timm/sam2_hiera_tiny': 'SAM 2 Hiera-T',
  'timm/levit_128s': 'LeViT-128S distilled',
  'transformers/facebook/levit-128': 'LeViT-128 distilled',
  'timm/levit_512d': 'LeViT-512D',
  'timm/levit_384_s8': 'LeViT-384 distilled, stem of stride 8',
  'torchvision/maxvit_t': 'MaxViT-T',
  'timm/coatnet_0_224': 'CoAtNet-0',
  'timm/coatnet_4_224': 'CoAtNet-4',
  'timm/test_coatnet': 'CoAtNet with 1 + 1 + 2 + 1 blocks, width 32',
  'timm/poolformer_m48': 'PoolFormer-M48',
  'timm/caformer_b36': 'CAFormer-B36',
  'timm/mobilevit_xxs': 'MobileViT-XXS',
  'timm/mobilevitv2_075': 'MobileViTv2-0.75',
  'timm/mvitv2_tiny': 'MViTv2-T',
  'timm/mvitv2_huge_cls': 'MViTv2-H',
  'timm/naflexvit_base_patch16_siglip': 'NaFlexViT-B/16',
  'timm/naflexvit_so400m_patch16_siglip': 'NaFlexViT-SO400M/16',
  'timm/nest_small': 'NesT-S',
  'timm/nest_base': 'NesT-B',
  'timm/pit_xs_224': 'PiT-XS',
  'timm/pit_ti_distilled_224': 'PiT-Ti distilled',
  'original/pvt/pvt_medium': 'PVT-Medium',
  'original/pvt/pvt_v2_b5': 'PVT v2-B5',
  'transformers/OpenGVLab/pvt_v2_b2_linear': 'PVT v2-B2-Li',
  'original/sam/sam_vit_h': 'SAM ViT-H/16',
  'transformers/nvidia/mit-b0': 'MiT-B0',
  'transformers/google/siglip-so400m-patch14-384': 'SigLIP ViT-SO400M/14',
  'torchvision/swin_t': 'Swin-T, window 7',
  'timm/swin_s3_tiny_224': 'Swin-S3-T',
  'timm/swin_s3_base_224': 'Swin-S3-B',
  'torchvision/swin_v2_b': 'Swin V2-B, window 8',
  'timm/swinv2_large_window12to24_192to384': 'Swin V2-L',
  'timm/swinv2_cr_giant_384': 'Swin V2 CR-G',
  'timm/tiny_vit_5m_224': 'TinyViT-5M',
  'timm/tiny_vit_11m_224.dist_in22k_ft_in1k': 'TinyViT-11M',
  'timm/tiny_vit_21m_384': 'TinyViT-21M',
  'timm/tnt_s_patch16_224': 'TNT-S',
  'timm/tnt_b_patch16_224': 'TNT-B',
  'timm/twins_pcpvt_large': 'Twins-PCPVT-L',
  'timm/twins_svt_base': 'Twins-SVT-B',
  'timm/visformer_tiny': 'Visformer-Ti',
  'timm/visformer_small': 'Visformer-S',
  'original/deit/deit_small_distilled_patch16_224': 'DeiT-S/16 distilled',
  'original/dinov2/dinov2_vitg14_reg4_lc': 'DINOv2 ViT-g/14 with registers',
  'timm/aimv2_huge_patch14_224': 'AIMv2-H/14',
  'timm/aimv2_3b_patch14_448': 'AIMv2-3B/14',
  'timm/vit_base_patch16_plus_240': 'ViT-B+/16',
  'timm/vit_small_patch16_18x2_224': 'ViT-S-18×2/16 with parallel blocks',
  'timm/vit_mediumd_patch16_reg4_gap_256': 'ViT-MediumD/16 with registers',
  'timm/test_vit': 'ViT-64/16',
  'transformers/hustvl/yolos-small-dwr': 'YOLOS, ViT-330/16 backbone',
  'original/google-jax/R50+ViT-B_16-i1k': 'R50+ViT-B/16',
  'original/google-jax/R26+ViT-S_32-384-i1k': 'R26+ViT-S/32',
  'timm/vit_tiny_r_s16_p8_224': 'R+ViT-Ti/16',
  'timm/vit_relpos_medium_patch16_224': 'ViT-M/16, relative positions',
  'timm/vitamin_small_224': 'ViTamin-S',
  'timm/vitamin_xlarge_336': 'ViTamin-XL',
  'timm/volo_d3_224': 'VOLO-D3',
  'timm/volo_d5_512': 'VOLO-D5',
  'timm/xcit_nano_12_p8_224': 'XCiT-N12/8',
  'timm/xcit_large_24_p16_384': 'XCiT-L24/16',
} as const;

const lines = new Map(readLines(ownFolder).map((line) => [line.id, line]));

function titleOf(line: Line | undefined): string {
  assert(line, 'no such line');
  const recognition = recognise(checkpointOf(line), {});
  return recognition.family === null ? recognition.reason : recognition.title;
}

describe('names of models', () => {
  for (const [id, title] of Object.entries(titles))
    it(`${id} is ${title}`, () => {
      assert.equal(titleOf(lines.get(id)), title);
    });

  const sizes = { '2,2,6,2 64': 'A', '1,2,3 128,192': 'M2' };
  const layouts = [
    [[2, 2, 6, 2], [64, 128, 320, 512], 'A'],
    [[2, 2, 6, 2], [640, 1280], undefined],
    [[2, 2, 6], [64], undefined],
    [[2, 2, 6, 2, 64], [64], undefined],
    [[1, 2, 3], [128, 192, 224], 'M2'],
    [[1, 2, 3], [128, 144, 192], undefined],
    [[1, 2, 3], [128], undefined],
  ] as const;
  for (const [depths, dims, size] of layouts)
    it(`blocks ${depths.join(', ')} of widths ${dims.join(', ')} are ${size ?? 'no published size'}`, () => {
      assert.equal(sizeOf(sizes, depths, dims), size);
    });

  it('says blocks and width of a size that nobody published', () => {
    assert.equal(sizeTitle('PVT', sizes, [2, 2], [48, 96]), 'PVT with 2 + 2 blocks, width 48');
  });

  it('tells an EfficientNet-Lite by the channel weights that it has not', () => {
    const line = lines.get('timm/efficientnet_b0')!;
    const lite = { ...line, tensors: line.tensors.filter(([name]) => !name.includes('.se.')) };
    const recognition = recognise(checkpointOf(lite), {});
    assert(recognition.family !== null);
    assert.equal(recognition.title, 'EfficientNet-Lite0');
    assert.equal(recognition.evidence['activation']!.value, 'relu6');
  });

  it('calls no plain transformer by the letter of its width alone', () => {
    const line = lines.get('original/deit/deit_base_patch16_224')!;
    const short = line.tensors.filter(([name]) => !/^(?:model\.)?blocks\.(?:[6-9]|1\d)\./.test(name));
    assert.equal(short.length, line.tensors.length - 6 * 12);
    assert.equal(titleOf({ ...line, tensors: short }), 'ViT-768/16');
  });
});
