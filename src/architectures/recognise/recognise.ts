import { MissingItemError } from '../../domain/lists';
import type { Size } from '../../domain/size';
import type { Checkpoint, Tensor } from '../../checkpoint/checkpoint';
import { ParameterError } from '../../graph/builder';
import { TooLargeError } from '../../graph/limits';
import type { Translation } from '../dialect';
import type { ConfigValue, Family, Found, Known, Recognised, Recognition } from '../family';
import { networksIn, type Network } from '../networks/networks';
import { families, familyNamed } from '../registry';
import { namingOf, wholes } from '../wholes';
import { checkConfig, ConfigError } from '../configKeys';
import { Asked } from './asked';
import { checkArguments } from '../timmArguments';
import { requireNamedFamily } from '../timmFamilies';
import { translations } from './dialects';
import { fitOf, type Fit, type Misfit } from './fit';
import { namedNetwork } from './namedNetworks';
import { nearestFamily } from './nearest';
import { flattenedBy, otherKind } from './otherKinds';
import { keysOfAny, loraScaleIn, settled } from './settle';
import { familyOf } from './idle';
import { recogniseStandalone, standaloneIn } from './standalone';
import { assumedOfBackbone, asWhole, wholeOf } from './wholes';

export interface RecogniseOptions {
  /** Hyper-parameters that the weights do not hold, as the user typed them in. */
  readonly assume?: Readonly<Record<string, ConfigValue>>;
  /** `[height, width]` the user asked for. */
  readonly imageSize?: Size;
}

/** A family's name for people: `Vision Transformer`. */
export const titleOfFamily = (name: string): string =>
  [...families, ...wholes].find((family) => family.name === name)?.title ?? name;

function strangeNames(translation: Translation | undefined): string {
  if (!translation) return 'no known architecture has these tensor names';
  const [unexpected] = translation.unexpected;
  const { title } = translation.dialect;
  return unexpected === undefined
    ? `${title} names, in a combination that no known architecture has`
    : `${title} names, but no known architecture has ${unexpected}`;
}

type Unknown = Extract<Recognition, { family: null }>;

/** What a file is whose names a known naming has, and a network that is not run goes by. */
function likelyNamed(tensors: readonly Tensor[], translation: Translation | undefined): string | undefined {
  const isTold = translation?.dialect.families !== undefined;
  const named = isTold ? undefined : namedNetwork(tensors);
  return named && `looks like ${named}`;
}

/**
 * Files of another kind that people open by mistake, and those whose names no family has.
 *
 * @param unmet what the family of these names asked for and did not find
 */
function unknown(
  { selected: { tensors } }: Checkpoint,
  translation: Translation | undefined,
  unmet: readonly string[],
): Unknown {
  return {
    family: null,
    dialect: translation?.dialect.name ?? 'unknown',
    reason: likelyNamed(tensors, translation) ?? otherKind(tensors) ?? strangeNames(translation),
    nearest: nearestFamily(tensors, translation, unmet),
  };
}

/** A file with the names of a family that it does not quite fit. */
function nearly({ title, architecture, familyTitle, dialect }: Known, missing: readonly string[]): Unknown {
  const reason = `like ${title} (${familyTitle}), but ${missing[0]}`;
  return { family: null, dialect, reason, nearest: { family: architecture, missing } };
}

/**
 * A file with the names of a family whose hyper-parameters cannot be found: what they are read off
 * is not there.
 */
function refused(
  { name, title }: Pick<Family, 'name' | 'title'>,
  dialect: Pick<Translation['dialect'], 'name'>,
  cause: unknown,
): Unknown {
  if (cause instanceof ConfigError)
    return {
      family: null,
      dialect: dialect.name,
      reason: cause.message,
      nearest: { family: name, missing: [cause.message] },
      cause,
    };
  const missing = [cause instanceof Error ? cause.message : 'sizes and layers that go together'];
  return {
    family: null,
    dialect: dialect.name,
    reason: `like ${title}, but ${missing[0]}`,
    nearest: { family: name, missing },
    cause,
  };
}

/**
 * What a checkpoint is: dialect, family and hyper-parameters with their evidence; `family: null`
 * with the reason if it is none of the known ones. A family is believed when its graph can be
 * written and every parameter of the network has a place in it or lies beside it; of several
 * readings the one that places most of the file. Throws if `assume` holds a key that the family
 * does not know, or a value that cannot be. An .onnx file is understood elsewhere.
 */
