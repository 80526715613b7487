import type { VNode } from 'preact';
import { colourMapNamed, colourMaps, type ColourMap } from '../../src/attention/colourMaps';
import { Dropdown, Slider } from '../kit/toolkit';

export interface OpacityControlProps {
  /** 0 … 1 */
  readonly opacity: number;
  readonly onChange: (change: { readonly opacity: number }) => void;
}

/** How much of the image a map covers. */
export const OpacityControl = ({ opacity, onChange }: OpacityControlProps): VNode => (
  <label class="control">
    <span>Opacity</span>
    <Slider
      label="Opacity"
      min={0}
      max={100}
      step={5}
      value={100 * opacity}
      text={`${Math.round(100 * opacity)} %`}
      onInput={(percent) => onChange({ opacity: percent / 100 })}
    />
  </label>
);

export interface ColoursControlProps {
  /** What it is for, for screen readers. */
  readonly label: string;
  readonly value: ColourMap;
  readonly onChange: (change: { readonly colourMap: ColourMap }) => void;
}

export const ColoursControl = ({ label, value, onChange }: ColoursControlProps): VNode => (
  <label class="control">
    <span>Colours</span>
    <Dropdown
      label={label}
      value={value}
      choices={colourMaps.map((map) => ({ value: map, label: map }))}
      onChange={(map) => onChange({ colourMap: colourMapNamed(map) })}
    />
  </label>
);

/** Keys and gestures, and what each does. */
export const KeyList = ({ keys }: { readonly keys: readonly (readonly [string, string])[] }): VNode => (
  <dl class="keys">
    {keys.map(([key, meaning]) => (
      <>
        <dt>
          <kbd>{key}</kbd>
        </dt>
        <dd>{meaning}</dd>
      </>
    ))}
  </dl>
);
