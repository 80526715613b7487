/**
 * Parameters that published models have and a file lacks. A family takes a module that is not
 * stored for one that the model was built without, as many are; which modules of which models are
 * so is known (../published/complete.ts).
 */
import { bareName } from '../dialect';
import type { Known } from '../family';
import type { Member } from '../networks/networks';
import { namesOfKind, relatedOf, type KnownNames } from '../published/complete';

/** What models are compared as: naming, architecture, label, and the model around it if one is. */
export const kindOf = ({ dialect, architecture, label, whole }: Known): string =>
  [dialect, architecture, label, ...(whole ? [whole.name] : [])].join(' ');

/** Members of a list that are modules of their own: their number says how deep the model is. */
const ofMember = /(^|[./])\d+(?=[./][^./]+[./])/g;
/** Numbers that are written as a part of a member's name. */
const inMember = /((?:^|[./])(?:encoder_layer_|encoderblock_|unit|denselayer))\d+(?=[./])/g;
/** A layer of a list by itself: `stem.1.weight`, `blocks.3.gamma_1`. */
const layerOfList = /^((?:.*[./])?)(\d+)(?=[./][^./]+$)/;
/** Lists with this number are as long as a model is deep; layers of shorter ones differ. */
const deep = 5;

/**
 * Names with `*` for the numbers of lists that may be longer or shorter. Layers of a short sequence
 * (`stem.1.weight`) keep theirs.
 */
export function withoutNumbers(names: readonly string[]): readonly string[] {
  const starred = names.map((name) => name.replace(ofMember, '$1*').replace(inMember, '$1*'));
  const lists = new Set(
    starred.flatMap((name) => {
      const [, list, index = 0] = layerOfList.exec(name) ?? [];
      return list !== undefined && Number(index) >= deep ? [list] : [];
    }),
  );
  for (const name of starred)
    for (const [member] of name.matchAll(/^.*?\*[./]/g)) lists.add(member.slice(0, -2));
  return starred.map((name) =>
    name.replace(layerOfList, (whole, list: string) => (lists.has(list) ? `${list}*` : whole)),
  );
}

/** Tensors of the model: those of its network, and all of the file if a whole model reads them. */
export const ownMembers = ({ translation, whole }: Known): readonly Member[] =>
  (translation?.network.members ?? []).filter(({ inside }) => inside || whole !== undefined);

/** Names of a model's own tensors without what stands before them and without numbers. */
export function ownNames(known: Known): readonly string[] {
  const { translation } = known;
  if (!translation) return [];
  return withoutNumbers(ownMembers(known).map((member) => bareName(translation, member)));
}

/** Paths of classifiers, which fine-tuned models replace or leave out. */
const ofClassifier =
  /^(?:.*[./])?(?:\w*_?head|heads|head_dist|fc|\w*classifier\w*)[./](?!.*[./](?:head|fc|\w*classifier)[./])/;
const layerOfClassifier = /(?:^|[./])(?:\w*_?head|heads|head_dist|fc|\w*classifier\w*)[./](?:weight|kernel)$/;

/**
 * Tokens that models of every kind are trained with and without: the rows of the position table
 * tell whether one is lost.
 */
const ownToken = /(?:^|[._])(?:cls|class|reg|register)_(?:tokens?|embedding)$/;

/** What stands between backbone and classifier, and goes with it. */
const ofPooler = /(?:^|\.)pooler\./;

/** What a file lacks. */
export interface Lost {
  /** Names as the file would have them, `*` for the numbers of a list. */
  readonly names: readonly string[];
  /** A whole module or a token is among them, without which the rest answers otherwise. */
  readonly isModule: boolean;
  /** The models that have them are published, not small ones made with their libraries. */
  readonly isPublished: boolean;
}

