import type { ClassifyRequest, Inference, TensorsRequest } from '../inference/service';
import type { TextRequest } from '../inference/texts';
import type { Settings } from '../models/model';
import { readsTexts } from '../models/reads';
import { withAnySignal } from '../domain/aborting';
import { readsClips } from '../tasks/video/video';
import { OpenedModels, type OpenedModel } from '../models/openedModels';
import { explainImage, graphRunner, type ExplainedImage, type ExplainRequest } from './explain';
import { vectorOf, type ImageVector } from './nearest';

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

  constructor(
    private readonly inference: Inference,
    /** Runs what is asked of inference after the checkpoint was read. */
    private readonly around: <T>(task: () => Promise<T>) => Promise<T> = (task) => task(),
  ) {}

  async classify(request: ByPath<ClassifyRequest>): ReturnType<Inference['classify']> {
    // The process starts while headers are read here.
    this.inference.warmUp();
    return this.withOpened(request, (opened) => this.inference.classify(opened));
  }

  async preprocess(request: ByPath<ClassifyRequest>): ReturnType<Inference['preprocess']> {
    return this.withOpened(request, (opened) => this.inference.preprocess(opened));
  }

  async checkProviders(request: ByPath<ClassifyRequest>): ReturnType<Inference['checkProviders']> {
    return this.withOpened(request, (opened) => this.inference.checkProviders(opened));
  }

  async runTensors(request: ByPath<TensorsRequest>): ReturnType<Inference['runTensors']> {
    return this.withOpened(request, (opened) => this.inference.runTensors(opened));
  }

  async write(request: ByPath<TextRequest>): ReturnType<Inference['write']> {
    this.inference.warmUp();
    return this.withOpened(request, (opened) => this.inference.write(opened));
  }

  /** Explains an answer, as `explainImage` does. */
  async explain(request: ByPath<ExplainRequest>): Promise<ExplainedImage> {
    return this.withOpened(request, (opened) => explainImage(this.inference, opened));
  }

  /** What an image is in the space of a model. */
  async imageVector(request: ByPath<ClassifyRequest>): Promise<ImageVector> {
    return this.withOpened(request, async ({ opened, ...asked }) => {
      const { pixelValues } = await this.inference.preprocess({ opened, ...asked, displaySide: 0 });
      const { shape, data } = pixelValues;
      if (shape.length !== 4 || shape[0] !== 1 || !(data instanceof Float32Array))
        throw new Error(`${request.checkpoint}: images are compared by models that read one as numbers`);
      const run = graphRunner(this.inference, opened, { signal: asked.signal });
      return vectorOf(opened.model, { shape, data }, run);
    });
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

  /** Whether a model reads images, the frames of a clip in place of one, or no image at all. */
  async reads({
    checkpoint,
    model: settings,
  }: Pick<Named, 'checkpoint' | 'model'>): Promise<'images' | 'clips' | 'texts'> {
    const { model } = await this.models.open(checkpoint, settings);
    if (readsTexts(model)) return 'texts';
    return readsClips(model) ? 'clips' : 'images';
  }

  attention(...asked: Parameters<Inference['attention']>): ReturnType<Inference['attention']> {
    return this.around(() => this.inference.attention(...asked));
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

  /** Ends with the asker's own signal, and with `cancel()` from now on. */
  private withOpened<R extends Named, T>(
    request: R,
    ask: (request: R & { readonly signal: AbortSignal; readonly opened: OpenedModel }) => Promise<T>,
  ): Promise<T> {
    return withAnySignal([this.cancelling.signal, request.signal], async (signal) => {
      const opened = await this.models.open(request.checkpoint, request.model);
      return this.around(() => ask({ ...request, signal, opened }));
    });
  }
}
