import type { Checkpoint } from '../../checkpoint/checkpoint';
import { elementCount, type Derivation, type Tensor } from '../../checkpoint/tensors';
import { pathsOf } from '../../checkpoint/moduleNames';
import { last } from '../../domain/lists';
import { formatExact } from '../../domain/units';
import { valueOf } from '../../graph/graph';
import { activations } from '../blocks/layers';
import { whole } from '../dialect';
import { assumed, stored } from '../evidence';
import type { Share } from '../../domain/share';
import type { ConfigValue, Evidence, Known } from '../family';
import type { HeadChain, HeadInput, OwnHead } from '../heads/ownHead';
import { isBufferOf, isBeside, type Fit } from './fit';
import { buildGraph, keepGraph } from './graphs';
import { standsBetween, type Leftover } from './leftovers';
import { headsFrom, type FoundHeads } from './ownHead';

type Assume = Readonly<Record<string, ConfigValue>>;

/** Hyper-parameters of what may stand behind or in any family's network. */
export const headKeys: readonly string[] = ['head_activation', 'head_form', 'head_input', 'lora_scale'];

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
  const parts = [withHead, withBackboneOnly, withAdapters, withDerived, withShare];
  let known = fit.recognition;
  for (const part of parts) {
    const next = part(known, { checkpoint, beside: fit.beside, assume, pooled });
    const isSame = next.config === known.config && next.ownHead === known.ownHead;
    if (isSame && next.backboneOnly === known.backboneOnly) keepGraph(known, next);
    known = next;
  }
  return known;
}

interface Context {
  readonly checkpoint: Checkpoint;
  readonly beside: readonly Leftover[];
  readonly assume: Assume;
  pooled(pool: string): Known | undefined;
}

const withWarnings = (known: Known, ...warnings: readonly string[]): Known => ({
  ...known,
  warnings: [...known.warnings, ...warnings],
});

/** Adds the heads that are found beside the network, if its own classifier is not stored. */
function withHead(known: Known, { checkpoint, beside, assume, pooled }: Context): Known {
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

const classAndMean = 'token+avg';

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
  const features = graph.outputs.find(({ means }) => means === 'features');
  if (!features || graph.outputs.some(({ means }) => means === 'logits')) return undefined;
  return last(valueOf(graph, features.value).shape);
}

function headed(known: Known, found: FoundHeads, assume: Assume): Known {
  const members = found.read.flatMap((leftover) => leftover.members);
  const parameters = new Map(members.map(({ name, tensor }) => [name, whole(tensor)]));
  const activation = headActivation(found, assume);
  const form = headForm(found, assume);
  const head = headEvidence(known, found);
  const input = headInput(known, head, assume);
  const [chain] = found.chains;
  const classifier = chain?.steps.flatMap((step) => (step.kind === 'linear' ? [step] : [])).at(-1);
  const ownHead: OwnHead = {
    chains: found.chains,
    activation: activation?.value ?? 'identity',
    cosine: form?.value === 'cosine',
    input: input.value,
    parameters,
  };
  const evidence = {
    ...known.evidence,
    classes: stored(classifier?.out ?? 0, `${classifier?.path ?? headName(found)}.weight`),
    head,
    ...(hasTokens(known) && { head_input: input }),
    ...(activation && { head_activation: activation }),
    ...(form && { head_form: form }),
  };
  const warnings = [
    ...(input.assumed
      ? [
          `The file does not say what ${headName(found)} reads: the vector that ${known.title} pools is assumed; set head_input if it is another.`,
        ]
      : []),
    ...(activation?.assumed
      ? [
          `The activation between the layers of ${headName(found)} is not in the file: ${activation.value} is assumed; set head_activation if it is another.`,
        ]
      : []),
  ];
  return withWarnings(
    {
      ...known,
      ownHead,
      task: 'classify',
      evidence,
      assumable: [
        ...known.assumable,
        ...(hasTokens(known) ? ['head_input'] : []),
        ...(activation ? ['head_activation'] : []),
        ...(form ? ['head_form'] : []),
      ],
      choices: {
        ...known.choices,
        ...(hasTokens(known) && { head_input: [...headInputs] }),
        ...(activation && { head_activation: ['relu', 'gelu', 'silu', 'tanh', 'leaky_relu', 'identity'] }),
        ...(form && { head_form: ['linear', 'cosine'] }),
      },
    },
    ...warnings,
  );
}

const headName = ({ read }: FoundHeads): string => read.map(({ path }) => path).join(', ');

/** `linear 20 → 24, activation, linear 24 → 3`, of several heads behind the name. */
function chainText({ name, steps }: HeadChain, isNamed: boolean): string {
  const words = steps.map((step) =>
    step.kind === 'linear' ? `linear ${step.width} → ${step.out}` : step.kind,
  );
  return `${isNamed ? `${name}: ` : ''}${words.join(', ')}`;
}

/** Words for what a head computes: `batch norm, linear 20 → 24, activation, linear 24 → 3`. */
function headEvidence({ translation }: Known, found: FoundHeads): Evidence<string> {
  const value = found.chains.map((chain) => chainText(chain, found.chains.length > 1)).join('; ');
  const isLibrarys = found.read.every(({ path }) => speaksOfHead(translation, path));
  return isLibrarys
    ? stored(value, headName(found))
    : assumed(value, `${headName(found)} reads the pooled vector; the file does not say what it reads`);
}