/** What a file lacks of what every known model of its kind has; undefined if nothing. */
export function lostOfKind(known: Known): Lost | undefined {
  const { translation } = known;
  const kind = namesOfKind(kindOf(known));
  if (!translation || !kind || (translation.dialect.closed && !kind.isPublished)) return undefined;
  const own = new Set(ownNames(known));
  const related = (): readonly KnownNames[] => relatedOf(kindOf(known));
  // Of a few small models it cannot be told what all have: others of the architecture count, too.
  const models = kind.isPublished ? kind.models : related();
  const lost = notFolded(lostNames(own, models, related), own, related);
  if (lost.length === 0) return undefined;
  const { network, prefix } = translation;
  return {
    names: lost.map((name) => `${ofClassifier.test(name) ? network.root : prefix}${name}`),
    isModule: lost.some((name) => isWholeModule(name, own)),
    isPublished: kind.isPublished,
  };
}

/**
 * Names that a file lacks of the known models whose layers it has:
 * - if it holds all of one, those that go with what that one does not have: of a pooling by
 *   attention the bias of the queries, beside that of keys and values;
 * - else what it lacks of the one that it lacks least of, but for what goes without in another that
 *   differs in biases alone.
 *
 * @param related models of any label with the kind's naming and architecture
 *
 * A layer by itself is not among the latter: without it the graph could not be written.
 */
export function lostNames(
  own: ReadonlySet<string>,
  models: readonly KnownNames[],
  related: () => readonly KnownNames[] = () => models,
): readonly string[] {
  const alike = models
    .filter((model) => lackedOf(model.layers, own, model).length === 0)
    .map((model): Lacked => ({ model, lacks: lackedOf(model.others, own, model) }));
  const held = alike.filter(({ lacks }) => lacks.length === 0);
  if (held.length > 0) {
    const explained = new Set(held.flatMap(({ model }) => [...model.layers, ...model.others]));
    const rest = [...own].filter((name) => !explained.has(name));
    if (rest.length === 0) return [];
    const wider = related();
    return [...new Set(rest.flatMap((name) => goingWith(name, own, [models, wider])))];
  }
  // Of several that it lacks as much of, the first: what most models are.
  const [nearest] = alike.toSorted((left, right) => left.lacks.length - right.lacks.length);
  if (!nearest) return [];
  const wider = related();
  return nearest.lacks.filter(
    (name) => !alike.some((other) => goesWithout(other, name)) && !isReplaced(name, own, wider),
  );
}

/** Whether a bias of this name in the file is one that its model has something in place of. */
export function isReplacedBias(known: Known, bias: string): boolean {
  const { translation } = known;
  const bare =
    translation && bias.startsWith(translation.prefix) ? bias.slice(translation.prefix.length) : bias;
  const [name = bare] = withoutNumbers([bare]);
  return isReplaced(name, new Set(ownNames(known)), relatedOf(kindOf(known)));
}

/**
 * Whether a file has what models have in place of a parameter: none with `norm_pre` has a bias of
 * its patch embedding.
 */
function isReplaced(name: string, own: ReadonlySet<string>, models: readonly KnownNames[]): boolean {
  const having = models.filter(({ others }) => others.has(name));
  const beside = new Set(having.flatMap(({ layers, others }) => [...layers, ...others]));
  return models.some(({ layers, others }) =>
    [...layers, ...others].some((other) => own.has(other) && !beside.has(other)),
  );
}

/** Whether a known model has no such parameter, and nothing but biases that the file has not. */
const goesWithout = ({ model, lacks }: Lacked, name: string): boolean =>
  !model.others.has(name) && lacks.every((lack) => lack.endsWith('bias'));

interface Lacked {
  readonly model: KnownNames;
  readonly lacks: readonly string[];
}

/**
 * Those of a model's names that a file lacks: of its classifier none, if the file has no layer of
 * it; it may have been left out.
 */
