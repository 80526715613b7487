import { insideNames, translate, type Dialect, type Translation } from '../dialect';
import type { Network } from '../networks/networks';
import { families } from '../registry';
import { backbonesIn } from './backbones';
import { trunksIn } from './trunks';

const all = families.flatMap(({ names }) => names);
/** Names of families other than the plain transformers. */
const familyDialects = all.filter((dialect) => dialect.families !== undefined);
/**
 * Names of plain transformers, the narrower before the wider: those of image towers before all
 * others.
 */
const plainDialects = all.filter((dialect) => dialect.families === undefined);

/**
 * Every naming that a file with these names may have. Those whose signature fits are tried in this
 * order: the narrower before the wider. Namings of larger models, of which there are hundreds, are
 * left out if nothing lies in the place of their backbone.
 */
export const dialectsFor = (names: readonly string[]): readonly Dialect[] => [
  ...backbonesIn(names),
  ...familyDialects,
  ...trunksIn(names, familyDialects),
  ...plainDialects,
];

/**
 * A network's tensors under canonical names, in every dialect whose signature fits: one after the
 * other, as most networks are recognised in the first.
 */
export function* translations(network: Network): Generator<Translation> {
  const file = insideNames(network);
  for (const dialect of dialectsFor(file.all)) {
    const translation = translate(dialect, network, file);
    if (translation) yield translation;
  }
}
