import type { VNode } from 'preact';
import type { SeenFrame } from '../../src/tasks/run';
import { Slider } from '../kit/toolkit';

interface FrameSliderProps {
  readonly frames: readonly SeenFrame[];
  readonly index: number;
  readonly onIndex: (index: number) => void;
}

/** The frames that a model of clips read, of which one is shown with what is attended to on it. */
export function FrameSlider({ frames, index, onIndex }: FrameSliderProps): VNode {
  const number = frames[index]?.number ?? index;
  const text = `${index} of 0 … ${frames.length - 1}${number === index ? '' : `, frame ${number} of the clip`}`;
  return (
    <label class="control frame-slider">
      <span>Frame</span>
      <Slider label="Frame" min={0} max={frames.length - 1} value={index} text={text} onInput={onIndex} />
      <span class="quiet">{text}</span>
    </label>
  );
}
