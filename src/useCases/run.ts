import type { ClassifyRequest, Inference, TensorsRequest } from '../inference/service';
import type { Settings } from '../models/model';
import { OpenedModels } from '../models/openedModels';

/** A request about a checkpoint that is named by its path. */
export type ByPath<R extends { readonly opened: unknown }> = Omit<R, 'opened'> & {
  readonly checkpoint: string;
  readonly model?: Settings;
};

interface Named {
  readonly checkpoint: string;
  readonly model?: Settings;
  readonly signal?: AbortSignal;
}

/**
 * Inference on checkpoints that nobody else holds open: opens each once, and again if it changed.
 */
export class PathRunner {
  private readonly models = new OpenedModels();
  private cancelling = new AbortController();

  constructor(private readonly inference: Inference) {}

  async classify(request: ByPath<ClassifyRequest>): ReturnType<Inference['classify']> {
    // The process starts while headers are read here.
    this.inference.warmUp();
    return this.inference.classify(await this.opened(request));
  }

  async preprocess(request: ByPath<ClassifyRequest>): ReturnType<Inference['preprocess']> {
    return this.inference.preprocess(await this.opened(request));
  }

  async checkProviders(request: ByPath<ClassifyRequest>): ReturnType<Inference['checkProviders']> {
    return this.inference.checkProviders(await this.opened(request));
  }

  async runTensors(request: ByPath<TensorsRequest>): ReturnType<Inference['runTensors']> {
    return this.inference.runTensors(await this.opened(request));
  }

  /** What is said of a model as it is understood: assumptions, and what is not run. */
  async warnings({ checkpoint, model }: Pick<Named, 'checkpoint' | 'model'>): Promise<readonly string[]> {
    const opened = await this.models.open(checkpoint, model);
    const { recognition } = opened.model;
    return [
      ...opened.model.checkpoint.warnings,
      ...(recognition.family === null ? [] : recognition.warnings),
    ];
  }

  attention(...asked: Parameters<Inference['attention']>): ReturnType<Inference['attention']> {
    return this.inference.attention(...asked);
  }

  /** Ends everything that runs, waits or is opened for a run with `cancelled`. */
  cancel(): void {
    this.cancelling.abort();
    this.cancelling = new AbortController();
    this.inference.cancel();
  }

  dispose(): Promise<void> {
    return this.inference.dispose();
  }

  private async opened<R extends Named>(request: R) {
    const own = request.signal ? [request.signal] : [];
    const signal = AbortSignal.any([this.cancelling.signal, ...own]);
    return { ...request, signal, opened: await this.models.open(request.checkpoint, request.model) };
  }
}
