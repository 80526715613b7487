import { elementCount } from '../../checkpoint/tensors';
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
export function trainingStates(members: readonly Member[]): ReadonlySet<Member> {
  const layered = new Set(members.filter(isLayer).map(moduleAtTop));
  const states = members.filter((member) => !layered.has(moduleAtTop(member)) && isState(member));
  return new Set([...states, ...imageNorms(members)]);
}

/** Channels that images have at most. */
const mostChannels = 16;

const isPerChannel = ({ tensor: { shape } }: Member): boolean =>
  elementCount(shape) <= mostChannels && shape.filter((side) => side > 1).length < 2;

/**
 * Means and deviations that a model normalises its images with: by their names, or the two alone in
 * a module, with a number for each channel.
 */
export function imageNorms(members: readonly Member[]): readonly Member[] {
  const pairs = new Map<string, Member[]>();
  for (const member of members) {
    const module = member.name.slice(0, member.name.lastIndexOf('.') + 1);
    pairs.set(module, [...(pairs.get(module) ?? []), member]);
  }
  const isPair = (own: readonly Member[]): boolean =>
    own.length === 2 &&
    own.every(isPerChannel) &&
    ['mean', 'std'].every((word) => own.some(({ name }) => /[^.]*$/.exec(name)?.[0] === word));
  const alone = new Set([...pairs.values()].filter(isPair).flat());
  return members.filter((member) => alone.has(member) || normalisation.test(member.name));
}

const moduleAtTop = ({ name }: Member): string => name.replace(/\..*$/s, '');

const isLayer = ({ name, tensor }: Member): boolean =>
  /(?:^|\.)(?:weight|kernel|W)$/.test(name) && tensor.shape.length > 1;

function isState({ name, tensor }: Member): boolean {
  const holder = name.slice(0, name.lastIndexOf('.') + 1);
  return (
    stateNames.test(name) ||
    normalisation.test(name) ||
    measuringModules.test(holder) ||
    isUnheldNumber(name, tensor.shape)
  );
}

/** A single number of a module of its own, but for the scales that contrastive models learn. */
const isUnheldNumber = (name: string, shape: readonly number[]): boolean =>
  shape.length === 0 && !/(?:^|[._])(?:logit_scale|logit_bias|temperature|gamma|alpha|beta)$/.test(name);
