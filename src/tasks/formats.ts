import type { Size } from '../domain/size';
import type { Answer } from './answer';

/** The image that an answer is about, as files of other tools name it. */
export interface NamedImage {
  /** Name of its file. */
  readonly name: string;
  /** Height and width in pixels. */
  readonly size: Size;
}

/** What is written, and what is to be said of it. */
export interface FileContent {
  readonly data: string | Uint8Array;
  readonly warning?: string;
}

/**
 * A file of other tools that an answer can be written as. Modules of formats read nothing of Node:
 * pages write them, too.
 */
export interface FileFormat<A extends Answer> {
  /** What its name ends with: `coco.json`. */
  readonly ending: string;
  /** The same beside the image itself, where an ending alone does not say what is in the file. */
  readonly besideImage?: string;
  /** `COCO JSON` */
  readonly title: string;
  /** What is in it, in a few words. */
  readonly what: string;
  /** `predict` writes such a file as the answer's map. */
  readonly isMap?: true;
  content(answer: A, image: NamedImage): FileContent | Promise<FileContent>;
  /** One file of those of many images; absent if each stays a file of its own. */
  readonly join?: (texts: readonly string[]) => string;
}

/** A file's name without its folders. */
export const baseName = (path: string): string => path.split(/[\\/]/).at(-1) ?? path;
