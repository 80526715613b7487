import type { Checkpoint } from '../../checkpoint/checkpoint';
import { elementCount, type Derivation, type StateDict, type Tensor } from '../../checkpoint/tensors';
import { rankOf } from '../../checkpoint/unwrap';
import { parentOf, pathsOf } from '../../checkpoint/moduleNames';
import { last } from '../../domain/lists';
import { formatExact } from '../../domain/units';
import type { ParameterView } from '../../graph/builder';
import { valueOf } from '../../graph/graph';
import { bareName, whole } from '../dialect';
import { assumed, stored } from '../evidence';
import { percentOf, type Share } from '../../domain/share';
import type { ConfigValue, Evidence, Known } from '../family';
import { otherAdapters } from '../networks/derived';
import type { Member } from '../networks/networks';
import type { Lost } from './complete';
import { contradictedSizes } from './configSizes';
import { onceEach } from './counts';
import { isBufferOf, isBeside, type Fit } from './fit';
import { buildGraph, keepGraph } from './graphs';
import { imageNormOf, imageNorms } from './states';
import { mayReplace, standsBetween, type Leftover } from './leftovers';
import { classAndMean, headed, headKeys, headName } from './headed';
import { familyOf, idleOfWhole } from './idle';
import { withWarnings } from './warnings';
import { ofNetwork } from './wholes';
import { headsFrom, isAverage, isOfTraining, isOnTheWay, type FoundHeads } from './ownHead';

type Assume = Readonly<Record<string, ConfigValue>>;

/** Hyper-parameters of what may stand behind or in any family's network. */
export const keysOfAny: readonly string[] = [...headKeys, 'lora_scale'];

/** Factor of low-rank adapters as the user gives it. Throws if it is no number. */
export function loraScaleIn(assume: Assume = {}): number | undefined {
  const { lora_scale: scale } = assume;
  if (scale === undefined || typeof scale === 'number') return scale;
  throw new Error(`lora_scale: ${String(scale)} found; a number is needed, α / r, or 0 for the base alone`);
}

/**
 * What a fit is to people: with the heads that follow from names and shapes, and what is left out.
 *
 * @param pooled reads the network once more, with another way of pooling
 */
export function settled(
  checkpoint: Checkpoint,
  fit: Fit,
  assume: Assume = {},
  pooled: (pool: string) => Known | undefined = () => undefined,
): Known {
  const { beside, lost } = fit;
  let known = fit.recognition;
  const family = familyOf(known);
  for (const part of [...(family ? ofNetworks : []), ...ofAll]) {
    const next = part(known, { checkpoint, beside, lost, idle: family?.idle, assume, pooled });
    const isSame = ofGraph.every((key) => next[key] === known[key]);
    if (isSame) keepGraph(known, next);
    known = next;
  }
  return known;
}

/** What of a recognition its graph is written by. */
const ofGraph = ['config', 'ownHead', 'backboneOnly', 'imageNorm'] as const;

type Settle = (known: Known, context: Context) => Known;

/** What is settled of a network of images alone: what it reads, and heads that stand behind it. */
const ofNetworks: readonly Settle[] = [
  withChannels,
  withConfig,
  withImageNorms,
  withOverlap,
  withHead,
  withBackboneOnly,
];

/** What is settled of every model. */
const ofAll: readonly Settle[] = [
  withLost,
  withAdapters,
  withOtherAdapters,
  withDerived,
  withShare,
  withTwins,
];

interface Context {
  readonly checkpoint: Checkpoint;
  readonly beside: readonly Leftover[];
  /** Parameters that known models have, without which the file is computed. */
  readonly lost: Lost | undefined;
  /** Canonical names that may take no part. */
  readonly idle: RegExp | undefined;
  readonly assume: Assume;
  pooled(pool: string): Known | undefined;
}

/** Says how many channels the images have if they are no colours and the family does not say it. */
function withChannels(known: Known, { checkpoint }: Context): Known {
  const { values } = buildGraph(checkpoint, known).graph;
  const channels = values.get('pixel_values')?.shape[1];
  if (channels === undefined || channels === 3 || 'channels' in known.evidence) return known;
  const source = 'the first convolution';
  return { ...known, evidence: { ...known.evidence, channels: stored(channels, source) } };
}

