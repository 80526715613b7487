import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { formatNumber } from '../../src/domain/units';
import type { SimilarImage } from '../../src/protocol/image';
import { announce } from '../kit/status';
import { Button } from '../kit/toolkit';
import { Bars } from './bars';

interface SimilarProps {
  readonly onCompare: () => Promise<readonly SimilarImage[]>;
}

const baseName = (path: string): string => path.split(/[\\/]/).at(-1) ?? path;

/** Other images by how alike they are to this one, in the space of the model's own vectors. */
export function Similar({ onCompare }: SimilarProps): VNode {
  const [found, setFound] = useState<readonly SimilarImage[]>([]);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const compare = async (): Promise<void> => {
    setBusy(true);
    setProblem('');
    try {
      const next = await onCompare();
      if (next.length > 0) setFound(next);
      const [first] = next;
      if (first) announce(`${baseName(first.image)}, ${formatNumber(first.cosine, 3)}`);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="similar" aria-busy={busy}>
      <Button disabled={busy} onClick={() => void compare()}>
        Compare With Images…
      </Button>
      {problem !== '' && (
        <p class="wrong" role="alert">
          {problem}
        </p>
      )}
      {found.length > 0 && (
        <>
          <Bars
            class="score-list"
            label="Similar images"
            bars={found.map(({ image, cosine }) => ({
              key: image,
              label: baseName(image),
              share: Math.max(0, cosine),
              text: formatNumber(cosine, 3),
              tip: `${image}: ${cosine}`,
            }))}
          />
          <p class="quiet">Cosine of this image’s vector and each other’s: 1 is the same direction.</p>
        </>
      )}
    </div>
  );
}
