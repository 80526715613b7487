import type { VNode } from 'preact';
import { formatPercent } from '../../src/domain/units';
import type { Answer } from '../../src/tasks/answer';
import { Slider } from '../kit/toolkit';
import type { AnswerViewProps } from './answerView';

/** How much of the image is seen through what covers it. */
export const Opacity = ({ look, onLook }: Pick<AnswerViewProps<Answer>, 'look' | 'onLook'>): VNode => (
  <label class="control">
    <span>Over the image</span>
    <Slider
      label="Opacity over the image"
      min={0}
      max={100}
      step={5}
      value={Math.round(100 * look.opacity)}
      text={formatPercent(look.opacity, 0)}
      onInput={(percent) => onLook({ opacity: percent / 100 })}
    />
    <span class="number">{formatPercent(look.opacity, 0)}</span>
  </label>
);