const headInputs = ['pooled', 'first', 'mean'] as const;

/** Whether the network hands on tokens, of which a head may read others than the network pools. */
const hasTokens = ({ evidence }: Known): boolean => 'pool' in evidence;

/** What the heads read: as the user says, as the library's own head does, or an assumption. */
function headInput(known: Known, head: Evidence, { head_input: user }: Assume): Evidence<HeadInput> {
  const said = headInputs.find((input) => input === user);
  if (said) return stored<HeadInput>(said, 'given by the user');
  if (user !== undefined)
    throw new Error(`head_input: ${String(user)} found; one of ${headInputs.join(', ')} is needed`);
  return head.assumed && hasTokens(known)
    ? assumed<HeadInput>('pooled', 'the file does not say what the head reads')
    : stored<HeadInput>('pooled', 'as the head of the library');
}

/** Whether the naming of the network calls its own classifier so. */
function speaksOfHead(translation: Known['translation'], path: string): boolean {
  const rows = translation?.dialect.renames ?? [];
  const name = `${path.replace(/(?:\.\d+)+$/, '')}.weight`;
  return rows.some(
    ([from, to]) => from.test(name) && /^(?:head|fc|classifier)\b/.test(name.replace(from, String(to))),
  );
}

function headActivation({ activations: places }: FoundHeads, assume: Assume): Evidence<string> | undefined {
  const { head_activation: user } = assume;
  if (places === 0) return undefined;
  if (user === undefined)
    return assumed('relu', 'the function between the layers of the head is not in the file');
  if (!Object.hasOwn(activations, String(user)))
    throw new Error(
      `head_activation: ${String(user)} found; one of ${Object.keys(activations).join(', ')} is needed`,
    );
  return stored(String(user), 'given by the user');
}

function headForm(found: FoundHeads, assume: Assume): Evidence<string> | undefined {
  const { head_form: user } = assume;
  if (!found.biasFree) return undefined;
  if (user === 'linear' || user === 'cosine') return stored(user, 'given by the user');
  if (user !== undefined) throw new Error(`head_form: ${String(user)} found; linear or cosine is needed`);
  const isCosine = /cos|arc|angular|margin/i.test(headName(found));
  return assumed(isCosine ? 'cosine' : 'linear', 'a head without a bias may be either');
}

/**
 * Leaves the classifier out if something that is not read may stand between it and the backbone.
 */
function withBackboneOnly(known: Known, { beside }: Context): Known {
  const read = new Set(known.ownHead?.parameters.keys());
  const between = beside.filter(
    (leftover) => standsBetween(leftover) && !leftover.members.some(({ name }) => read.has(name)),
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

/** Refuses to run low-rank adapters whose factor nobody says. */
function withAdapters(known: Known, { assume }: Context): Known {
  const adapters = derivedOf(known).filter(({ kind }) => kind === 'low-rank');
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
  masked: 'pruned: each weight is multiplied with its mask',
  'weight-norm': 'weight-normalised',
  'spectral-norm': 'spectrally normalised, with the vectors as they were saved',
  affine: 'int8 of torch: dequantised; torch itself also rounds what flows through them to 8 bit',
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
    `${percent(share)} of the ${formatExact(share.total)} parameters run; not run: ${notRun.slice(0, listed).join(', ')}${more}.${maps}`,
  );
}

function shareOf(known: Known, { checkpoint, beside }: Context): Share | undefined {
  const { used } = buildGraph(checkpoint, known);
  const { translation } = known;
  const others = [...(translation?.parameters ?? [])]
    .filter(([name, { tensor }]) => isBeside(name) && !used.has(tensor.name))
    .map(([, { tensor }]) => tensor.name);
  const unread = beside
    .flatMap(({ members }) => members.map(({ tensor }) => tensor.name))
    .filter((name) => !used.has(name));
  const notRun = unreadModules([...others, ...unread], used);
  if (notRun.length === 0) return undefined;
  const learned = checkpoint.selected.tensors.filter((tensor) => !isBufferOf(translation, tensor));
  const elements = (tensors: readonly Tensor[]): number =>
    tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const idle = learned.filter(({ name }) => !used.has(name));
  const crossed = new Set(idle.flatMap(({ name }) => crossAttention.exec(name)?.[0] ?? []));
  const run = elements(learned.filter(({ name }) => used.has(name)));
  return { run, total: elements(learned), notRun, crossAttention: crossed.size };
}

/** The outermost modules around these tensors from which nothing is read. */
function unreadModules(names: readonly string[], used: ReadonlySet<string>): readonly string[] {
  const read = new Set([...used].flatMap(pathsOf));
  const modules = names.map(
    (name) =>
      pathsOf(name)
        .find((path) => !read.has(path))
        ?.slice(0, -1) ?? name,
  );
  return [...new Set(modules)];
}

/** `64.0 %` */
export const percent = ({ run, total }: Share): string => `${((100 * run) / total).toFixed(1)} %`;

/** Modules of decoders that attend to the image. */
const crossAttention =
  /^.*(?:encoder_attn|cross_?attn|cross_?attention|crossattention|multihead_attn|EncDecAttention)(?=\.)/;
