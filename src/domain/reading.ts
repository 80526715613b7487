import type { Size } from './size';

/** How a model of images and words reads texts. */
export interface TextsRead {
  /** Tokens that a text may have. */
  readonly context: number;
  /** To what length texts are padded: the longest given, or the whole context. */
  readonly padding: 'longest' | 'context';
}

/**
 * How the outputs of a model become an answer: what the library's post-processing does, as data
 * that a recognised model carries to its task.
 */
export type Reading =
  | {
      readonly task: 'detect';
      /**
       * Which scores count: the best class of each query beside "no object" (softmax), the best
       * pairs of query and class (sigmoid), one text per query, or the tokens of one text.
       */
      readonly rule: 'softmax' | 'pairs' | 'texts' | 'phrases';
      /** Pairs that are kept of `pairs`; all queries' number without it. */
      readonly top?: number;
      /** Boxes are relative to the image padded to a square. */
      readonly square?: boolean;
      /** Of a model that finds whatever texts say. */
      readonly texts?: TextsRead;
      /** Rows and columns of pixels of the patches, each of which is a query of its own. */
      readonly patch?: Size;
    }
  | {
      readonly task: 'segment';
      /** One score per pixel and class, masks of queries, or masks of points and boxes. */
      readonly rule: 'semantic' | 'queries' | 'prompts';
      /** Masks of queries are brought to this size before anything else, `[rows, columns]`. */
      readonly inner?: Size;
      /**
       * Masks are cut to the image's part of the input, and an object has no pixel outside of its
       * own mask (EoMT).
       */
      readonly cut?: true;
      /** Of prompts: the image was stretched to the model's size, not padded to it. */
      readonly stretched?: boolean;
      /**
       * The model is told in so many token ids which answer is asked for, and its instances contest
       * each pixel (OneFormer).
       */
      readonly told?: { readonly context: number };
    }
  | {
      readonly task: 'depth';
      readonly unit: 'relative' | 'metres';
      /** The library's processor may put a border around the image, which is cut off again. */
      readonly bordered?: boolean;
    }
  /** Places of a body's parts, one map each. */
  | { readonly task: 'keypoints' }
  /** One of all texts, or each by itself. */
  | ({ readonly task: 'zero-shot'; readonly scores: 'softmax' | 'sigmoid' } & TextsRead)
  /** Patches that a model of masked images draws. */
  | {
      readonly task: 'reconstruct';
      /** Side of a patch in pixels. */
      readonly patch: number;
      /** Share of the patches that is hidden, of a model that is told which, and not by noise. */
      readonly share?: number;
      /** Patches a side of squares that are hidden together, of such a model; 1 without it. */
      readonly unit?: number;
      /** Patches are drawn with their own mean and deviation taken off. */
      readonly normalised: boolean;
    }
  /** The image itself, so many times as large. */
  | { readonly task: 'restore'; readonly scale: number }
  /** Classes of a clip; the input is so many frames. */
  | { readonly task: 'video'; readonly frames: number }
  /**
   * Every reply by itself, or words that are written as the reply; a question may have so many
   * tokens.
   */
  | {
      readonly task: 'ask';
      readonly context: number;
      readonly writing?: Writing;
      /**
       * What the library asks for words that name one of the model's tasks; what follows such a
       * word takes the place of `{input}`.
       */
      readonly questions?: Readonly<Record<string, string>>;
    }
  /** Words are written of an image. */
  | { readonly task: 'caption'; readonly writing: Writing }
  /** A text about another; a sequence may have so many tokens, any number if it is not said. */
  | { readonly task: 'translate'; readonly places?: number }
  | { readonly task: 'other' };

/** How the library begins a text, and where it reads the settings of generation. */
export interface Writing {
  /** Tokens that the decoder has positions for; any number without it. */
  readonly positions?: number;
  /**
   * Whether the start token stands in front of a bare prompt, in the place of the first special
   * token of one that has them, or nowhere: the prompt begins with a token of its own.
   */
  readonly prompt: 'bare' | 'special' | 'instead';
  /** Section of config.json that alone decides, whatever generation_config.json says. */
  readonly section?: string;
  /** Key of that section that holds the end token: `sep_token_id`. */
  readonly end?: string;
  /** Values of keys that config.json leaves out because the library has them. */
  readonly defaults?: Readonly<Record<string, number>>;
}
