import type { VNode } from 'preact';
import { useMemo } from 'preact/hooks';
import { formatNumber } from '../../src/domain/units';
import type { Rebuilt } from '../../src/tasks/answer';
import { errorsOf, maskedOf, pixelsOf, summaryOf } from '../../src/tasks/reconstruct/pictures';
import { bitmapOf, heatBitmap } from '../marks/heatmap';
import type { AnswerView, AnswerViewProps } from './answerView';
import { ScaleStrip } from './outputs';
import { Picture } from './picture';
import './outputs.css';
import './pixels.css';

/** What a model of masked images saw, what it made of it, and how far off that is. */
export const pixels: AnswerView<Rebuilt> = {
  spoken: (answer) => `${summaryOf(answer)}.`,
  leads: true,
  View: Rebuilding,
};

/** Errors are coloured up to here, in levels of 255: what is farther off looks the same. */
const FARTHEST = 128;

function Rebuilding({ answer, seen }: AnswerViewProps<Rebuilt>): VNode {
  const pictures = useMemo(
    () => ({
      masked: bitmapOf(maskedOf(answer)),
      rebuilt: bitmapOf(pixelsOf(answer.pasted, answer.grid)),
      error: heatBitmap(errorsOf(answer, seen.seen), answer.grid, { low: 0, high: FARTHEST, map: 'magma' }),
    }),
    [answer, seen],
  );
  return (
    <div class="output">
      <div class="rebuilt">
        <Picture bitmap={pictures.masked} spoken="The image with its hidden patches grey">
          Masked
        </Picture>
        <Picture bitmap={pictures.rebuilt} spoken="The image with its hidden patches as the model draws them">
          Rebuilt
        </Picture>
        <Picture bitmap={pictures.error} spoken="How far off each hidden pixel is">
          Error
        </Picture>
      </div>
      <p class="output-scale">
        0
        <ScaleStrip colours="magma" low={0} high={FARTHEST} />
        {formatNumber(FARTHEST)} levels off
      </p>
      <p class="quiet">{summaryOf(answer)}</p>
      {answer.normalised && (
        <p class="quiet">
          The model draws patches without their mean and deviation; those of the hidden patches are put back
          in
        </p>
      )}
    </div>
  );
}
