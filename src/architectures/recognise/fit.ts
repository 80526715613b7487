import type { Checkpoint } from '../../checkpoint/checkpoint';
import { elementCount, type Tensor } from '../../checkpoint/tensors';
import { parentOf } from '../../checkpoint/moduleNames';
import { pushAll } from '../../domain/lists';
import { HeadsError, ParameterError } from '../../graph/builder';
import { TooLargeError } from '../../graph/limits';
import { OperatorError } from '../../graph/operators';
import { isBuffer } from '../buffers';
import { configured } from '../config';
import { ownModule, type Translation } from '../dialect';
import type { Known } from '../family';
import { lostBiases } from './biases';
import { isReplacedBias, lostOfKind, ownMembers, type Lost } from './complete';
import { buildGraph, progressOf } from './graphs';
import { idleOf, idleOfWhole } from './idle';
import type { Member } from '../networks/networks';
import { isOfPretraining, leftoversOf, type Leftover } from './leftovers';
import { lostParameters } from './siblings';
import { trainingStates } from './states';
import { viewsOf } from './views';

/**
 * Canonical names of other parts of the same model (a text tower, a decoder, a detector's head):
 * they count, the graph does not read them.
 */
const otherParts = /^(?:text|beside)\.|^logit_(?:scale|bias)$/;

/** Whether a canonical name is of another part of the model than the graph. */
export const isBeside = (name: string): boolean => otherParts.test(name);

/** A family whose graph can be written of a network, and what lies beside that network. */
export interface Fit {
  readonly recognition: Known;
  readonly beside: readonly Leftover[];
  /** Parameters that known models have, without which the file is computed. */
  readonly lost: Lost | undefined;
  /** Elements of the parameters that have a place. */
  readonly placed: number;
}

/** What keeps a network from being a model of a family. */
export interface Misfit {
  readonly missing: readonly string[];
  /** How many of the parameters were read until then; all of them if it is absent. */
  readonly read?: number;
}

/**
 * How a network is a model of the family, or what keeps it from being one: a parameter that it
 * lacks or has in another shape, or the first few without a place.
 */
export function fitOf(checkpoint: Checkpoint, recognition: Known): Fit | Misfit {
  try {
    const { used } = buildGraph(checkpoint, recognition);
    const { network } = recognition.translation!;
    const names = ownMembers(recognition).map(({ name }) => name);
    const { amongOthers, alone } = lostBiases(recognition, used);
    const lost = [...lostParameters(names), ...amongOthers];
    if (lost.length > 0)
      return { missing: lost.slice(0, listed).map((name) => `no ${name}, which its siblings have`) };
    const norm = batchNormsAside(network.members, used)[0];
    if (norm !== undefined) return { missing: [`${norm} is a batch norm, of which another norm was made`] };
    const read = new Set([...used, ...idleOfWhole(recognition)]);
    const placed = placedIn(recognition.translation!, read, idleOf(recognition));
    const isView = viewsOf(tensorsOf(network.members).filter(({ name }) => placed.has(name)));
    const unread = network.members.filter(
      ({ tensor }) => !placed.has(tensor.name) && elementCount(tensor.shape) > 0 && !isView(tensor),
    );
    const isBufferHere = (tensor: Tensor): boolean => isBufferOf(recognition.translation, tensor);
    const leftovers = leftoversOf(recognition.translation!, used, unread, isBufferHere);
    const within = [...leftovers.within];
    const states = trainingStates(network.members);
    const beside = leftovers.beside.filter(
      (leftover) => !isOfPretraining(leftover) && !leftover.members.every((member) => states.has(member)),
    );
    const weightless = beside.find(({ members }) => members.every(({ name }) => /(?:^|\.)bias$/.test(name)));
    if (weightless) {
      const [{ name: bias } = { name: '' }] = weightless.members;
      return { missing: [`no ${bias.replace(/bias$/, 'weight')}, although ${bias} is there`] };
    }
    if (recognition.translation?.dialect.closed) pushAll(within, strangersIn(beside));
    if (within.length > 0)
      return { missing: within.slice(0, listed).map(({ name }) => `no place for ${name}`) };
    const elements = network.members
      .filter(({ tensor }) => placed.has(tensor.name))
      .reduce((sum, { tensor }) => sum + elementCount(tensor.shape), 0);
    return { recognition, beside, lost: allLost(checkpoint, recognition, alone), placed: elements };
  } catch (error) {
    if (isMisfit(error)) return { missing: [misfitText(error, recognition)], read: progressOf(error).read };
    throw error;
  }
}

/** What keeps a graph from being written of a file, which is no fault of ours. */
type MisfitError = ParameterError | OperatorError | TooLargeError;

/** Whether an error says of a file what keeps a graph from being written of it. */
export const isMisfit = (error: unknown): error is MisfitError =>
  error instanceof ParameterError || error instanceof OperatorError || error instanceof TooLargeError;

