import type { ProviderView } from '../tasks/run';
import { createHash } from 'node:crypto';
import { cpus, hostname } from 'node:os';
import { perGraph } from '../graph/perGraph';
import { at, largest } from '../domain/lists';
import type { OutputValues } from '../tasks/task';
import type { ProviderCheck } from './remoteApi';
import { probabilities, topK } from '../labels/labels';
import { explainRuntime } from './runtimeMessages';

/** An execution provider of the runtime. */
export interface Provider {
  /** The runtime's own name, and the setting's value. */
  readonly name: string;
  readonly title: string;
  /** Platforms that have it. */
  readonly platforms: readonly string[];
  /** Processors for which the runtime has it, by platform; all if none is named. */
  readonly only?: Readonly<Record<string, readonly string[]>>;
}

/** Every provider, in the order in which `auto` tries them. */
export const providers: readonly Provider[] = [
  { name: 'cuda', title: 'CUDA', platforms: ['linux'], only: { linux: ['x64'] } },
  { name: 'dml', title: 'DirectML', platforms: ['win32'] },
  { name: 'coreml', title: 'Core ML', platforms: ['darwin'] },
  // The runtime's library for Linux on 64-bit Arm is built without it.
  {
    name: 'webgpu',
    title: 'WebGPU',
    platforms: ['linux', 'win32', 'darwin'],
    only: { linux: ['x64'] },
  },
  { name: 'cpu', title: 'CPU', platforms: ['linux', 'win32', 'darwin'] },
];

/** What a user reads for a provider's name. */
export function providerTitle(name: string): string {
  return providers.find((provider) => provider.name === name)?.title ?? name;
}

/** The providers that `auto` sets beside the CPU on a platform. */
export function candidates(
  platform: string = process.platform,
  arch: string = process.arch,
): readonly Provider[] {
  return providersOf(platform, arch).filter(({ name }) => name !== 'cpu');
}

/** The providers that the runtime has on a machine. */
const providersOf = (platform: string, arch: string): readonly Provider[] =>
  providers.filter(
    ({ platforms, only }) => platforms.includes(platform) && (only?.[platform]?.includes(arch) ?? true),
  );

/** Throws if a provider does not exist, or not on this platform. */
export function requireProvider(
  name: string,
  platform: string = process.platform,
  arch: string = process.arch,
): void {
  const known = providersOf(platform, arch).map((each) => each.name);
  if (known.includes(name)) return;
  throw new Error(
    `provider ${name} is not available on ${platform} ${arch}; use auto or one of ${known.join(', ')}`,
  );
}

/**
 * Where verdicts are remembered; the extension keeps them in its global state, the command line in
 * a file.
 */
export interface VerdictStore {
  get(key: string): ProviderCheck | undefined;
  set(key: string, verdict: ProviderCheck | undefined): void | Promise<void>;
}

/** A store that forgets when the process ends. */
export function createMemoryStore(): VerdictStore {
  const verdicts = new Map<string, ProviderCheck>();
  return {
    get: (key) => verdicts.get(key),
    set: (key, verdict) => void (verdict ? verdicts.set(key, verdict) : verdicts.delete(key)),
  };
}

let machine: string | undefined;

/** Twelve digits for this machine, whose processors take a while to list. */
function machineIdentity(): string {
  const facts = (): string => [hostname(), process.platform, process.arch, cpus()[0]?.model ?? ''].join(' ');
  machine ??= createHash('sha256').update(facts()).digest('hex').slice(0, 12);
  return machine;
}

/** The key of a verdict: it holds for one machine, provider, runtime version and model. */
export function verdictKey(provider: string, runtimeVersion: string, model: string): string {
  return `provider ${provider} ${runtimeVersion} ${machineIdentity()} ${model}`;
}

/**
 * Identity of a model for verdicts: its operators and shapes, whatever the file is called and
 * wherever it lies.
 */
export const graphIdentity = perGraph((graph) => {
  const hash = createHash('sha256');
  for (const node of graph.nodes) hash.update(`${node.op} ${node.outputs.join()}\n`);
  for (const value of graph.values.values()) hash.update(`${value.dtype} ${value.shape.join()}\n`);
  return hash.digest('hex').slice(0, 16);
});

/** Probabilities and attention weights of two providers may differ by this much. */
const tolerance = 1e-3;

/** What agreement looks at of one run. */
export interface Compared {
  /** Logits are compared as probabilities, anything else relative to its largest value. */
  readonly outputs: readonly OutputValues[];
  readonly attention: readonly Float32Array[];
}

/**
 * Sets a provider's answer beside the CPU's: same first class or a near tie, probabilities and
 * attention within 1e-3.
 */
export function compareAnswers(cpu: Compared, other: Compared): Pick<ProviderCheck, 'agrees' | 'reason'> {
  const outputs = cpu.outputs.map((output, index) => compareOutput(output, other.outputs[index]?.values));
  const attention = cpu.attention.reduce(
    (most, map, index) =>
      Math.max(most, largestDifference(map, other.attention[index] ?? new Float32Array())),
    0,
  );
  // A NaN difference fails every comparison; it must not pass for agreement.
  const apart = outputs.find(({ difference }) => !(difference <= tolerance));
  const differs = (what: string) => ({ agrees: false, reason: `differs from the CPU: ${what}` });
  if (apart) return differs(`${apart.name} by ${digits(apart.difference)}`);
  if (!(attention <= tolerance)) return differs(`attention by ${digits(attention)}`);
  if (outputs.some(({ sameFirst }) => !sameFirst)) return differs('another first class');
  const most = largest([attention, ...outputs.map(({ difference }) => difference)]);
  return { agrees: true, reason: `agrees with the CPU: largest difference ${digits(most)}` };
}

