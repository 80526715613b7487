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
function plainNearest(tensors: readonly Tensor[], translation: Translation | undefined): Nearest {
  const names = translation
    ? [...translation.parameters.keys()]
    : tensors.map((tensor) => tensor.name.replace(timm.prefix!, ''));
  const missing = parts
    .filter(([, signature]) => !names.some((name) => signature.test(name)))
    .map(([what]) => what);
  return { family: 'vit', missing: [...missing, ...unexpectedNames(translation)] };
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
  return source
    .replace(/^\^|\$$/g, '')
    .replace(/\((?:\?[:!=])?([^()|]*)(?:\|[^()]*)?\)[?*]?/g, '$1')
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
 */
export function nearestFamily(tensors: readonly Tensor[], found: Translation | undefined): Nearest {
  const [family] = found?.dialect.families ?? [];
  if (found && family !== undefined) return { family, missing: unfit(found) };
  if (found) return plainNearest(tensors, found);
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
  if (!best || nearest === undefined) return plainNearest(tensors, undefined);
  return { family: nearest, missing: best.lacking.map((name) => `no tensor like ${exampleName(name)}`) };
}

/**
 * Why names that a family has are not enough: names without a place, or sizes that do not go
 * together.
 */
function unfit(translation: Translation): readonly string[] {
  const unexpected = unexpectedNames(translation);
  return unexpected.length > 0 ? unexpected : ['sizes and layers that go together'];
}
