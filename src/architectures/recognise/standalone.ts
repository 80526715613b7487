import type { Checkpoint } from '../../checkpoint/checkpoint';
import { ConfigError } from '../configKeys';
import { translate, type Translated } from '../dialect';
import type { ConfigValue, Known } from '../family';
import type { Network } from '../networks/networks';
import { isStandalone, type Standalone } from '../whole';
import { namesOfWhole, namingOf, speaksOf, wholes } from '../wholes';

const standalone = wholes.filter(isStandalone);

/** Axes of the kernels of images: a file with one is no model of words alone. */
const imageRank = 4;

/** Models without an image backbone whose names a network has. */
export const standaloneIn = (network: Network): readonly Standalone[] =>
  network.members.some(({ tensor }) => tensor.shape.length >= imageRank)
    ? []
    : standalone.filter((whole) => speaksOf(whole, network));

/**
 * What a network is as a model without an image backbone; undefined if it is another. Throws
 * `ConfigError` if config.json is of a model that computes otherwise, or what the user has to mend.
 */
export function recogniseStandalone(
  whole: Standalone,
  network: Network,
  checkpoint: Checkpoint,
  { assume = {} }: { readonly assume?: Readonly<Record<string, ConfigValue>> },
): Known | undefined {
  requireType(whole, checkpoint);
  const naming = namingOf(whole);
  const read = translate(naming, network);
  const tensors = namesOfWhole(whole, network);
  const own = read && whole.recognise({ tensors, found: { checkpoint, assume } });
  if (!own) return undefined;
  const translation = { ...read, copies: copiesIn(whole, tensors) };
  requireAssumable(whole, assume);
  return {
    label: own.label,
    title: own.title,
    family: whole.row ?? whole.name,
    architecture: whole.name,
    familyTitle: whole.title,
    dialect: naming.name,
    task: whole.task,
    evidence: own.evidence,
    assumable: whole.assumable,
    candidates: [],
    warnings: own.warnings ?? [],
    whole: { name: whole.name, config: own.config },
    reading: own.reading,
    translation,
    ...(own.lengths && { lengths: own.lengths }),
    ...(own.bounds && { bounds: own.bounds }),
  };
}

/** Tensors that hold a parameter again, by the names of the file, and the one that is read. */
function copiesIn(
  { tied }: Standalone,
  tensors: ReadonlyMap<string, Translated>,
): ReadonlyMap<string, string> {
  const kept = tied && tensors.get(tied.kept);
  if (!kept) return new Map();
  const copies = [...tensors].filter(
    ([name, { shape }]) => tied.copies.test(name) && String(shape) === String(kept.shape),
  );
  return new Map(copies.map(([, { tensor }]) => [tensor.name, kept.tensor.name]));
}

/** Throws if config.json names a type of model that is computed otherwise. */
function requireType({ title, modelTypes }: Standalone, { sidecars: { config } }: Checkpoint): void {
  const type = config?.['model_type'];
  if (typeof type !== 'string' || modelTypes.includes(type)) return;
  throw new ConfigError(
    `config.json: model_type is ${type}, and the names are those of ${title}, which computes otherwise`,
  );
}

function requireAssumable(
  { title, assumable }: Standalone,
  assume: Readonly<Record<string, ConfigValue>>,
): void {
  const strange = Object.keys(assume).find((key) => !assumable.includes(key));
  if (strange !== undefined)
    throw new Error(
      `assume: ${strange} is not a hyper-parameter of ${title} that can be set; these are ${assumable.join(', ')}`,
    );
}