export function recognise(checkpoint: Checkpoint, options: RecogniseOptions = {}): Recognition {
  const flattened = flattenedBy(checkpoint.selected.tensors);
  if (flattened !== undefined) return { family: null, dialect: 'unknown', reason: flattened };
  const search = new Search(checkpoint, options);
  for (const networks of networksIn(checkpoint.selected.tensors, loraScaleIn(options.assume))) {
    for (const network of networks) {
      const whole = search.read(network);
      if (whole) return whole;
    }
    if (search.best) break;
  }
  return search.result();
}

/** Names without a place that a naming may have and still be the one that is meant. */
const fewUnexpected = 3;

/** The naming that is spoken of: one that a few names alone keep from fitting, else the first. */
const likeliest = (found: readonly Translation[]): Translation | undefined =>
  found.find(({ unexpected }) => unexpected.length > 0 && unexpected.length <= fewUnexpected) ?? found[0];

/** What was found so far of the networks that a file may hold. */
class Search {
  best: Fit | undefined;
  private near: Unknown | undefined;
  private nearness = 0;
  private refusal: Unknown | undefined;
  private first: readonly Translation[] | undefined;
  /** Names that the first family to give up asked for in vain. */
  private unmet: readonly string[] = [];

  constructor(
    private readonly checkpoint: Checkpoint,
    private readonly options: RecogniseOptions,
  ) {}

  /** Tries every family whose names a network has; returns the first that has a place for all. */
  read(network: Network): Recognition | undefined {
    const alone = this.readAlone(network);
    if (alone) return alone;
    const found: Translation[] = [];
    for (const translation of translations(network)) {
      found.push(translation);
      // Of later networks no naming is spoken of.
      this.first ??= found;
      if (translation.unexpected.length > 0) continue;
      for (const family of familiesOf(translation))
        try {
          const recognition = recogniseAs(family, translation, this.checkpoint, this.options);
          if (!recognition) {
            if (this.unmet.length === 0)
              this.unmet = unmetBy(family, translation, this.checkpoint, this.options);
            continue;
          }
          const fit = this.fits(recognition);
          if (fit?.beside.length === 0) return this.settled(fit);
        } catch (error) {
          // What the user typed in is meant for the network that the file itself is.
          if (network.root === '') this.refusal ??= refused(family, translation.dialect, error);
        }
    }
    return undefined;
  }

  /** Tries the models without an image backbone whose names a network has. */
  private readAlone(network: Network): Recognition | undefined {
    for (const whole of standaloneIn(network))
      try {
        const recognition = recogniseStandalone(whole, network, this.checkpoint, this.options);
        const fit = recognition && this.fits(recognition);
        if (fit?.beside.length === 0) return this.settled(fit);
      } catch (error) {
        if (network.root === '') this.refusal ??= refused(whole, namingOf(whole), error);
      }
    return undefined;
  }

  /** Keeps how well a reading fits; returns that if it does. */
  private fits(recognition: Known): Fit | undefined {
    const fit = fitOf(this.checkpoint, recognition);
    if ('missing' in fit) {
      this.comesNear(recognition, fit);
      return undefined;
    }
    if (!this.best || fit.placed > this.best.placed) this.best = fit;
    return fit;
  }

  /** Keeps what comes nearest: of several the family that found a place for the most parameters. */
  private comesNear(recognition: Known, { missing, read = Infinity }: Misfit): void {
    if (this.near && read <= this.nearness) return;
    this.near = nearly(recognition, missing);
    this.nearness = read;
  }

  private settled(fit: Fit): Known {
    const { assume } = this.options;
    const { recognition } = fit;
    const family = familyOf(recognition);
    return settled(this.checkpoint, fit, assume, (pool) => {
      const options = { ...this.options, assume: { ...assume, pool } };
      try {
        return family && recogniseAs(family, recognition.translation!, this.checkpoint, options);
      } catch {
        // The family knows no such pooling, so that no head behind it is read.
        return undefined;
      }
    });
  }

  /** The best fit, or why there is none. Throws what the user has to mend. */
  result(): Recognition {
    if (this.best) return this.settled(this.best);
    // A file that comes near to one family may speak the names of another, too, whose hyper-
    // parameters it cannot have.
    if (this.near || !this.refusal)
      return this.near ?? unknown(this.checkpoint, likeliest(this.first ?? []), this.unmet);
    const { cause } = this.refusal;
    const understood = [ParameterError, MissingItemError, ConfigError, TooLargeError];
    if (!understood.some((kind) => cause instanceof kind)) throw cause;
    return this.refusal;
  }
}

