import type { VNode } from 'preact';
import type { ColourMap } from '../../../src/attention/colourMaps';
import { Popover } from '../../kit/popover';
import { Checkbox, IconButton } from '../../kit/toolkit';
import { ColoursControl, KeyList, OpacityControl } from '../appearance';
import type { WhySettings } from './state';

export interface LookProps {
  readonly settings: WhySettings;
  readonly colours: ColourMap;
  readonly onChange: (changes: Partial<WhySettings>) => void;
}

/** How maps are drawn, in all columns alike, and by which keys they are read. */
export const Look = (props: LookProps): VNode => (
  <>
    <Popover
      label="How it is drawn"
      anchor={(open, toggle) => (
        <IconButton icon="ellipsis" label="How it is drawn" expanded={open} onClick={toggle} />
      )}
    >
      {() => <Appearance {...props} />}
    </Popover>
    <Popover
      label="Keys"
      anchor={(open, toggle) => <IconButton icon="question" label="Keys" expanded={open} onClick={toggle} />}
    >
      {() => <KeyList keys={keys} />}
    </Popover>
  </>
);

const Appearance = ({ settings, colours, onChange }: LookProps): VNode => (
  <div class="appearance">
    <Checkbox checked={settings.smooth} onChange={(smooth) => onChange({ smooth })}>
      Smooth (bilinear)
    </Checkbox>
    <Checkbox checked={settings.fade} onChange={(fade) => onChange({ fade })}>
      See through low values
    </Checkbox>
    <Checkbox checked={settings.clipped} onChange={(clipped) => onChange({ clipped })}>
      Colours to the 99th percentile
    </Checkbox>
    <OpacityControl opacity={settings.opacity} onChange={onChange} />
    <ColoursControl label="Colours of maps without a sign" value={colours} onChange={onChange} />
  </div>
);

const keys: readonly (readonly [key: string, meaning: string])[] = [
  ['Point', 'at a map: its value, and those of the other maps at the same place'],
  ['← ↑ ↓ →', 'on a map: the cursor moves, in all maps'],
  ['Esc', 'the cursor goes'],
  ['Click, Enter', 'on the first map: the patch that is followed step by step'],
  ['[  ]', 'on a map: the method before, the next one'],
];
