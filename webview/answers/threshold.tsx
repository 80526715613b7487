import type { VNode } from 'preact';
import { Slider } from '../kit/toolkit';
import type { Look } from './answerView';
import './boxes.css';

interface ThresholdProps {
  /** The lowest that can be asked for, 0 … 1. */
  readonly least: number;
  readonly value: number;
  /** The value as people read it. */
  readonly text: string;
  readonly onLook: (change: Partial<Look>) => void;
}

/** The score above which things are shown. */
export const Threshold = ({ least, value, text, onLook }: ThresholdProps): VNode => (
  <label class="control">
    <span>Threshold</span>
    <Slider
      label="Threshold"
      min={Math.round(100 * least)}
      max={99}
      value={Math.round(100 * value)}
      text={text}
      onInput={(percent) => onLook({ threshold: percent / 100 })}
    />
    <span class="number box-threshold">{text}</span>
  </label>
);
