import { isOwn, type Beside } from '../../domain/explanation';
import type { CallContext } from '../../protocol/channel';
import type { ImagePanelApi } from '../../protocol/image';
import type { RunOptions } from '../../tasks/run';
import type { Explaining } from '../../useCases/explaining';

type ExplanationApi = Pick<
  ImagePanelApi,
  'explainable' | 'explain' | 'walk' | 'faithfulness' | 'saveTensors'
>;

/** Opens an image to be explained as it was run with some options. */
export type OpenExplaining = (
  options: RunOptions,
  about: Beside,
  signal: AbortSignal,
  report: (message: string) => void,
) => Promise<Explaining>;

/** Saves bytes of a file that belongs to an image. */
export type SaveBytes = (suggestedName: string, bytes: Uint8Array) => Promise<boolean>;

interface Opened {
  readonly asked: string;
  readonly explaining: Promise<Explaining>;
}

const own: Beside = {};

/**
 * What an image panel is asked about the reasons of its answer, and of the one beside it: each is
 * kept while the other changes.
 */
export class ImageExplanations {
  private readonly opened = new Map<'own' | 'beside', Opened>();

  constructor(
    private readonly open: OpenExplaining,
    private readonly save: SaveBytes,
  ) {}

  /** The images or the models are others than before. */
  forget(): void {
    this.opened.clear();
  }

  api(): ExplanationApi {
    return {
      explainable: async (options, about, call) => (await this.of(options, about, call)).explainable,
      explain: async (options, question, about, call) =>
        (await this.of(options, about, call)).explain(question, call),
      walk: async (options, question, call) => (await this.of(options, own, call)).walk(question, call),
      faithfulness: async (options, methods, target, call) =>
        (await this.of(options, own, call)).faithfulness(methods, target, call),
      saveTensors: async (options, question, name, about, call) => {
        const explaining = await this.of(options, about, call);
        return this.save(name, await explaining.file(question, call));
      },
    };
  }

  /** The image as it was opened for these options; one whose opening failed is opened anew. */
  private of(options: RunOptions, about: Beside, { signal, progress }: CallContext): Promise<Explaining> {
    const place = isOwn(about) ? 'own' : 'beside';
    const asked = JSON.stringify([options, about]);
    const known = this.opened.get(place);
    if (known?.asked === asked) return known.explaining;
    const explaining = this.open(options, about, signal, progress);
    const opened = { asked, explaining };
    this.opened.set(place, opened);
    explaining.catch(() => {
      if (this.opened.get(place) === opened) this.opened.delete(place);
    });
    return explaining;
  }
}
