import type { ClassifyRequest, Inference, TensorsRequest } from '../inference/service';
import type { Settings } from '../models/model';
import { OpenedModels } from '../models/openedModels';

/** A request about a checkpoint that is named by its path. */
export type ByPath<R extends { readonly opened: unknown }> = Omit<R, 'opened'> & {
  readonly checkpoint: string;
  readonly model?: Settings;
};

/** Inference on checkpoints that nobody else holds open: opens each once, and again if it changed. */
export class PathRunner {
  private readonly models = new OpenedModels();

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

  attention(...asked: Parameters<Inference['attention']>): ReturnType<Inference['attention']> {
    return this.inference.attention(...asked);
  }

  cancel(): void {
    this.inference.cancel();
  }

  dispose(): Promise<void> {
    return this.inference.dispose();
  }

  private async opened<R extends { readonly checkpoint: string; readonly model?: Settings }>(request: R) {
    return { ...request, opened: await this.models.open(request.checkpoint, request.model) };
  }
}
