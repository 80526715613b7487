import { whole } from '../dialect';
import { assumed, stored } from '../evidence';
import type { ConfigValue, Evidence, Known } from '../family';
import { activations } from '../blocks/layers';
import {
  isHeadNorm,
  type HeadChain,
  type HeadInput,
  type HeadLayer,
  type HeadNorm,
  type OwnHead,
} from '../heads/ownHead';
import type { FoundHeads, FunctionSide } from './ownHead';
import { withWarnings } from './warnings';

type Assume = Readonly<Record<string, ConfigValue>>;

/** The pooling that a head of twice the width shows: class token and mean of the patches. */
export const classAndMean = 'token+avg';

/**
 * A network with the heads that were found beside it: an output each, and a question for whatever
 * names and shapes leave open. Throws if an answer to one is not among those that are possible.
 */
export function headed(known: Known, told: FoundHeads, assume: Assume): Known {
  const side = headSide(told, assume);
  const found = told.sided(side?.value ?? told.side);
  const members = found.read.flatMap((leftover) => leftover.members);
  const pathOf = headPath(known);
  const parameters = new Map(members.map(({ name, tensor }) => [pathOf(name), whole(tensor)]));
  const activation = headActivation(found, assume);
  const form = headForm(found, assume);
  const norm = headNorm(found, assume);
  const norms = new Map(found.norms.map(({ path }, index) => [path, norm?.each[index] ?? 'layer']));
  const head = headEvidence(known, found, norms);
  const input = headInput(known, head, assume);
  const ownHead: OwnHead = {
    chains: found.chains.map(({ name, steps }) => ({
      name,
      steps: steps.map((step) => ('path' in step ? { ...step, path: pathOf(step.path) } : step)),
    })),
    activations: eachOf(activation?.value, found.places.length),
    cosine: found.biasFree.filter(
      (_, index) => eachOf(form?.value, found.biasFree.length)[index] === 'cosine',
    ),
    norms: new Map([...norms].map(([path, kind]) => [pathOf(path), kind])),
    input: input.value,
    parameters,
  };
  const asked = {
    ...(hasTokens(known) && { head_input: input }),
    ...(activation && { head_activation: activation }),
    ...(side && { head_side: side }),
    ...(form && { head_form: form }),
    ...(norm && { head_norm: norm.evidence }),
  };
  const classes = classesEvidence(found);
  const choices = Object.fromEntries(Object.keys(asked).map((key) => [key, headChoices[key]?.(found) ?? []]));
  return withWarnings(
    {
      ...known,
      ownHead,
      task: 'classify',
      evidence: { ...known.evidence, classes, head, ...asked },
      assumable: [...known.assumable, ...Object.keys(asked)],
      choices: { ...known.choices, ...choices },
    },
    ...headWarnings(known, found, asked),
  );
}

/** The outputs of a head and the tensor that says so; of several a number and a tensor each. */
function classesEvidence({ chains }: FoundHeads): Evidence {
  const last = chains.map(({ name, steps }) => {
    const layer = steps.flatMap((step) => (step.kind === 'linear' ? [step] : [])).at(-1);
    return { name, out: layer?.out ?? 0, tensor: `${layer?.path ?? name}.weight` };
  });
  const [only] = last;
  return only && last.length === 1
    ? stored(only.out, only.tensor)
    : stored(
        last.map(({ out }) => out),
        last.map(({ name, out, tensor }) => `${name} ${out} (${tensor})`).join(', '),
      );
}

/** Names of a head's modules in the graph, which its network may have, too: `head.norm`. */
function headPath({ translation }: Known): (name: string) => string {
  const taken = new Set(
    [...(translation?.parameters.keys() ?? [])].map((name) => name.replace(/\..*$/s, '')),
  );
  return (name) => (taken.has(name.replace(/\..*$/s, '')) ? `head.${name}` : name);
}

/** One value for all, or one for each. */
const eachOf = (value: string | readonly string[] | undefined, count: number): readonly string[] =>
  typeof value === 'object' ? value : Array.from({ length: count }, () => value ?? 'identity');

/** The one value that all have, or all of them. */
const oneOrAll = (values: readonly string[]): string | readonly string[] =>
  new Set(values).size === 1 ? (values[0] ?? '') : values;

const headInputs = ['pooled', 'first', 'mean'] as const;
const headSides = ['before', 'behind'] as const;
const headForms = ['linear', 'cosine'] as const;

