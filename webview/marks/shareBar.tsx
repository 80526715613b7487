import type { VNode } from 'preact';
import { formatPercent } from '../../src/domain/units';

/**
 * A share of a whole as a bar; its exact value is the tooltip, the number itself stands beside it.
 */
export const ShareBar = ({ share, of }: { share: number; of: string }): VNode => {
  const title = `${formatPercent(share)} of ${of}`;
  return (
    <span class="share" role="img" aria-label={title} title={title}>
      <span style={{ width: `${100 * Math.min(1, Math.max(0, share))}%` }} />
    </span>
  );
};
