import type { CallContext } from '../../protocol/channel';
import type { ImagePanelApi } from '../../protocol/image';
import type { RunOptions } from '../../tasks/run';
import type { Explaining } from '../../useCases/explaining';
import { saveAndOpen } from '../dialogue/saving';

type ExplanationApi = Pick<ImagePanelApi, 'explainable' | 'explain' | 'faithfulness' | 'saveTensors'>;

/** Opens the image to be explained as it was run with some options. */
export type OpenExplaining = (
  options: RunOptions,
  signal: AbortSignal,
  report: (message: string) => void,
) => Promise<Explaining>;

/** What an image panel is asked about the reasons of its answer. */
export class ImageExplanations {
  private opened: { readonly asked: string; readonly explaining: Promise<Explaining> } | undefined;

  constructor(private readonly open: OpenExplaining) {}

  /** The image or the model is another one than before. */
  forget(): void {
    this.opened = undefined;
  }

  api(image: string): ExplanationApi {
    return {
      explainable: async (options, call) => (await this.of(options, call)).explainable,
      explain: async (options, question, call) => (await this.of(options, call)).explain(question, call),
      faithfulness: async (options, methods, target, call) =>
        (await this.of(options, call)).faithfulness(methods, target, call),
      saveTensors: async (options, question, name, call) => {
        const explaining = await this.of(options, call);
        return saveAndOpen(image, name, await explaining.file(question, call));
      },
    };
  }

  /** The image as it was opened for these options; one whose opening failed is opened anew. */
  private of(options: RunOptions, { signal, progress }: CallContext): Promise<Explaining> {
    const asked = JSON.stringify(options);
    if (this.opened?.asked === asked) return this.opened.explaining;
    const explaining = this.open(options, signal, progress);
    const opened = { asked, explaining };
    this.opened = opened;
    explaining.catch(() => {
      if (this.opened === opened) this.opened = undefined;
    });
    return explaining;
  }
}
