import type { Pass } from '../domain/pass';
import type { Reading } from '../domain/reading';
import type { Size } from '../domain/size';
import type { GraphBuilder } from '../graph/builder';
import type { ValueInfo } from '../graph/graph';
import type { DefaultsName } from '../preprocessing/defaults';
import type { StateShape } from './blocks/decoding';
import type { Maps } from './blocks/stages';
import { configValue } from './config';
import { ConfigError } from './configKeys';
import type { Dialect, Rename, Translated } from './dialect';
import { nearestDivisor } from './divisors';
import { assumed, stored } from './evidence';
import type {
  BuildOptions,
  ConfigValue,
  Evidence,
  EvidenceRecord,
  Found,
  Known,
  LengthBounds,
  TaskName,
} from './family';

/** What runs by itself: the image encoder of a file that holds more, or all there is. */
export type PartName = 'image' | 'text' | 'decoder' | 'prompt' | 'score' | 'whole';

/** What any whole model may look at. */
export interface FoundModel {
  /** All tensors of the file by the names that the whole model has for them, without wrappers. */
  readonly tensors: ReadonlyMap<string, Translated>;
  readonly found: Pick<Found, 'checkpoint' | 'assume'>;
}

/** What a model around a backbone may look at, which is recognised; all else lies beside it. */
export interface FoundWhole extends FoundModel {
  readonly backbone: Known;
  /** The file as its backbone's family saw it. */
  readonly found: Found;
}

/** What any whole model makes of names and shapes. */
export interface RecognisedModel<C> {
  /** A label of the model: `detr`, `mask2former`. */
  readonly label: string;
  readonly title: string;
  /** Its own hyper-parameters; those of a backbone are shown as `backbone_…`. */
  readonly evidence: EvidenceRecord;
  readonly config: C;
  /** How its outputs become an answer. */
  readonly reading: Reading;
  readonly warnings?: readonly string[];
  /** Tokens, frames and texts that its parts are written for if nobody says others. */
  readonly lengths?: Readonly<Record<string, number>>;
  /** Between which numbers each may be, where tables of positions and the like bound it. */
  readonly bounds?: Readonly<Record<string, LengthBounds>>;
}

/** What a model around a backbone makes of the names and shapes around it. */
export interface RecognisedWhole<C> extends RecognisedModel<C> {
  /**
   * Image size if nobody asks for one, where the backbone's is not the model's; `image_size` among
   * the evidence says why.
   */
  readonly imageSize?: Size;
  /** The model_type of transformers that it is, whose usual preprocessing it takes. */
  readonly modelType?: string;
  readonly sizeStep?: Size;
  readonly pixels?: DefaultsName;
}

/** What a part of any whole model is written with. */
export interface ModelContext {
  readonly batch: number;
  /** Tokens, frames and texts that the part is written for, by name. */
  readonly lengths: Readonly<Record<string, number>>;
  /** Of a decoder: all tokens of a text, or those of a step of generation. */
  readonly pass: Pass;
}

/** What a part of a model around a backbone is written with. */
export interface PartContext extends BuildOptions, ModelContext {
  /**
   * Writes the image backbone into this part and hands back its maps; at most once. `how` is what
   * the model around it asks of its family.
   */
  backbone(how?: Pick<BuildOptions, 'dilatedStages' | 'visible' | 'uncovered' | 'entering'>): Maps;
  /**
   * Writes the image backbone and what its family makes of its maps, and hands that back by its
   * name (`features`, `tokens`); at most once, and in place of `backbone`.
   */
  answered(): ReadonlyMap<string, ValueInfo>;
  /** How the tokens or places lie that the backbone ends with; nothing is written for it. */
  imageTokens(): StateShape;
}

/** A part of a whole model: one graph. */
export interface PartOf<C, X extends ModelContext = PartContext> {
  readonly name: PartName;
  /** Writes the part with its inputs and outputs; parameters have the whole model's own names. */
  build(b: GraphBuilder, config: C, context: X): void;
}

/** What all whole models are described by. Parameters go by the names of the library. */
interface AnyWhole {
  /** Its name, which no other has: `detr`. */
  readonly name: string;
  /** The wider group that it is told by; its own name without it. */
  readonly row?: string;
  readonly title: string;
  readonly task: TaskName;
  /** Names that a file of this model has, all of them, after the renames. */
  readonly signature: readonly string[];
  /** Names of a wider model, which a file of this one has not. */
  readonly absent?: readonly string[];
  /** From names of other repositories and older versions to those that `build` reads. */
  readonly renames?: readonly Rename[];
  /** Keys that `assume` may set; those of a backbone are `backbone_heads` and so on. */
  readonly assumable: readonly string[];
  /**
   * Whether a module of its own has a weight and no bias; a bias that any other lacks has got lost.
   * Nothing is asked of files without it.
   */
  readonly hasNoBias?: (path: string, has: (name: string) => boolean) => boolean;
  /**
   * The library's model tells pixels of the image from those that fill up a batch; parts that read
   * `pixel_mask` if `lengths` says `masked` do so here.
   */
  readonly masksPixels?: true;
  /** Parameters that may take no part in the pass: auxiliary heads of training. */
  readonly idle?: RegExp;
}

