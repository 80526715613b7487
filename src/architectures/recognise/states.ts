import { elementCount } from '../../checkpoint/tensors';
import { oncePer } from '../../domain/once';
import type { Member } from '../networks/networks';

/** Attributes that torchmetrics 1.8 and torch's averaged models add as states. */
const stateNames =
  /(?:^|\.)(?:tp|fp|tn|fn|confmat|preds|target|total|correct|value|mean_value|max_value|min_value|sum_value|update_count|n_averaged|num_updates|step|steps|epoch|center|centers?|queue|queue_ptr|measure_\w+|sum_\w+|num_(?:samples|examples|obs|observations|batches)\w*|(?:real|fake)_features\w*)$/;

/** What images are normalised with: of OpenMMLab's trainers, detectron2 and SAM, and own models. */
const normalisation =
  /(?:^|\.)(?:(?:pixel|img|image|imagenet|norm|rgb)_(?:mean|std)|(?:data_preprocessor|normali[sz]er?|normali[sz]ation|norm_layer|preprocess(?:or|ing)?|transforms?)\.(?:\w+\.)*_?(?:mean|std))$/i;

/** Modules that measure or weigh what a model says. */
const measuringModules =
  /(?:^|[._])(?:metrics?|acc(?:uracy)?|auroc|auc|f1|precision|recall|confmat|confusion\w*|iou|jaccard|criterion|loss(?:_fn|es)?|\w+_(?:loss|metrics?|acc|accuracy|auroc|f1))(?:[._]|$)/i;

/**
 * Tensors that are states of training or of a metric, which nothing learns, among the members of a
 * network: by what they are called, in modules none of which has a layer's weight.
 */
export const trainingStates = oncePer((members: readonly Member[]): ReadonlySet<Member> => {
  const states = members.filter(isState);
  const layered = new Set(states.length > 0 ? members.filter(isLayer).map(moduleAtTop) : []);
  const unlayered = states.filter((member) => !layered.has(moduleAtTop(member)));
  return new Set([...unlayered, ...imageNorms(members)]);
});

/** Channels that images have at most. */
const mostChannels = 16;

const isPerChannel = ({ tensor: { shape } }: Member): boolean =>
  elementCount(shape) <= mostChannels && shape.filter((side) => side > 1).length < 2;

/**
 * Means and deviations that a model normalises its images with: by their names, or the two alone in
 * a module, with a number for each channel.
 */
export const imageNorms = oncePer((members: readonly Member[]): readonly Member[] => {
  const alone = pairsOf(members);
  return members.filter((member) => alone.has(member) || normalisation.test(member.name));
});

const isMeanOrStd = ({ name }: Member): boolean => /(?:^|\.)(?:mean|std)$/.test(name);

/**
 * Means and deviations that are all that their modules hold themselves of as many numbers, one for
 * each channel.
 */
function pairsOf(members: readonly Member[]): ReadonlySet<Member> {
  const named = members.filter((member) => isMeanOrStd(member) && isPerChannel(member));
  const held = new Map<string, Member[]>(named.map((member) => [keyOf(member), []]));
  if (held.size > 0)
    for (const member of members) if (isPerChannel(member)) held.get(keyOf(member))?.push(member);
  const isPair = (own: readonly Member[]): boolean =>
    own.length === 2 && ['mean', 'std'].every((word) => own.some(({ name }) => leafOf(name) === word));
  return new Set([...held.values()].filter(isPair).flat());
}

/** The module that a tensor lies in, and its number of elements. */
const keyOf = ({ tensor: { name, shape } }: Member): string =>
  `${name.slice(0, name.lastIndexOf('.') + 1)} ${elementCount(shape)}`;

const leafOf = (name: string): string => name.slice(name.lastIndexOf('.') + 1);

/** A mean and a deviation by which a layer normalises images. */
export interface ImageNormPair {
  readonly mean: Member;
  readonly std: Member;
}

/** Names of frameworks whose preprocessing is no layer of the network: it is of bytes. */
const ofFramework = /(?:^|\.)(?:data_preprocessor\.|pixel_(?:mean|std)$)|un_?norm|de_?norm/i;

/**
 * The layer of the network's own that normalises its images: the only mean and deviation among its
 * members, of as many numbers as it has channels.
 */
export function imageNormOf(members: readonly Member[], channels: number): ImageNormPair | undefined {
  const norms = imageNorms(members);
  const [mean, std] = ['mean', 'std'].map((word) => norms.find(({ name }) => name.endsWith(word)));
  if (norms.length !== 2 || !mean || !std || norms.some(({ tensor }) => ofFramework.test(tensor.name)))
    return undefined;
  const isWhole = ({ tensor }: Member): boolean => elementCount(tensor.shape) === channels;
  return isWhole(mean) && isWhole(std) ? { mean, std } : undefined;
}

const moduleAtTop = ({ name }: Member): string => name.replace(/\..*$/s, '');

const isLayer = ({ name, tensor }: Member): boolean =>
  /(?:^|\.)(?:weight|kernel|W)$/.test(name) && tensor.shape.length > 1;

function isState({ name, tensor }: Member): boolean {
  const holder = name.slice(0, name.lastIndexOf('.') + 1);
  return (
    stateNames.test(name) ||
    normalisation.test(name) ||
    (measuringModules.test(holder) && !learnedScale.test(name)) ||
    isUnheldNumber(name, tensor.shape)
  );
}

/** Scales that contrastive models, or their losses (OneFormer), learn. */
const learnedScale = /(?:^|[._])(?:logit_scale|logit_bias|temperature|gamma|alpha|beta)$/;

/** A single number of a module of its own, but for learned scales. */
const isUnheldNumber = (name: string, shape: readonly number[]): boolean =>
  shape.length === 0 && !learnedScale.test(name);
