import { sum } from '../domain/lists';
import { fileStates } from '../models/files';
import { hash } from '../models/identity';
import type { Choice } from './providerChoice';
import type { ImageRequest, ImageRun, SessionRequest, StepRequest } from './remoteApi';

/** Where the inference process keeps the maps of a step; another generation of it keeps none. */
export interface KeptMaps {
  readonly child: number;
  readonly generation: number;
}

/** What a model's first step made of an image: later steps go on from it, however often. */
export interface EncodedImage {
  readonly ran: ImageRun;
  /** The provider that it ran on. */
  readonly choice: Choice;
  readonly maps: KeptMaps;
}

/**
 * Bytes of all images that are kept, about ten of SAM's: its map of an image (256 channels of
 * 64 × 64) has 4 MB at every size of the model, what is shown of the image up to 6. The newest is
 * kept whatever it has.
 */
const mostBytes = 100e6;

const bytesOf = ({ ran: { outputs, seen } }: EncodedImage): number =>
  sum(outputs.map(({ values }) => values.byteLength)) + seen.pixels.rgb.length + seen.seen.rgb.length;

/**
 * Images that were encoded last, so that a new prompt for one of them runs what reads prompts
 * alone. They go with the inference process when that is let go.
 */
export class EncodedImages {
  private entries = new Map<string, EncodedImage>();

  get(key: string | undefined): EncodedImage | undefined {
    const found = key === undefined ? undefined : this.entries.get(key);
    if (key !== undefined && found) this.set(key, found);
    return found;
  }

  set(key: string | undefined, encoded: EncodedImage): void {
    if (key === undefined) return;
    this.entries.delete(key);
    this.entries.set(key, encoded);
    let bytes = sum([...this.entries.values()].map(bytesOf));
    for (const [oldest, each] of this.entries) {
      if (bytes <= mostBytes || this.entries.size === 1) break;
      this.entries.delete(oldest);
      bytes -= bytesOf(each);
    }
  }

  clear(): void {
    this.entries.clear();
  }
}

/**
 * An image, or a clip, with what is done to it and the state of its files; undefined if there is
 * none, which is better said by who decodes it.
 */
export async function imageKey(image: ImageRequest): Promise<string | undefined> {
  try {
    return hash([image, await fileStates(image.clip?.paths ?? [image.path])]);
  } catch {
    return undefined;
  }
}

/**
 * What a first step's outputs depend on; undefined if it reads more than the image, so that it must
 * run again.
 */
export async function encodedKey(
  { model, image, step }: StepRequest,
  session: SessionRequest,
): Promise<string | undefined> {
  const readsImageAlone = Object.values(step.inputs).every((source) => source === 'image');
  const key = readsImageAlone ? await imageKey(image) : undefined;
  return key === undefined ? undefined : hash([model.key, step, session, key]);
}