/** Keys by which transformers and timm build layers without biases, and the names of those. */
const biasKeys: readonly (readonly [key: string, biases: RegExp])[] = [
  ['qkv_bias', /(?:^|[._])(?:qkv|(?:q|k|v|query|key|value)(?:_proj)?)[._]bias$/],
  ['query_bias', /(?:^|\.)(?:q_proj|query)\.bias$/],
  ['key_bias', /(?:^|\.)(?:k_proj|key)\.bias$/],
  ['value_bias', /(?:^|\.)(?:v_proj|value)\.bias$/],
  ['proj_bias', /(?:^|\.)(?:o_proj|proj)\.bias$/],
  ['mlp_bias', /(?:^|\.)mlp\.\w+\.bias$/],
];

/** Whether config.json says that the model is built without this bias. */
const isBuiltWithout = (checkpoint: Checkpoint, name: string): boolean =>
  biasKeys.some(([key, biases]) => biases.test(name) && configured(checkpoint, [key])?.value === false);

/** What is lost by either measure, and not left out by config.json. */
function allLost(checkpoint: Checkpoint, recognition: Known, alone: readonly string[]): Lost | undefined {
  const known = lostOfKind(recognition) ?? { names: [], isModule: false, isPublished: true };
  const biases = alone.filter((name) => !isReplacedBias(recognition, name));
  const names = [...new Set([...known.names, ...biases])].filter((name) => !isBuiltWithout(checkpoint, name));
  return names.length > 0 ? { ...known, names } : undefined;
}

/** Why a graph could not be written, in the file's own names. */
function misfitText(error: MisfitError, known: Known): string {
  const translation = known.translation!;
  const { last } = progressOf(error);
  const behind = last && `${last.tensor} [${last.shape.join(', ')}]`;
  if (error instanceof OperatorError)
    return behind === undefined ? error.message : `${error.message}; the parameter read last is ${behind}`;
  if (error instanceof TooLargeError) return error.message;
  if (error instanceof HeadsError) return headsText(error, known);
  const { parameter, message } = error;
  const stored = translation.parameters.get(parameter)?.tensor.name;
  const name = stored ?? ownModule(translation, parameter);
  const detail = message.slice(parameter.length);
  const isBeside = stored !== undefined && last !== undefined && parentOf(last.tensor) === parentOf(stored);
  return `${name}${detail}${isBeside && last.tensor !== stored ? ` beside ${behind}` : ''}`;
}

/** Heads that do not divide a width, by the hyper-parameter that says how many there are. */
function headsText({ heads, parameter, message }: HeadsError, { evidence, translation }: Known): string {
  const said = Object.entries(evidence).find(
    ([key, { value }]) => key.endsWith('heads') && [value].flat().includes(heads),
  );
  const name = translation?.parameters.get(parameter)?.tensor.name ?? parameter;
  const by = said && ` (${said[0]}, ${said[1].source})`;
  return `${name}${message.slice(parameter.length)}${by ?? ''}`;
}

/** Batch norms whose weights the graph reads without their statistics: it computes another norm. */
const batchNormsAside = (members: readonly Member[], used: ReadonlySet<string>): readonly string[] =>
  members.flatMap(({ tensor: { name } }) => {
    const path = /^(.*)\.running_mean$/.exec(name)?.[1];
    return path !== undefined && !used.has(name) && used.has(`${path}.weight`) ? [path] : [];
  });

/** Tensors of a network that are of no layer that a head may have. */
const strangersIn = (beside: readonly Leftover[]): readonly Tensor[] =>
  beside
    .flatMap(({ members }) => members)
    .filter(({ inside, name, tensor }) => inside && (tensor.shape.length > 2 || !name.includes('.')))
    .map(({ tensor }) => tensor);

const tensorsOf = (members: readonly Member[]): readonly Tensor[] => members.map(({ tensor }) => tensor);

/** Names that are listed: a file of another kind has hundreds without a place. */
const listed = 3;

/** Tensors of the file that the graph reads, that copy them, or that it need not read. */
function placedIn(
  { dialect, parameters, copies, network }: Translation,
  used: ReadonlySet<string>,
  idle: RegExp | undefined,
): ReadonlySet<string> {
  const placed = new Set(used);
  // A naming that knows its territory has rows for nothing else.
  for (const [name, { tensor }] of parameters)
    if (dialect.territory || otherParts.test(name) || idle?.test(name)) placed.add(tensor.name);
  for (const [copy, read] of copies) if (placed.has(read)) placed.add(copy);
  for (const { tensor } of network.members)
    if (placed.has(tensor.name)) for (const { name } of tensor.derived?.parts ?? []) placed.add(name);
  return placed;
}

/** Whether the tensor is a buffer, for all libraries or for the one that wrote this file. */
export function isBufferOf(translation: Translation | undefined, tensor: Tensor): boolean {
  const role = translation?.network.roles.get(tensor.name);
  if (role) return role === 'buffer';
  const bare = translation ? tensor.name.replace(translation.prefix, '') : tensor.name;
  return isBuffer(tensor) || (translation?.dialect.buffers?.test(bare) ?? false);
}