/**
 * Names what all known models of the kind have and the file has not, and computes without; a
 * backbone without a whole module of published models answers no classes, as they would be others.
 */
function withLost(known: Known, { lost }: Context): Known {
  if (!lost) return known;
  const { names, isModule, isPublished } = lost;
  const more = names.length > listed ? ` and ${names.length - listed} more` : '';
  const whose = isPublished ? 'which published models of this kind have' : 'which models of this kind have';
  const missing = `Missing: ${names.slice(0, listed).join(', ')}${more}, ${whose}`;
  if (!isModule || !isPublished || known.whole) return withWarnings(known, `${missing}; computed without.`);
  return withWarnings(
    { ...known, task: 'features', backboneOnly: true },
    `${missing}; features are computed without, and no classes are answered.`,
  );
}

/** Names the sizes of config.json that the weights contradict. */
function withConfig(known: Known, { checkpoint }: Context): Known {
  if (!checkpoint.sidecars.config) return known;
  const channels = buildGraph(checkpoint, known).graph.values.get('pixel_values')?.shape[1];
  const stated = { channels: stored(channels ?? 0, 'the first convolution'), ...ofNetwork(known) };
  return withWarnings(known, ...contradictedSizes(checkpoint, known.architecture, stated));
}

/** Whether a file beside the weights says what images are normalised with. */
const saysNormalisation = ({ sidecars: { preprocessor, openClip, config } }: Checkpoint): boolean =>
  preprocessor !== undefined || openClip !== undefined || config?.['pretrained_cfg'] !== undefined;

/**
 * Puts the layer in front of the network that normalises its images, unless a file beside the
 * weights says how that is done; warns of means and deviations in any case.
 */
function withImageNorms(known: Known, { checkpoint }: Context): Known {
  const members = known.translation?.network.members ?? [];
  const names = imageNorms(members).map(({ tensor }) => tensor.name);
  if (names.length === 0) return known;
  const listedNames = names.slice(0, 4).join(', ');
  const pixels = buildGraph(checkpoint, known).graph.values.get('pixel_values')?.shape ?? [];
  const pair = pixels.length === 4 ? imageNormOf(members, pixels[1] ?? 0) : undefined;
  if (!pair || known.inside || saysNormalisation(checkpoint))
    return withWarnings(
      known,
      `${listedNames}: the model normalises images itself. Their values are not read; images are normalised once, as the preprocessing shows.`,
    );
  const view = ({ tensor }: Member): ParameterView => whole(tensor);
  return withWarnings(
    {
      ...known,
      imageNorm: { mean: view(pair.mean), std: view(pair.std) },
      inside: { takes: 'unit', source: listedNames },
    },
    `${listedNames}: the model normalises images itself, (pixels − mean) / std. Assumed: its pixels are given as 0 … 1, as no file says.`,
  );
}

/**
 * Positions of TransReID's backbones whose patches overlap by a quarter (He et al. 2021, §3.1), and
 * the images that they are of: ⌊(side − 16) / 12⌋ + 1 rows and columns.
 */
const overlapping: ReadonlyMap<number, string> = new Map([
  [210, '256 × 128'],
  [310, '384 × 128'],
  [441, '256 × 256'],
]);

/** A norm between backbone and classifiers, as code for re-identification calls it. */
const isReidentified = ({ path, members }: Leftover): boolean =>
  /^bottleneck(?:_\d)?$/.test(path) && members.some(({ name }) => name.endsWith('running_mean'));

/** Refuses to run patches that may overlap, unless the user says the grid: no weight tells. */
function withOverlap(known: Known, { beside, assume }: Context): Known {
  if ('grid' in assume) return known;
  const grid = known.evidence['grid']?.value;
  const [rows = 0, columns = 0] = Array.isArray(grid) ? (grid as readonly number[]) : [];
  const images = beside.some(isReidentified) ? overlapping.get(rows * columns) : undefined;
  if (images === undefined) return known;
  const notRun = `${rows * columns} positions beside a norm for re-identification are those of TransReID with overlapping patches (every 12 pixels of images of ${images}), which is counted and not run`;
  return withWarnings({ ...known, notRun }, `${notRun}.`);
}