function lackedOf(
  names: ReadonlySet<string>,
  own: ReadonlySet<string>,
  { layers }: KnownNames,
): readonly string[] {
  const lacks = [...names].filter((name) => !own.has(name) && !ownToken.test(name) && !ofPooler.test(name));
  if (lacks.length === 0) return lacks;
  const classifies = [...layers].some((name) => layerOfClassifier.test(name) && own.has(name));
  return lacks.filter((name) => {
    const [path] = ofClassifier.exec(name) ?? [];
    return path === undefined || classifies || [...own].some((other) => other.startsWith(path));
  });
}

/**
 * Names beside this one that all models with it have, and the file has not: those of the kind, or
 * of any related one if none of the kind has it.
 */
function goingWith(
  name: string,
  own: ReadonlySet<string>,
  groups: readonly (readonly KnownNames[])[],
): readonly string[] {
  const having = groups
    .map((models) => models.filter(({ layers, others }) => layers.has(name) || others.has(name)))
    .find((models) => models.length > 0);
  const [first, ...rest] = having ?? [];
  if (!first) return [];
  const has = ({ layers, others }: KnownNames, lost: string): boolean => layers.has(lost) || others.has(lost);
  return [...lackedOf(first.others, own, first), ...lackedOf(first.layers, own, first)].filter(
    (lost) => isBesideOf(lost, name) && rest.every((model) => has(model, lost)),
  );
}

/**
 * Whether two names are of one module outside of the blocks, of one layer, of two that differ in a
 * number or a letter (`ls1` and `ls2`, `q_norm` and `k_norm`), or of two classifiers.
 */
function isBesideOf(left: string, right: string): boolean {
  const isAlone = !left.includes('*') && !right.includes('*') && left.includes('.');
  return (
    (isAlone && /^[^.]*/.exec(left)?.[0] === /^[^.]*/.exec(right)?.[0]) ||
    pathOf(left) === pathOf(right) ||
    unlettered(left) === unlettered(right) ||
    (ofClassifier.test(left) && layerOfClassifier.test(right))
  );
}

const pathOf = (name: string): string => /^.*[./]/.exec(name)?.[0] ?? name;

const unlettered = (name: string): string => name.replace(/\d+|(?<=[._])(?:[qkv]|attn|mlp|ffn)(?=[_.])/g, '');

/** Biases and scales of layers, which models of one's own are often built without. */
const oftenWithout = /bias$|gamma|layer_?scale|(?:^|[./])ls\d?[./]/i;

/**
 * Lost names without those of batch norms that are folded into the convolution before them, as for
 * deployment or quantisation: nothing of the norms is there, and as many convolutions beside or
 * below them have a bias that no known model has.
 */
export function notFolded(
  lost: readonly string[],
  own: ReadonlySet<string>,
  related: () => readonly KnownNames[],
): readonly string[] {
  const norms = lost.filter((name) => name.endsWith('running_mean')).map(pathOf);
  const gone = norms.filter((path) => ![...own].some((name) => name.startsWith(path)));
  if (gone.length === 0) return lost;
  const models = related();
  const isKnown = (bias: string): boolean => models.some(({ others }) => others.has(bias));
  const biases = [...own].filter(
    (name) => name.endsWith('bias') && own.has(name.replace(/bias$/, 'weight')) && !isKnown(name),
  );
  const beneath = (paths: readonly string[], parent: string): number =>
    paths.filter((path) => path.startsWith(parent)).length;
  const folded = gone.filter((path) => {
    const parent = path.replace(/[^./]*[./]$/, '');
    return beneath(biases, parent) >= beneath(gone, parent);
  });
  return lost.filter((name) => !folded.includes(pathOf(name)));
}

/** Whether nothing of a parameter's module is there, or it is a parameter by itself. */
function isWholeModule(name: string, own: ReadonlySet<string>): boolean {
  if (oftenWithout.test(name)) return false;
  const path = pathOf(name);
  return path === name || /\*[./]$/.test(path) || ![...own].some((other) => other.startsWith(path));
}