/** Values that are offered of what a head leaves open. */
const headChoices: Readonly<Record<string, (found: FoundHeads) => readonly ConfigValue[]>> = {
  head_input: () => headInputs,
  head_activation: () => ['relu', 'gelu', 'silu', 'tanh', 'leaky_relu', 'elu', 'identity'],
  head_side: () => headSides,
  head_form: () => headForms,
  head_norm: ({ norms }) => ['layer', 'rms', ...commonGroups(norms)],
};

/** Hyper-parameters of heads. */
export const headKeys: readonly string[] = Object.keys(headChoices);

/** Group norms of as many groups as people choose, which divide every width. */
const commonGroups = (norms: readonly HeadLayer[]): readonly HeadNorm[] =>
  [1, 2, 4, 8, 16, 32].flatMap((groups): readonly HeadNorm[] =>
    norms.every(({ width }) => width % groups === 0) ? [`group_${groups}`] : [],
  );

/** What is said of each thing that a head leaves open and nobody told. */
function headWarnings(known: Known, found: FoundHeads, asked: Readonly<Record<string, Evidence>>): string[] {
  const name = headName(found);
  const { pool } = known.evidence;
  const isBoth = pool?.assumed === true && pool.value === classAndMean;
  const texts: Readonly<Record<string, (value: string) => string>> = {
    head_input: () =>
      isBoth
        ? `${name} is twice as wide as a token: the class token and the mean of the patches behind it are assumed; set pool if it reads others.`
        : `The file does not say what ${name} ${readVerb(found)}: the vector that ${known.title} pools is assumed; set head_input if it is another.`,
    head_activation: (value) =>
      found.places.every(({ isTight }) => isTight)
        ? `The layers of ${name} stand next to one another: no activation between them is assumed; set head_activation if the code that calls them has one.`
        : `The activation between the layers of ${name} is not in the file: ${value} is assumed; set head_activation if it is another.`,
    head_side: (value) =>
      `Whether the activation between the layers of ${name} stands before or behind the norm is not in the file: ${value} it is assumed; set head_side if not.`,
    head_form: (value) =>
      `${found.biasFree.join(', ')} ${found.biasFree.length > 1 ? 'have' : 'has'} no bias and may answer cosines: ${value === 'cosine' ? 'cosines without their scale are assumed' : `${value} is assumed`}; set head_form if it is another.`,
    head_norm: (value) =>
      `The norm in ${name} may be of another kind, which has the same tensors: ${value.replace(/\b(layer|rms)\b/g, '$1 norm')} is assumed; set head_norm if it is another.`,
  };
  const said = Object.entries(asked).flatMap(([key, { value, assumed: isGuess }]) =>
    isGuess ? (texts[key]?.(Array.isArray(value) ? value.join(', ') : String(value)) ?? []) : [],
  );
  if (found.silent.length > 0)
    said.push(
      `${found.silent.join(', ')} ${found.silent.length > 1 ? 'have' : 'has'} no parameters and ${found.silent.length > 1 ? 'are' : 'is'} taken to change nothing, as dropout does.`,
    );
  return said;
}

const readVerb = ({ read }: FoundHeads): string => (read.length > 1 ? 'read' : 'reads');

/** The modules that heads were read from: `head, classifier`. */
export const headName = ({ read }: FoundHeads): string => read.map(({ path }) => path).join(', ');

/** `linear 20 → 24, activation, linear 24 → 3`, of several heads behind the name. */
function chainText({ name, steps }: HeadChain, isNamed: boolean, norms: Norms): string {
  const words = steps.map((step) => {
    if (step.kind === 'linear') return `linear ${step.width} → ${step.out}`;
    return step.kind === 'norm' ? normText(norms.get(step.path)) : step.kind;
  });
  return `${isNamed ? `${name}: ` : ''}${words.join(', ')}`;
}

type Norms = ReadonlyMap<string, HeadNorm>;

const normText = (norm: HeadNorm = 'layer'): string =>
  norm.startsWith('group_') ? `group norm of ${norm.slice('group_'.length)}` : `${norm} norm`;

/** Words for what a head computes: `batch norm, linear 20 → 24, activation, linear 24 → 3`. */
function headEvidence({ translation }: Known, found: FoundHeads, norms: Norms): Evidence<string> {
  const value = found.chains.map((chain) => chainText(chain, found.chains.length > 1, norms)).join('; ');
  const isLibrarys = found.read.every(
    ({ path, members }) => members.every(({ inside }) => inside) && speaksOfHead(translation, path),
  );
  return isLibrarys
    ? stored(value, headName(found))
    : assumed(value, `${headName(found)} ${readVerb(found)} the pooled vector, which the file does not say`);
}

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

