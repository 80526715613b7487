import type { VNode } from 'preact';
import { formatPercent } from '../../src/domain/units';
import { queryOfBox, type Box, type Boxes } from '../../src/tasks/answer';
import { boxFormats } from '../../src/tasks/detect/export';
import type { AnswerView, AnswerViewProps } from './answerView';
import { boxesOverlay } from './boxesOverlay';
import { ExportMenu } from './exportMenu';
import { Prompts } from './prompts';
import { QueryRows } from './queryRows';
import {
  classCounts,
  isQueryOf,
  leastThreshold,
  nameOf,
  shownBoxes,
  thresholdOf,
  type ClassCount,
  type IndexedBox,
} from './shownBoxes';
import { Swatch } from './swatch';
import { Threshold } from './threshold';
import './boxes.css';

/** Objects above a threshold, the best first; each stands for the query that answers it. */
export const boxes: AnswerView<Boxes> = {
  spoken: (answer) => {
    if (answer.texts?.length === 0) return 'Say what to find.';
    const { length } = shownBoxes(answer, { hidden: [] });
    return length === 1 ? 'One object found.' : `${length} objects found.`;
  },
  leads: true,
  View: BoxList,
  overlay: boxesOverlay,
};

type BoxesProps = AnswerViewProps<Boxes>;

/** Objects; of a model that finds whatever texts say, behind a field for them. */
function BoxList(props: BoxesProps): VNode {
  const { answer, given, onGive } = props;
  const prompts = answer.texts && <Prompts finds given={given} onGive={onGive} />;
  return (
    <div class="boxes">
      {prompts}
      {answer.texts?.length !== 0 && <Found {...props} />}
    </div>
  );
}

function Found(props: BoxesProps): VNode {
  const { answer, look, onLook } = props;
  const threshold = thresholdOf(answer, look);
  const shown = shownBoxes(answer, look);
  const counts = classCounts(answer, look);
  const hidden = counts.filter(({ label }) => look.hidden.includes(label)).length;
  return (
    <>
      <div class="controls">
        <Threshold
          least={leastThreshold(answer)}
          value={threshold}
          text={formatPercent(threshold, 0)}
          onLook={onLook}
        />
        <ExportMenu
          what="boxes"
          formats={boxFormats}
          answer={{ ...answer, threshold, boxes: shown.map(({ box }) => box) }}
          seen={props.seen}
          lacking={shown.length === 0 ? 'No box is shown.' : ''}
          copies="csv"
          onSave={props.onSave}
          onCopy={props.onCopy}
        />
      </div>
      {counts.length > 0 && <ClassFilter counts={counts} look={look} onLook={onLook} />}
      {shown.length > 0 && <Rows {...props} shown={shown} />}
      <p class="quiet">
        {shown.length} of {answer.queries} queries above {formatPercent(threshold, 0)}
        {hidden > 0 && `, ${hidden} of ${counts.length} classes left out`}
        {answer.labelSource !== '' && `, labels: ${answer.labelSource}`}
      </p>
    </>
  );
}

/** Every class with its number of objects: a button that leaves it out and takes it in again. */
const ClassFilter = ({
  counts,
  look,
  onLook,
}: Pick<BoxesProps, 'look' | 'onLook'> & { counts: readonly ClassCount[] }): VNode => (
  <div class="box-classes" role="group" aria-label="Classes">
    {counts.map(({ label, name, count }) => {
      const isShown = !look.hidden.includes(label);
      const others = look.hidden.filter((each) => each !== label);
      return (
        <button
          key={label}
          type="button"
          class="box-class"
          aria-pressed={isShown}
          title={`${isShown ? 'Leave out' : 'Show'} ${nameOf({ name })}`}
          onClick={() => onLook({ hidden: isShown ? [...others, label] : others })}
        >
          <Swatch label={label} />
          <span>{nameOf({ name })}</span> <strong>{count}</strong>
        </button>
      );
    })}
  </div>
);

type ShownProps = BoxesProps & { readonly shown: readonly IndexedBox[] };

const Rows = ({ answer, shown, query, pointed, onPoint, onQuery }: ShownProps): VNode => (
  <QueryRows
    what="Objects"
    rows={shown.map(({ box, index }) => ({
      index,
      label: box.label,
      name: nameOf(box),
      share: box.score,
      text: formatPercent(box.score),
      title: titleOf(box),
      query: queryOfBox(answer, box),
      isChosen: isQueryOf(answer, box, query),
    }))}
    pointed={pointed}
    onPoint={onPoint}
    onQuery={onQuery}
  />
);

const titleOf = ({ name, score, query, box }: Box): string =>
  `${nameOf({ name })}: ${score}\nfrom ${pointText(box[0], box[1])} to ${pointText(box[2], box[3])}\nobject query ${query}: click to see where it looked`;
const pointText = (x: number, y: number): string => `${x.toFixed(1)}, ${y.toFixed(1)}`;
