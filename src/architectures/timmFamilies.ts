import { configuredArchitecture } from './config';
import { ConfigError } from './configKeys';
import type { Found } from './family';

/** Families that timm's plain transformers are read as. */
const plain = 'vit eva vit-hybrid vit-relpos naflexvit sam vitdet clip siglip'.split(' ');

/**
 * Words that timm 1.0.31's names of architectures begin with (`list_models`), and the families that
 * read those models: the longer word before the shorter. Names that begin otherwise say nothing.
 */
const words: readonly (readonly [name: RegExp, families: readonly string[]])[] = [
  [/^(?:vit|deit3?|flexivit|naflexvit|eva|eva02|aimv2|beit3|samvit)_/, plain],
  [/^beit(?:v2)?_/, ['beit']],
  [/^(?:se|eca|ecase|wide_)?res(?:ne[tx]t?)(?:aa|blur|rs|light)?_?\d|^senet\d/, ['resnet']],
  [/^resnetv2_/, ['bit']],
  [/^swinv2_cr_/, ['swinv2_cr']],
  [/^swinv2_/, ['swinv2']],
  [/^swin_/, ['swin']],
  [/^convnext(?:v2)?_/, ['convnext']],
  [/^(?:tf_)?(?:efficientnet|mixnet|mobilenetv[23])|^(?:mnasnet|semnasnet|tinynet|fbnet)/, ['efficientnet']],
  [/^densenet/, ['densenet']],
  [/^vgg\d/, ['vgg']],
  [/^regnet[xy]_/, ['regnet']],
  [/^cait_/, ['cait']],
  [/^coat_/, ['coat']],
  [/^convit_/, ['convit']],
  [/^crossvit_/, ['crossvit']],
  [/^davit_/, ['davit']],
  [/^edgenext_/, ['edgenext']],
  [/^efficientformer(?:v2)?_/, ['efficientformer']],
  [/^efficientvit_(?:b|l)\d/, ['efficientvit_mit']],
  [/^efficientvit_m\d/, ['efficientvit_msra']],
  [/^fastvit_/, ['fastvit']],
  [/^focalnet_/, ['focalnet']],
  [/^gcvit_/, ['gcvit']],
  [/^hiera_/, ['hiera']],
  [/^inception_next_/, ['inceptionnext']],
  [/^levit_/, ['levit']],
  [/^mambaout_/, ['mambaout']],
  [/^(?:coatnet|coatnext|maxvit|maxxvit|maxxvitv2)_/, ['maxvit']],
  [/^(?:caformer|convformer|poolformer|poolformerv2)_/, ['metaformer']],
  [/^(?:gmixer|gmlp|mixer|resmlp)_/, ['mixer']],
  [/^mobilevit(?:v2)?_/, ['mobilevit']],
  [/^mvitv2_/, ['mvitv2']],
  [/^nest_/, ['nest']],
  [/^pit_/, ['pit']],
  [/^pvt_v2_/, ['pvt_v2', 'segformer']],
  [/^starnet_/, ['starnet']],
  [/^tiny_vit_/, ['tiny_vit']],
  [/^tnt_/, ['tnt']],
  [/^twins_/, ['twins']],
  [/^visformer_/, ['visformer']],
  [/^vitamin_/, ['vitamin']],
  [/^volo_/, ['volo']],
  [/^xcit_/, ['xcit']],
];

const isNamed = (family: string): boolean => words.some(([, families]) => families.includes(family));

/**
 * Throws `ConfigError` if config.json names an architecture of timm's that another family reads
 * than the weights' names are of.
 */
export function requireNamedFamily(found: Found, family: string, title: string): void {
  const architecture = configuredArchitecture(found.checkpoint);
  const said = words.find(([name]) => name.test(architecture ?? ''))?.[1];
  if (!said || said.includes(family) || !isNamed(family)) return;
  throw new ConfigError(
    `config.json: architecture is ${architecture}, and the names are those of ${title}, which is another family`,
  );
}