/** Adds the heads that are found beside the network, if its own classifier is not stored. */
function withHead(whole: Known, context: Context): Known {
  const { checkpoint, assume, pooled } = context;
  const { known, beside } = withoutPartsOfHead(whole, context);
  const width = beside.length > 0 ? pooledWidth(checkpoint, known) : undefined;
  if (width === undefined) return known;
  const found = headsFrom(beside, width);
  if (found) return headed(known, found, assume);
  // A head of twice the width reads the class token and the mean of the patches (DINOv2, §7.1).
  const wide =
    known.assumable.includes('pool') && !('pool' in assume) ? headsFrom(beside, 2 * width) : undefined;
  const both = wide && pooled(classAndMean);
  return wide && both ? headed(withPool(both, wide), wide, assume) : known;
}

/**
 * The network without its library's classifier if that is one layer of a longer head, of which
 * others lie unread: all of it is a head of one's own then.
 */
function withoutPartsOfHead(
  known: Known,
  { checkpoint, beside }: Context,
): { readonly known: Known; readonly beside: readonly Leftover[] } {
  const { translation } = known;
  const isRead = buildGraph(checkpoint, known).graph.outputs.some(({ means }) => means === 'logits');
  if (!isRead) return { known, beside };
  const holders = new Set(beside.map(({ path }) => parentOf(`${path}.`)).filter((path) => path !== ''));
  const held = (translation?.network.members ?? []).flatMap((member) => {
    const name = bareName(translation!, member);
    const holder = [...holders].find((path) => name.startsWith(path));
    return holder === undefined ? [] : [{ holder: holder.slice(0, -1), name, member }];
  });
  const isLayered = held.some(({ member: { tensor } }) => tensor.shape.length > 1);
  if (!translation || !isLayered) return { known, beside };
  const names = new Set(held.map(({ member }) => member.tensor.name));
  const parameters = new Map([...translation.parameters].filter(([, { tensor }]) => !names.has(tensor.name)));
  const source = { find: (name: string) => parameters.get(name)?.view };
  const rest = beside.filter(({ path }) => !holders.has(parentOf(`${path}.`)));
  const heads = [...new Set(held.map(({ holder }) => holder))].map((path): Leftover => {
    const own = held.filter(({ holder }) => holder === path);
    return { path, members: own.map(({ name, member }) => ({ ...member, name })) };
  });
  return {
    known: { ...known, translation: { ...translation, parameters, source } },
    beside: [...rest, ...heads],
  };
}

/** The evidence of a way of pooling that a head's width shows. */
const withPool = (known: Known, found: FoundHeads): Known => ({
  ...known,
  evidence: {
    ...known.evidence,
    pool: assumed(classAndMean, `${headName(found)} is twice as wide as a token`),
  },
});

/** Width of the pooled vector; undefined if there is none, or if a classifier reads it already. */
function pooledWidth(checkpoint: Checkpoint, known: Known): number | undefined {
  const { graph } = buildGraph(checkpoint, known);
  const classifies = graph.outputs.some(({ means }) => means === 'logits');
  return classifies ? undefined : featureWidth(checkpoint, known);
}

/** Width of the pooled vector; undefined if the network pools none. */
function featureWidth(checkpoint: Checkpoint, known: Known): number | undefined {
  const { graph } = buildGraph(checkpoint, known);
  const features = graph.outputs.find(({ means }) => means === 'features');
  return features && last(valueOf(graph, features.value).shape);
}

/**
 * Leaves the classifier out if something that is not read may stand between it and the backbone.
 */