const plain: readonly string[] = ['siglip', 'clip', 'vit'];
/** Without biases of queries and values, EVA's names are those of any plain transformer of timm. */
const plainOfTimm: readonly string[] = ['siglip', 'clip', 'eva', 'vit'];

function familiesOf({ dialect: { families: own, name } }: Translation): readonly Family[] {
  return (own ?? (name === 'timm' ? plainOfTimm : plain)).map(familyNamed);
}

/** Canonical names that a family asks for and a network lacks, the last asked for first. */
function unmetBy(
  family: Family,
  translation: Translation,
  checkpoint: Checkpoint,
  options: RecogniseOptions,
): readonly string[] {
  const asked = new Asked(translation.parameters);
  try {
    recogniseAs(family, { ...translation, parameters: asked }, checkpoint, options);
  } catch {
    // What it asked for until then is known.
  }
  return [...asked.missed].reverse();
}

function recogniseAs(
  family: Family,
  translation: Translation,
  checkpoint: Checkpoint,
  { assume = {}, imageSize }: RecogniseOptions,
): Known | undefined {
  const { dialect, parameters: tensors } = translation;
  const around = wholeOf(translation);
  const found: Found = {
    tensors,
    dialect: dialect.inner ?? dialect,
    ownTensors: () => ownTensors(translation),
    checkpoint,
    assume: assumedOfBackbone(around, assume),
    ...(imageSize && { imageSize }),
  };
  const own = family.recognise(found);
  if (!own) return undefined;
  requireAssumable(family, found.assume, own.evidence);
  const isPart = dialect.backboneOf !== undefined;
  if (!isPart && !around) requireNamedFamily(found, family.name, family.title);
  const doubts = [
    ...checkConfig(found, { name: family.name, title: family.title, isPart }),
    ...checkArguments(found, family.title, own.evidence),
  ];
  const recognised = { ...own, warnings: [...own.warnings, ...doubts] };
  const known: Known = {
    ...(dialect.backboneOf === undefined ? recognised : asBackbone(recognised, dialect.backboneOf)),
    family: family.row ?? family.name,
    architecture: family.name,
    familyTitle: family.title,
    dialect: dialect.name,
    assumable: family.assumable,
    translation,
  };
  return around ? asWhole(around, known, { ...found, assume }) : known;
}

/** The tensors below the network's path and prefix, under the names that they have there. */
function ownTensors({ network, prefix }: Translation): readonly Tensor[] {
  const own = prefix.slice(network.root.length);
  return network.members
    .filter(({ inside, name }) => inside && name.startsWith(own))
    .map(({ tensor, name }) => ({ ...tensor, name: name.slice(own.length) }));
}

/** A model of which only the image backbone is known: it runs, what lies beside it counts. */
const asBackbone = (recognised: Recognised<unknown>, model: string): Recognised<unknown> => ({
  ...recognised,
  task: 'features',
  title: `${recognised.title}, image backbone of ${model}`,
});

/** Throws if the user sets what a family has not, or what the weights say otherwise. */
function requireAssumable(
  family: Family,
  assume: Readonly<Record<string, ConfigValue>>,
  evidence: Recognised<unknown>['evidence'],
): void {
  const known = [...family.assumable, ...keysOfAny];
  const strange = Object.entries(assume).find(
    ([key, value]) => !known.includes(key) && !isSaid(evidence[key]?.value, value),
  );
  if (strange === undefined) return;
  const [key] = strange;
  const own = evidence[key];
  throw new Error(
    own
      ? `assume: ${key} is ${String(own.value)} by ${own.source} and cannot be set`
      : `assume: ${key} is not a hyper-parameter of ${family.title}; known are ${family.assumable.join(', ')}`,
  );
}

/** Whether the user says what is known: the number of each stage, or one for all of them. */
const isSaid = (known: ConfigValue | undefined, said: ConfigValue): boolean =>
  known !== undefined &&
  (String(known) === String(said) || (Array.isArray(known) && known.every((each) => each === said)));

export { buildGraph, keepGraph, partsOf } from './graphs';
export { countParameters } from './counts';
export { isBeside } from './fit';
export type { Known } from '../family';
