import type { Graph } from '../graph/graph';
import type { Hello, ModelRequest, ProviderCheck, StepRequest } from './remoteApi';
import { CancelledError, type InferenceClient, type Log } from './client';
import {
  candidates,
  chooseProvider,
  explain,
  isFailure,
  graphIdentity,
  isSettled,
  providerTitle,
  verdictKey,
  type VerdictStore,
} from './providers';
import { explainRuntime } from './runtimeMessages';

/** The provider of a run, and what is known of the others. */
export interface Choice {
  readonly provider: string;
  /** `auto` took it; it may be left again when it fails. */
  readonly automatic: boolean;
  readonly checks: ReadonlyMap<string, ProviderCheck>;
  /** Where its verdict is remembered. */
  readonly key: string;
  readonly warning?: string;
}

/**
 * Remembers how providers did beside the CPU, and checks them in a process of their own, so that a
 * driver's crash costs nobody anything.
 */
export class ProviderChoice {
  private readonly running = new Map<string, Promise<void>>();
  /**
   * One model at a time: the checker's process is let go after each, and two would compete for the
   * cores they are timed on.
   */
  private turn: Promise<unknown> = Promise.resolve();
  private checker: InferenceClient | undefined;

  constructor(
    private readonly store: VerdictStore,
    private readonly log: Log,
    private readonly createClient: () => InferenceClient,
  ) {}

  /** What `auto` takes by the verdicts remembered so far; the CPU if there are none. */
  automatic(graph: Graph, hello: Hello): Choice {
    const checks = this.checks(graph, hello);
    const provider = chooseProvider([...checks.values()]);
    return { provider, automatic: true, checks, key: this.key(graph, hello, provider) };
  }

  /**
   * The provider that the user chose: checked against the CPU once, and used, with a warning if
   * it disagrees.
   */
  async chosen(
    { graph }: ModelRequest,
    hello: Hello,
    provider: string,
    check: () => Promise<ProviderCheck>,
  ): Promise<Choice> {
    const key = this.key(graph, hello, provider);
    const choice = { provider, automatic: false, key };
    if (provider === 'cpu') return { ...choice, checks: this.checks(graph, hello) };
    const verdict = this.store.get(key) ?? (await check());
    if (isFailure(verdict)) {
      this.log.debug(`${providerTitle(provider)}, the runtime's own words: ${verdict.reason}`);
      const { sentence, next } = explainRuntime(verdict.reason, providerTitle(provider));
      throw new Error(
        `${providerTitle(provider)} cannot be used here: ${sentence} ${next} Choose another provider.`,
      );
    }
    await this.store.set(key, verdict);
    const warning = verdict.agrees
      ? {}
      : { warning: `${providerTitle(provider)} ${verdict.reason}; its results may be wrong` };
    return { ...choice, checks: this.checks(graph, hello), ...warning };
  }

  /** A GPU that `auto` took has failed: it is not taken again for this model. */
  async refuse(choice: Choice, reason: string): Promise<Choice> {
    const verdict: ProviderCheck = {
      provider: choice.provider,
      agrees: false,
      reason,
      software: '',
      cpuMilliseconds: 0,
      providerMilliseconds: 0,
    };
    await this.store.set(choice.key, verdict);
    return { ...choice, provider: 'cpu', checks: new Map([...choice.checks, [choice.provider, verdict]]) };
  }

  /** A provider of this machine has not been checked with this model, and nobody is at it. */
  isOpen({ key, graph }: ModelRequest, hello: Hello): boolean {
    const checks = this.checks(graph, hello);
    return !this.running.has(key) && candidates().some(({ name }) => !isSettled(checks.get(name)));
  }

  async forget(graph: Graph, hello: Hello): Promise<void> {
    for (const { name } of candidates()) await this.store.set(this.key(graph, hello, name), undefined);
  }

  /** Sets every unchecked provider beside the CPU. Two askers of the same model share one check. */
  async check(request: StepRequest, hello: Hello, signal: AbortSignal | undefined): Promise<void> {
    const { key } = request.model;
    const running = this.running.get(key);
    if (running) return running;
    const check = this.turn
      .then(() => this.checkAll(request, hello, signal))
      .finally(() => this.running.delete(key));
    this.turn = check.catch(() => undefined);
    this.running.set(key, check);
    return check;
  }

  async dispose(): Promise<void> {
    await this.checker?.dispose();
  }

  private async checkAll(request: StepRequest, hello: Hello, signal: AbortSignal | undefined): Promise<void> {
    const client = (this.checker ??= this.createClient());
    const { graph } = request.model;
    try {
      const checks = this.checks(graph, hello);
      for (const { name } of candidates().filter((candidate) => !isSettled(checks.get(candidate.name)))) {
        const verdict = await this.checkOne(client, request, name, signal);
        this.log.info(`${providerTitle(name)}: ${explain(verdict)}`);
        if (isFailure(verdict))
          this.log.debug(`${providerTitle(name)}, the runtime's own words: ${verdict.reason}`);
        await this.store.set(this.key(graph, hello, name), verdict);
      }
    } finally {
      await client.stop();
    }
  }

  private async checkOne(
    client: InferenceClient,
    { model, image, step }: StepRequest,
    provider: string,
    signal: AbortSignal | undefined,
  ): Promise<ProviderCheck> {
    try {
      return await client.request(async (remote) => {
        await remote.load(model, { provider: 'cpu', attention: true });
        return remote.check(model.key, image, step, provider, true);
      }, signal);
    } catch (error) {
      if (error instanceof CancelledError || (error as Error).name === 'CheckpointChangedError') throw error;
      const { message } = error as Error;
      return {
        provider,
        agrees: false,
        reason: message,
        software: '',
        cpuMilliseconds: 0,
        providerMilliseconds: 0,
      };
    }
  }

  private checks(graph: Graph, hello: Hello): ReadonlyMap<string, ProviderCheck> {
    return new Map(
      candidates().flatMap(({ name }) => {
        const check = this.store.get(this.key(graph, hello, name));
        return check ? [[name, check] as const] : [];
      }),
    );
  }

  private key(graph: Graph, { runtime }: Hello, provider: string): string {
    return verdictKey(provider, runtime.version ?? 'none', graphIdentity(graph));
  }
}