interface OutputDifference {
  readonly name: string;
  readonly difference: number;
  readonly sameFirst: boolean;
}

function compareOutput(
  { name, means, values }: OutputValues,
  other: Float32Array = new Float32Array(),
): OutputDifference {
  const classifies = means === 'logits' && values.length > 1;
  const scores = classifies ? softmax : relative;
  const [expected, found] = [scores(values, values), scores(other, values)];
  const difference = largestDifference(expected, found);
  return {
    name,
    difference,
    sameFirst: !classifies || !(difference <= tolerance) || isSameFirst(expected, found),
  };
}

const digits = (value: number): string => value.toExponential(0);

const softmax = (logits: Float32Array): Float64Array => probabilities(logits, 'softmax');

function relative(values: Float32Array, reference: Float32Array): Float32Array {
  const largest = reference.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
  return values.map((value) => value / largest);
}

type Values = Float32Array | Float64Array;

/** NaN if lengths differ or a value is not finite. */
function largestDifference(a: Values, b: Values): number {
  if (a.length !== b.length) return NaN;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = difference;
    if (Number.isNaN(largest)) return NaN;
  }
  return largest;
}

/** The first class of one is the first of the other, or within the tolerance of it. */
function isSameFirst(expected: Values, found: Values): boolean {
  const first = (values: Values): number => topK(values, 1, 'none')[0]?.index ?? 0;
  return Math.abs(at(expected, first(expected)) - at(expected, first(found))) <= tolerance;
}

/** Whether `auto` may take a provider: a real device that agrees and is faster. */
export function isBetter(check: ProviderCheck): boolean {
  return check.agrees && check.software === '' && check.providerMilliseconds < check.cpuMilliseconds;
}

/**
 * Whether `auto` knows enough of a provider: it was timed beside the CPU, or is out of the
 * question.
 */
export function isSettled(check: ProviderCheck | undefined): boolean {
  return check !== undefined && (check.cpuMilliseconds > 0 || !check.agrees || check.software !== '');
}

/**
 * The provider that `auto` uses, given the verdicts so far: the fastest that is better than the
 * CPU.
 */
export function chooseProvider(checks: readonly (ProviderCheck | undefined)[]): string {
  const better = checks.filter((check) => check !== undefined).filter(isBetter);
  const fastest = better.reduce<ProviderCheck | undefined>(
    (best, check) => (!best || check.providerMilliseconds < best.providerMilliseconds ? check : best),
    undefined,
  );
  return fastest?.provider ?? 'cpu';
}

/** The rows of the provider list: the one used, and why not the others. */
export function viewProviders(
  used: string,
  checks: ReadonlyMap<string, ProviderCheck>,
  platform: string = process.platform,
  arch: string = process.arch,
): readonly ProviderView[] {
  return providersOf(platform, arch).map(({ name, title }) => ({
    name,
    title,
    ...standing(name, used, checks.get(name)),
  }));
}

function standing(
  name: string,
  used: string,
  check: ProviderCheck | undefined,
): Pick<ProviderView, 'state' | 'reason' | 'next'> {
  const reason = check ? explain(check) : '';
  if (name === used) return { state: 'used', reason };
  if (name === 'cpu') return { state: 'available', reason: '' };
  if (!check) return { state: 'unchecked', reason: '' };
  if (isFailure(check)) {
    const { sentence, next } = explainRuntime(check.reason, providerTitle(name));
    return { state: 'missing', reason: sentence, next };
  }
  return { state: check.agrees ? 'available' : 'refused', reason };
}

/** Whether a provider did not run at all; its reason is then the runtime's own text. */
export const isFailure = ({ agrees, providerMilliseconds }: ProviderCheck): boolean =>
  !agrees && providerMilliseconds === 0;

/** `agrees with the CPU: largest difference 2e-6; 3.1× slower`, or why it does not run. */
export function explain(check: ProviderCheck): string {
  if (isFailure(check)) return explainRuntime(check.reason, providerTitle(check.provider)).sentence;
  const { agrees, reason, software, cpuMilliseconds: cpu, providerMilliseconds: provider } = check;
  if (software) return `${reason}; a software adapter (${software}), never chosen by itself`;
  if (!agrees || !cpu || !provider) return reason;
  const speed =
    provider < cpu ? `${(cpu / provider).toFixed(1)}× faster` : `${(provider / cpu).toFixed(1)}× slower`;
  return `${reason}; ${speed} than the CPU`;
}

/**
 * Libraries that compute on the CPU what a graphics driver should compute on a GPU, with the names
 * people know.
 */
const softwareLibraries: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/libvk_swiftshader|vk_swiftshader\.dll/i, 'SwiftShader'],
  [/libvulkan_lvp/i, 'llvmpipe'],
  [/d3d10warp\.dll/i, 'WARP'],
];

/**
 * What only a real device leaves behind: an open device file on Linux, the vendor's own driver
 * library on Windows.
 */
const hardwareTraces = /^\/dev\/(?:dri\/|nvidia|dxg|kgsl|mali)|nvwgf2um|amdxc|igd12um|qcdx/i;

/**
 * The software adapter behind a GPU provider, from the libraries and files that a process has open
 * once a session runs on it; empty for a real device. The runtime does not say which adapter it
 * took. Libraries alone would not tell on Linux, where the Vulkan loader opens every installed
 * driver; but a real device cannot be used without opening its file.
 */
export function softwareAdapter(libraries: readonly string[], openFiles: readonly string[]): string {
  if ([...libraries, ...openFiles].some((path) => hardwareTraces.test(path))) return '';
  const found = softwareLibraries.find(([pattern]) => libraries.some((library) => pattern.test(library)));
  return found?.[1] ?? '';
}
