import type { Tensor } from '../../checkpoint/tensors';
import { dialectsFor } from './dialects';
import { FileNames, lackingSignature, type Dialect, type Translation } from '../dialect';
import { timm } from '../libraries/timm';

/** The family whose tensor names a file comes nearest to, and what it lacks for it. */
interface Nearest {
  readonly family: string;
  readonly missing: readonly string[];
}

const parts: readonly (readonly [what: string, canonical: RegExp])[] = [
  ['a patch embedding (patch_embed.proj.weight)', /^patch_embed\.proj\.weight$/],
  ['transformer blocks (blocks.0 …)', /^blocks\.0\./],
  ['a position table (pos_embed)', /^pos_embed$/],
];

/** Names that are listed: a file of another kind has hundreds without a place. */
const listed = 3;

/** The plain Vision Transformer and what the file lacks for it. */
function plainNearest(
  tensors: readonly Tensor[],
  translation: Translation | undefined,
  unmet: readonly string[],
): Nearest {
  const names = translation
    ? [...translation.parameters.keys()]
    : tensors.map((tensor) => tensor.name.replace(timm.prefix!, ''));
  const missing = parts
    .filter(([, signature]) => !names.some((name) => signature.test(name)))
    .map(([what]) => what);
  const all = [...missing, ...unexpectedNames(translation)];
  return { family: 'vit', missing: all.length > 0 ? all : unfit(tensors, translation, unmet) };
}

const unexpectedNames = (translation: Translation | undefined): readonly string[] =>
  (translation?.unexpected ?? []).slice(0, listed).map((name) => `no place for ${name}`);

/** How many of a dialect's signature names the file has. */
interface Compared {
  readonly dialect: Dialect;
  readonly share: number;
  readonly lacking: readonly RegExp[];
}

function compare(dialect: Dialect, file: FileNames): Compared {
  const lacking = [...lackingSignature(dialect, file)];
  return { dialect, share: 1 - lacking.length / dialect.signature.length, lacking };
}

/**
 * Half of the telling names at least, and of a family that is no plain transformer not just one,
 * which may be anyone's.
 */
const isNear = ({ dialect, share, lacking }: Compared): boolean =>
  share >= 0.5 && (dialect.families === undefined || dialect.signature.length - lacking.length > 1);

/** Of two that lack as much the plain transformer, whose names many have. */
const plainFirst = (left: Compared, right: Compared): number =>
  Number(left.dialect.families !== undefined) - Number(right.dialect.families !== undefined);

/** A name that the pattern finds, as far as it can be told: `layers.0.blocks.0.norm1.weight`. */
export function exampleName({ source }: RegExp): string {
  let text = source.replace(/^\^|\$$/g, '');
  for (let inner = ''; inner !== text;) {
    inner = text;
    text = text.replace(/\((?:\?(?:<?[:!=]|<\w+>))?([^()|]*)(?:\|[^()]*)?\)[?*]?/, '$1');
  }
  return text
    .replace(/\[([^\]^-])[^\]]*\][+*]?/g, '$1')
    .replace(/\\d[+*]?/g, '0')
    .replace(/\\\./g, '.')
    .replace(/\\[bw]\+?|[?+*^$\\]/g, '');
}

/**
 * The family that a file without one comes nearest to: the first whose names it speaks; else the
 * one of whose telling names it lacks fewest, but has enough; else the plain Vision Transformer.
 *
 * @param found the naming that fits, if one does
 * @param unmet canonical names that its family asked for in vain
 */
export function nearestFamily(
  tensors: readonly Tensor[],
  found: Translation | undefined,
  unmet: readonly string[],
): Nearest {
  const [family] = found?.dialect.families ?? [];
  if (found && family !== undefined) return { family, missing: unfit(tensors, found, unmet) };
  if (found) return plainNearest(tensors, found, unmet);
  const names = tensors.map(({ name }) => name);
  const file = new FileNames(names);
  const [best] = dialectsFor(names)
    .map((dialect) => compare(dialect, file))
    .filter(isNear)
    .toSorted(
      (left, right) =>
        left.lacking.length - right.lacking.length || plainFirst(left, right) || right.share - left.share,
    );
  const [nearest] = best?.dialect.families ?? [];
  if (!best || nearest === undefined) return plainNearest(tensors, undefined, unmet);
  const lacking = best.lacking.map((name) => `no tensor like ${exampleName(name)}`);
  return { family: nearest, missing: lacking.length > 0 ? lacking : unfit(tensors, undefined, unmet) };
}

/**
 * Why names that a family has are not enough: names without a place, else what the family asked for
 * in vain, else the first tensors, whose sizes no model of it has.
 */
function unfit(
  tensors: readonly Tensor[],
  translation: Translation | undefined,
  unmet: readonly string[],
): readonly string[] {
  const unexpected = unexpectedNames(translation);
  if (unexpected.length > 0) return unexpected;
  if (unmet.length > 0) return unmet.slice(0, listed).map((name) => `no ${name}`);
  const read = new Set([...(translation?.parameters.values() ?? [])].map(({ tensor }) => tensor.name));
  const strange = tensors.filter(({ name }) => !read.has(name));
  return (strange.length > 0 ? strange : tensors)
    .slice(0, listed)
    .map(({ name, shape }) => `no model of these sizes: ${name} [${shape.join(', ')}]`);
}