/**
 * A model around an image backbone of any family: a detector, a segmenter, a depth estimator, a
 * pair of towers.
 */
export interface Whole<C = unknown> extends AnyWhole {
  /**
   * Hyper-parameters of the backbone are the model's own: it is one of two towers, or what stands
   * behind it has none of their kind.
   */
  readonly isTower?: true;
  /** "Not mine" is undefined; a hyper-parameter that cannot be is an error naming the tensor. */
  recognise(found: FoundWhole): RecognisedWhole<C> | undefined;
  /** In the order in which an answer needs them. */
  readonly parts: readonly PartOf<C>[];
}

/**
 * A model without an image backbone, whose own tensors tell all: what reads words alone. It has no
 * image size, and no preprocessing of images.
 */
export interface Standalone<C = unknown> extends AnyWhole {
  readonly standalone: true;
  /** The library whose names `signature` has. */
  readonly library: LibraryNaming;
  /** Types of config.json that are computed as this model is; others are refused. */
  readonly modelTypes: readonly string[];
  /** Names that the library registers as buffers, beside those that all libraries do. */
  readonly buffers?: RegExp;
  /** Names under which files may hold one parameter again, where it is stored as `kept`. */
  readonly tied?: { readonly kept: string; readonly copies: RegExp };
  /** "Not mine" is undefined; a hyper-parameter that cannot be is an error naming the tensor. */
  recognise(found: FoundModel): RecognisedModel<C> | undefined;
  /** In the order in which an answer needs them. */
  readonly parts: readonly PartOf<C, ModelContext>[];
}

/** What a library is called in records, and by people. */
export type LibraryNaming = Pick<Dialect, 'name' | 'title'>;

export const transformersLibrary: LibraryNaming = {
  name: 'transformers',
  title: 'Hugging Face transformers',
};

/** Any whole model of `wholes/index.ts`. */
export type WholeModel = Whole | Standalone;

/** Whether a whole model has no image backbone. */
export const isStandalone = (whole: WholeModel): whole is Standalone => 'standalone' in whole;

/** What a backbone is called by itself: `ResNet-50`. */
export const backboneTitle = ({ backbone }: Pick<FoundWhole, 'backbone'>): string =>
  backbone.title.replace(/, image backbone of .*/, '');

/** How a whole model's hyper-parameter is asked for. */
interface WholeQuestion<T extends ConfigValue> {
  /** Keys of config.json, the first that is there; `text_config.hidden_size` reaches inside. */
  readonly config: readonly string[];
  readonly otherwise: Evidence<T>;
  readonly is?: (value: ConfigValue) => boolean;
  /** `a number that divides the width 256`, for the message if a value is not one. */
  readonly needed?: string;
}

/**
 * Decides a hyper-parameter of a whole model: the user, config.json as it stands around the
 * backbone's own section, `otherwise`. Throws if the user's value cannot be, and `ConfigError` if
 * config.json's cannot.
 */
export function settle<T extends ConfigValue>(
  { found }: FoundModel,
  key: string,
  { config, otherwise, is = () => true, needed = 'another value' }: WholeQuestion<T>,
): Evidence<T> {
  const user = found.assume[key];
  const said = user === undefined ? configured(found, config) : undefined;
  const value = user ?? said?.value;
  if (value === undefined) return otherwise;
  if (said && !is(value)) throw new ConfigError(`${said.source} is ${String(value)}; ${needed} is needed`);
  if (!is(value)) throw new Error(`${key}: ${String(value)} found; ${needed} is needed`);
  return stored(value as T, said?.source ?? 'given by the user') as Evidence<T>;
}

/** Where a key of open_clip_config.json begins: `open_clip:model_cfg.text_cfg.heads`. */
const openClipKey = 'open_clip:';

/** The first of these keys that a configuration has outside of the backbone's section. */
function configured(
  { checkpoint: { sidecars } }: FoundModel['found'],
  keys: readonly string[],
): { readonly value: ConfigValue; readonly source: string } | undefined {
  for (const key of keys) {
    const isOpenClip = key.startsWith(openClipKey);
    const path = isOpenClip ? key.slice(openClipKey.length) : key;
    const value = configValue(valueAt(isOpenClip ? sidecars.openClip : sidecars.config, path));
    const file = isOpenClip ? 'open_clip_config.json' : 'config.json';
    if (value !== undefined) return { value, source: `${file}: ${path}` };
  }
  return undefined;
}

type Json = Readonly<Record<string, unknown>>;

const valueAt = (json: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((inside, name) => (inside as Json | null | undefined)?.[name], json);

/** Heads of a width, which they must divide: by the user, config.json, or 32 channels each. */
export function headsOfWhole(
  found: FoundModel,
  key: string,
  width: number,
  { config, perHead = 32 }: { readonly config: readonly string[]; readonly perHead?: number },
): Evidence<number> {
  return settle(found, key, {
    config,
    otherwise: assumed(nearestDivisor(width, width / perHead), `${perHead} channels per head; not stored`),
    is: (value) => typeof value === 'number' && value > 0 && width % value === 0,
    needed: `a number that divides the width ${width}`,
  });
}