function withBackboneOnly(known: Known, { checkpoint, beside }: Context): Known {
  const read = new Set([...(known.ownHead?.parameters.values() ?? [])].map((view) => view.tensor));
  const width = beside.length > 0 && known.ownHead ? featureWidth(checkpoint, known) : undefined;
  const isBetween = (leftover: Leftover): boolean =>
    standsBetween(leftover) ||
    (width !== undefined && !isOfTraining(leftover) && (isOnTheWay(leftover) || mayReplace(leftover, width)));
  const between = beside.filter(
    (leftover) =>
      leftover.path !== otherAdapters &&
      !isAverage(leftover) &&
      isBetween(leftover) &&
      !leftover.members.some(({ tensor }) => read.has(tensor.name)),
  );
  if (between.length === 0) return known;
  const names = between.map(({ path, members: [first] }) =>
    first?.name.endsWith(path) ? `${path} [${first.tensor.shape.join(', ')}]` : path,
  );
  return withWarnings(
    { ...known, task: 'features', backboneOnly: true },
    `Backbone only: ${names.join(', ')} may stand between the backbone and the head and ${between.length > 1 ? 'are' : 'is'} not read, so no classes are answered.`,
  );
}

const derivedOf = ({ translation }: Known): readonly Derivation[] =>
  (translation?.network.members ?? []).flatMap(({ tensor }) => tensor.derived ?? []);

/** Refuses to run a base inside of adapters that are not computed, and names them. */
function withOtherAdapters(known: Known, { beside }: Context): Known {
  const members = beside.find(({ path }) => path === otherAdapters)?.members ?? [];
  const [first] = members;
  if (!first) return known;
  const count = `${members.length} parameter${members.length === 1 ? '' : 's'} of adapters`;
  const notRun = `${count} (${first.tensor.name} …) stand in the layers and are not applied: merge them with PEFT before saving (merge_and_unload)`;
  return withWarnings({ ...known, notRun }, `${notRun}.`);
}

/** Refuses to run low-rank adapters whose factor nobody says. */
function withAdapters(known: Known, { assume }: Context): Known {
  const adapters = derivedOf(known).filter(({ kind }) => kind.startsWith('low-rank'));
  if (adapters.length === 0) return known;
  const user = loraScaleIn(assume);
  const [first, ...more] = new Set(adapters.map(({ scale }) => scale));
  const names = `Low-rank adapters (LoRA) on ${adapters.length} matrices`;
  const isOne = first !== undefined && more.length === 0;
  const isKnown = first !== undefined && !more.includes(undefined);
  const evidence: Evidence = isKnown
    ? stored(
        isOne ? first : 'several',
        user === undefined ? 'adapter_config.json: α / r' : 'given by the user',
      )
    : assumed('not known', 'α / r is not in the file, and nothing runs without it');
  const next = {
    ...known,
    evidence: { ...known.evidence, lora_scale: evidence },
    assumable: [...known.assumable, 'lora_scale'],
  };
  if (isKnown)
    return withWarnings(
      next,
      `${names} are applied with ${isOne ? `the factor ${first}` : 'a factor of its own each'}.`,
    );
  const notRun = `${names} are in the file, and the factor α / r that they are applied with is not: set lora_scale (0 for the base alone), or merge them before saving (merge_and_unload)`;
  return withWarnings({ ...next, notRun }, `${notRun}.`);
}

const derivedWords: Readonly<Record<Derivation['kind'], string | undefined>> = {
  'low-rank': undefined,
  'low-rank-norm': undefined,
  'low-rank-thirds': undefined,
  masked: 'pruned: each weight is multiplied with its mask',
  'weight-norm': 'weight-normalised',
  'spectral-norm': 'spectrally normalised, with the vectors as they were saved',
  affine: 'int8 of torch: dequantised; torch itself also rounds what flows through them to 8 bit',
  'affine-rows':
    'int8 of torch: dequantised row by row; torch itself also rounds what flows through them to 8 bit',
  'scaled-rows':
    'int8 of bitsandbytes: dequantised row by row; the library itself also rounds what flows through them to 8 bit',
};

