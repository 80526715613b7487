import type { VNode } from 'preact';
import { useMemo } from 'preact/hooks';
import type { Pixels } from '../../src/domain/pixels';
import type { Restored } from '../../src/tasks/answer';
import type { SeenImage } from '../../src/tasks/run';
import { restoredFormats } from '../../src/tasks/restore/export';
import { pixelsOfRestored, restoredText } from '../../src/tasks/restore/pictures';
import { bitmapOf } from '../marks/heatmap';
import type { AnswerView, AnswerViewProps } from './answerView';
import { ExportMenu } from './exportMenu';
import { Picture } from './picture';
import './outputs.css';
import './pixels.css';

/** The image as the model makes it anew, beside what it was made of. */
export const restored: AnswerView<Restored> = {
  spoken: (answer) => `Restored: ${restoredText(answer)}.`,
  leads: true,
  View: Restoring,
};

/** What the model saw, without what was padded at the right and at the bottom. */
function ownPixels({ seen, region, size }: SeenImage, { grid, scale }: Restored): Pixels {
  const [height, width] = [grid[0] / scale, grid[1] / scale];
  const isWhole = region.x >= 0 && region.y >= 0 && region.x + region.width <= size[0];
  if ((isWhole && height === seen.height) || height > seen.height || width > seen.width) return seen;
  const rgb = new Uint8Array(3 * height * width);
  for (let y = 0; y < height; y++)
    rgb.set(seen.rgb.subarray(3 * y * seen.width, 3 * (y * seen.width + width)), 3 * y * width);
  return { height, width, rgb };
}

function Restoring({ answer, seen, onSave }: AnswerViewProps<Restored>): VNode {
  const pictures = useMemo(
    () => ({
      before: bitmapOf(ownPixels(seen, answer)),
      after: bitmapOf(pixelsOfRestored(answer)),
    }),
    [answer, seen],
  );
  return (
    <div class="output">
      <div class="rebuilt">
        <Picture bitmap={pictures.before} spoken="The image as it was">
          Original
        </Picture>
        <Picture bitmap={pictures.after} spoken="The image as the model makes it">
          Restored
        </Picture>
      </div>
      <div class="controls">
        <ExportMenu
          what="image"
          formats={restoredFormats}
          answer={answer}
          seen={seen}
          lacking=""
          onSave={onSave}
        />
      </div>
      <p class="quiet">{restoredText(answer)}</p>
    </div>
  );
}