function headActivation(
  { places }: FoundHeads,
  { head_activation: user }: Assume,
): Evidence<string | readonly string[]> | undefined {
  if (places.length === 0) return undefined;
  if (user === undefined) {
    const functions = places.map(({ isTight }) => (isTight ? 'identity' : 'relu'));
    return assumed(oneOrAll(functions), 'the function between the layers of the head is not in the file');
  }
  const said = wordsOf(user);
  const strange = said.find((word) => !Object.hasOwn(activations, word));
  if (strange !== undefined)
    throw new Error(
      `head_activation: ${strange} found; one of ${Object.keys(activations).join(', ')} is needed`,
    );
  if (said.length > 1 && said.length !== places.length)
    throw new Error(`head_activation: ${said.length} found; one is needed, or ${places.length} in order`);
  return stored(oneOrAll(said), 'given by the user');
}

const wordsOf = (value: ConfigValue): readonly string[] =>
  Array.isArray(value) ? value.map(String) : [String(value)];

/** On which side of a norm the function stands, if both are possible. */
function headSide(
  { places, side }: FoundHeads,
  { head_side: user }: Assume,
): Evidence<FunctionSide> | undefined {
  if (!places.some(({ hasNorm }) => hasNorm)) return undefined;
  const said = headSides.find((word) => word === user);
  if (said) return stored<FunctionSide>(said, 'given by the user');
  if (user !== undefined)
    throw new Error(`head_side: ${String(user)} found; one of ${headSides.join(', ')} is needed`);
  return assumed<FunctionSide>(side, 'names leave both sides of the norm open');
}

function headForm(
  { biasFree }: FoundHeads,
  { head_form: user }: Assume,
): Evidence<string | readonly string[]> | undefined {
  if (biasFree.length === 0) return undefined;
  if (user === 'linear' || user === 'cosine') return stored(user, 'given by the user');
  if (user !== undefined) throw new Error(`head_form: ${String(user)} found; linear or cosine is needed`);
  const forms = biasFree.map((path) => (/cos|arc|angular|margin/i.test(path) ? 'cosine' : 'linear'));
  return assumed(oneOrAll(forms), 'a head without a bias may be either');
}

/**
 * The kinds of a head's norms that no statistics tell, in order: as the user says, as the modules
 * are called, or an assumption. A scale alone is RMSNorm's.
 */
function headNorm(
  { norms }: FoundHeads,
  { head_norm: user }: Assume,
): { readonly each: readonly HeadNorm[]; readonly evidence: Evidence } | undefined {
  if (norms.length === 0) return undefined;
  const named = norms.map(({ path }) => normNames.find(([name]) => name.test(path))?.[1]);
  if (user === undefined) {
    const each = norms.map(({ bias }, index) => named[index] ?? (bias ? 'layer' : 'rms'));
    const paths = norms.map(({ path }) => path).join(', ');
    const evidence = named.includes(undefined)
      ? assumed(oneOrAll(each), `${paths}: norms of several kinds have such tensors`)
      : stored(oneOrAll(each), paths);
    return { each, evidence };
  }
  const each = eachOf(oneOrAll(wordsOf(user)), norms.length);
  if (each.length !== norms.length)
    throw new Error(`head_norm: ${each.length} found; one is needed, or ${norms.length} in order`);
  const kinds = norms.map((norm, index) => normOf(each[index] ?? '', norm));
  return { each: kinds, evidence: stored(oneOrAll(kinds), 'given by the user') };
}

/** Names that tell the kind of a norm. A group norm's groups are told by none. */
const normNames: readonly (readonly [name: RegExp, kind: HeadNorm])[] = [
  [/rms_?norm/i, 'rms'],
  [/layer_?norm|(?:^|[._])ln(?:_?\d+|_[a-z]+)?$/i, 'layer'],
];

/** A kind of norm as the user says it. Throws if the layer cannot be of it. */
function normOf(word: string, { path, width }: HeadLayer): HeadNorm {
  if (isHeadNorm(word, width)) return word;
  throw new Error(
    `head_norm: ${word} found; layer, rms or group_N is needed, N a divisor of the ${width} values of ${path}`,
  );
}