/** Says which parameters are computed from several tensors. */
function withDerived(known: Known, _: Context): Known {
  const counts = new Map<string, number>();
  for (const { kind } of derivedOf(known)) {
    const words = derivedWords[kind];
    if (words !== undefined) counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  return withWarnings(
    known,
    ...[...counts].map(([words, count]) => `${count} parameter${count === 1 ? ' is' : 's are'} ${words}.`),
  );
}

/** Names that are listed of what is not run. */
const listed = 4;

/** Says which share of the parameters runs, and by name what does not. */
function withShare(known: Known, context: Context): Known {
  const share = shareOf(known, context);
  if (!share) return known;
  const { notRun, crossAttention: crossed } = share;
  const more = notRun.length > listed ? ` and ${notRun.length - listed} more` : '';
  const maps =
    crossed > 0
      ? ` ${crossed} cross-attention module${crossed === 1 ? '' : 's'} among them ${crossed === 1 ? 'is' : 'are'} not run yet.`
      : '';
  return withWarnings(
    { ...known, share },
    `${percentOf(share)} of the ${formatExact(share.total)} parameters run; not run: ${notRun.slice(0, listed).join(', ')}${more}.${maps}`,
  );
}

/**
 * Says that the file holds other networks of the same shape, of which no name tells which one is
 * wanted.
 */
function withTwins(known: Known, { checkpoint }: Context): Known {
  const { selected, stateDicts } = checkpoint;
  const others = stateDicts.filter(({ name }) => name !== selected.name);
  const twins = others.filter((other) => isTwin(selected, other));
  if (twins.length === 0) return known;
  const rest = others.filter((other) => !twins.includes(other)).map(({ name }) => name);
  const more = rest.length > 0 ? ` Beside them lie ${rest.slice(0, listed).join(', ')}.` : '';
  return withWarnings(
    known,
    `The file holds several networks of one shape: ${selected.name} is shown, ${twins.map(({ name }) => name).join(', ')} ${twins.length > 1 ? 'are' : 'is'} not.${more}`,
  );
}

/** Whether two state dicts are of one shape, and neither is called what is preferred. */
const isTwin = (left: StateDict, right: StateDict): boolean =>
  rankOf(left.name) === rankOf(right.name) &&
  left.tensors.length === right.tensors.length &&
  left.tensors.every(({ name, shape }, index) => {
    const other = right.tensors[index];
    return other?.name === name && String(other.shape) === String(shape);
  });

function shareOf(known: Known, { checkpoint, beside, idle }: Context): Share | undefined {
  const { used } = buildGraph(checkpoint, known);
  const { translation } = known;
  const idleTensors = idleOfWhole(known);
  const isLeftOut = (name: string, tensor: Tensor): boolean =>
    !(idleTensors.has(tensor.name) || isBufferOf(translation, tensor)) &&
    (isBeside(name) || !(idle?.test(name) || /mask/.test(name)));
  const others = [...(translation?.parameters ?? [])]
    .filter(([name, { tensor }]) => !used.has(tensor.name) && isLeftOut(name, tensor))
    .map(([, { tensor }]) => tensor.name);
  const unread = beside
    .flatMap(({ members }) => members.map(({ tensor }) => tensor))
    .filter((tensor) => !used.has(tensor.name) && !isBufferOf(translation, tensor))
    .map(({ name }) => name);
  const notRun = unreadModules([...others, ...unread], used);
  if (notRun.length === 0) return undefined;
  const learned = checkpoint.selected.tensors.filter((tensor) => !isBufferOf(translation, tensor));
  const elements = (tensors: readonly Tensor[]): number =>
    onceEach(tensors).reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const notUsed = learned.filter(({ name }) => !used.has(name));
  const crossed = new Set(notUsed.flatMap(({ name }) => crossAttention.exec(name)?.[0] ?? []));
  const run = elements(learned.filter(({ name }) => used.has(name)));
  return { run, total: elements(learned), notRun, crossAttention: crossed.size };
}

/** The outermost modules around these tensors from which nothing is read. */
function unreadModules(names: readonly string[], used: ReadonlySet<string>): readonly string[] {
  if (names.length === 0) return [];
  const read = new Set([...used].flatMap(pathsOf));
  const modules = names.map(
    (name) =>
      pathsOf(name)
        .find((path) => !read.has(path))
        ?.slice(0, -1) ?? name,
  );
  return [...new Set(modules)];
}

/** Modules of decoders that attend to the image. */
const crossAttention =
  /^.*(?:encoder_attn|cross_?attn|cross_?attention|crossattention|multihead_attn|EncDecAttention)(?=\.)/;
