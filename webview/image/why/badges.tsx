import type { VNode } from 'preact';
import type { Checked, OfferedMethod, Shown, SumCheck } from '../../../src/domain/explanation';
import { formatNumber, quantity } from '../../../src/domain/units';
import { Icon } from '../../kit/icon';
import { Popover } from '../../kit/popover';

/** What was checked of a map, in a few words, and in whole sentences behind them. */
export interface Badge {
  readonly holds: boolean;
  readonly short: string;
  readonly whole: readonly string[];
}

/** `0.000002` as it is said of differences: `2e-6`. */
export const tiny = (value: number): string =>
  value === 0 ? '0' : value.toExponential(1).replace('.0e', 'e');

/** What a method's numbers were compared with, and whether on models like this one. */
export function comparisonBadge({ title, checked }: Pick<OfferedMethod, 'title' | 'checked'>): Badge {
  if (!checked)
    return {
      holds: false,
      short: 'compared with nothing',
      whole: [`No other implementation of “${title}” was compared with this one.`],
    };
  const { against, within, architectures, isOfThis } = checked;
  const models = quantity(architectures.length, 'small model');
  const equal = `Equal to ${against} within ${tiny(within)} of the largest value of each array, on ${models} with random weights: ${architectures.join(', ')}.`;
  if (isOfThis) return { holds: true, short: `equals ${against} within ${tiny(within)}`, whole: [equal] };
  return { holds: false, short: notOfThis(checked), whole: [equal, ...otherModel(checked)] };
}

const notOfThis = ({ isOfGradients }: Checked): string =>
  isOfGradients ? 'gradients of such models not compared' : 'not compared on such models';

const otherModel = ({ isOfGradients }: Checked): readonly string[] => [
  'This model is of another architecture: nothing was compared on one of those.',
  ...(isOfGradients
    ? ['Each operator’s derivative is held to finite differences; their chain through this model is not.']
    : []),
];

/** A sum that the method promises, with what this image's misses of it. */
export function sumBadge({ what, found, wanted, wantedIs, error, allowed }: SumCheck): Badge {
  const holds = error <= allowed;
  const missing = wanted === 0 ? tiny(error) : `${formatNumber((100 * error) / Math.abs(wanted), 2)} %`;
  return {
    holds,
    short: `${what} sum${/^all/.test(what) ? '' : 's'} to ${formatNumber(found)}: off by ${missing}`,
    whole: [
      `Found ${found}, wanted ${wanted} (${wantedIs}): off by ${tiny(error)}, allowed are ${tiny(allowed)}.`,
      holds ? 'Computed for this image.' : 'Computed for this image: the map is not all that it says.',
    ],
  };
}

/** All that was checked of what a method found. */
export const badgesOf = (method: OfferedMethod | undefined, { sums }: Shown): readonly Badge[] => [
  ...(method ? [comparisonBadge(method)] : []),
  ...sums.map(sumBadge),
];

/** What was checked, each a button that says it in whole sentences. */
export const Badges = ({ badges }: { readonly badges: readonly Badge[] }): VNode => (
  <div class="why-badges" role="group" aria-label="What was checked">
    {badges.map(({ holds, short, whole }) => (
      <Popover
        key={short}
        label={short}
        anchor={(open, toggle) => (
          <button type="button" class="why-badge" aria-expanded={open} onClick={toggle}>
            <Icon name={holds ? 'pass' : 'warning'} />
            <span>{short}</span>
          </button>
        )}
      >
        {() => whole.map((sentence) => <p key={sentence}>{sentence}</p>)}
      </Popover>
    ))}
  </div>
);
