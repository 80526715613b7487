import type { VNode } from 'preact';
import { formatNumber } from '../../src/domain/units';
import { queryOfKeypoint, type Keypoint, type Keypoints } from '../../src/tasks/answer';
import { keypointFormats } from '../../src/tasks/keypoints/export';
import type { AnswerView, AnswerViewProps } from './answerView';
import { ExportMenu } from './exportMenu';
import { isAsked, keypointsOverlay, shownOf, thresholdOf } from './keypointsOverlay';
import { QueryRows } from './queryRows';
import { Threshold } from './threshold';

/** Parts of a body above a threshold, in the model's order; each stands for the patch under it. */
export const keypoints: AnswerView<Keypoints> = {
  spoken: (answer) => {
    const { length } = shownOf(answer, {});
    return length === 1 ? 'One keypoint found.' : `${length} keypoints found.`;
  },
  leads: true,
  View: KeypointList,
  overlay: keypointsOverlay,
};

/** Two digits behind the point: values of maps are no shares. */
const scoreText = (score: number): string => score.toFixed(2);

const titleOf = ({ name, score, point: [x, y] }: Keypoint): string =>
  `${name}: ${formatNumber(score, 4)}\nat ${x.toFixed(1)}, ${y.toFixed(1)}\nclick to see where the patch under it looked`;

function KeypointList(props: AnswerViewProps<Keypoints>): VNode {
  const { answer, look, query, onLook } = props;
  const threshold = thresholdOf(answer, look);
  const shown = shownOf(answer, look);
  return (
    <div class="boxes">
      <div class="controls">
        <Threshold least={0} value={threshold} text={scoreText(threshold)} onLook={onLook} />
        <ExportMenu
          what="keypoints"
          formats={keypointFormats}
          answer={{ ...answer, threshold }}
          seen={props.seen}
          lacking={shown.length === 0 ? 'No keypoint is shown.' : ''}
          copies="keypoints.csv"
          onSave={props.onSave}
          onCopy={props.onCopy}
        />
      </div>
      {shown.length > 0 && (
        <QueryRows
          what="Keypoints"
          rows={shown.map((point) => ({
            index: point.label,
            label: point.label,
            name: point.name,
            share: point.score,
            text: scoreText(point.score),
            title: titleOf(point),
            query: queryOfKeypoint(answer, point),
            isChosen: isAsked(answer, point, query),
          }))}
          pointed={props.pointed}
          onPoint={props.onPoint}
          onQuery={props.onQuery}
        />
      )}
      <p class="quiet">
        {shown.length} of {answer.points.length} keypoints above {scoreText(threshold)}, labels:{' '}
        {answer.labelSource}
      </p>
    </div>
  );
}
