import type { Guess } from '../../src/tasks/answer';
import type { Method, Query } from '../../src/domain/query';
import type { VNode } from 'preact';
import type { HeadChoice } from '../../src/attention/heads';
import { chainLength, type Probe } from '../../src/domain/probes';
import { Popover } from '../kit/popover';
import { SaveMenu } from '../kit/saveMenu';
import { Checkbox, Dropdown, IconButton } from '../kit/toolkit';
import { queryGrid } from '../../src/attention/reading';
import { ColoursControl, KeyList, OpacityControl } from './appearance';
import { isAsked, queryName, tokenName } from './keyMap';
import type { Gestures } from '../answers/answerView';
import { SCALES, type ScaleKind } from './scale';
import type { Chosen, Settings } from './settings';

export interface ControlsProps {
  readonly probes: readonly Probe[];
  /** What the file itself calls each layer. */
  readonly layers: readonly string[];
  readonly chosen: Chosen;
  /** The answer: activation maps are of its classes. */
  readonly guesses: readonly Guess[];
  /** There is a map to save. */
  readonly canSave: boolean;
  /** What clicks and keys on the image give, in place of patches. */
  readonly gestures?: Gestures['keys'] | undefined;
  readonly onChange: (change: Partial<Settings>) => void;
  readonly onSave: () => void;
  readonly onCopy: () => void;
}

const METHODS = [
  { value: 'raw', label: 'Attention' },
  { value: 'rollout', label: 'Rollout' },
] as const;

/** One row: which attention is shown, and behind three buttons how, where to, and by which keys. */
export function Controls(props: ControlsProps): VNode | null {
  const { probes, layers, chosen, guesses, canSave, onChange, onSave, onCopy } = props;
  const probe = probes[chosen.layer];
  if (!probe) return null;
  const asks = probe.kind === 'activation' ? 'Class' : 'Query';
  const queries = isAsked(probe) ? queryChoices(probe, chosen.query, guesses) : [];
  return (
    <div class="controls control-row" role="group" aria-label="Which attention">
      {chainLength(probes) > 0 && (
        <label class="control">
          <span>Method</span>
          <Dropdown
            label="Method"
            value={chosen.method}
            choices={METHODS}
            onChange={(method) => onChange({ method: method as Method })}
          />
        </label>
      )}
      {probes.length > 1 && <LayerControl layers={layers} layer={chosen.layer} onChange={onChange} />}
      {chosen.method === 'raw' && probe.heads > 1 && (
        <label class="control">
          <span>Head</span>
          <Dropdown
            label="Head"
            value={String(chosen.head)}
            choices={headChoices(probe.heads)}
            onChange={(value) => onChange({ head: headOf(value) })}
          />
        </label>
      )}
      {(queries.length > 1 || (queries.length > 0 && (queryGrid(probe) ?? probe.queries.queries))) && (
        <label class="control">
          <span>{asks}</span>
          <Dropdown
            label={asks}
            value={JSON.stringify(chosen.query)}
            choices={queries}
            onChange={(value) => onChange({ query: JSON.parse(value) as Query })}
          />
        </label>
      )}
      <div class="buttons control-end">
        <SaveMenu
          label="Save"
          lacking={canSave ? '' : 'There is no map to save yet.'}
          choices={[
            { icon: 'save', title: 'Save Picture', what: 'PNG with scale and caption', act: onSave },
            { icon: 'copy', title: 'Copy Numbers', what: 'weights of this map, tab-separated', act: onCopy },
          ]}
        />
        <Popover
          label="How it is drawn"
          anchor={(open, toggle) => (
            <IconButton icon="ellipsis" label="How it is drawn" expanded={open} onClick={toggle} />
          )}
        >
          {() => <Appearance chosen={chosen} onChange={onChange} />}
        </Popover>
        <Popover
          label="Keys"
          anchor={(open, toggle) => (
            <IconButton icon="question" label="Keys" expanded={open} onClick={toggle} />
          )}
        >
          {() => <KeyList keys={[...(props.gestures ?? CLICKS), ...KEYS]} />}
        </Popover>
      </div>
    </div>
  );
}

interface LayerControlProps {
  readonly layers: readonly string[];
  readonly layer: number;
  readonly onChange: (change: Partial<Settings>) => void;
}

const LayerControl = ({ layers, layer, onChange }: LayerControlProps): VNode => (
  <div class="control layer-control">
    <span>Layer</span>
    <IconButton
      icon="chevron-left"
      label="Earlier layer"
      disabled={layer === 0}
      onClick={() => onChange({ layer: layer - 1 })}
    />
    <Dropdown
      label="Layer"
      value={String(layer)}
      choices={layers.map((name, index) => ({ value: String(index), label: `${index}`, title: name }))}
      onChange={(value) => onChange({ layer: Number(value) })}
    />
    <IconButton
      icon="chevron-right"
      label="Later layer"
      disabled={layer === layers.length - 1}
      onClick={() => onChange({ layer: layer + 1 })}
    />
  </div>
);

/** How it is drawn: opacity, colours, scale. */
const Appearance = ({ chosen, onChange }: Pick<ControlsProps, 'chosen' | 'onChange'>): VNode => (
  <div class="appearance">
    <OpacityControl opacity={chosen.opacity} onChange={onChange} />
    <ColoursControl label="Colour map" value={chosen.colourMap} onChange={onChange} />
    <label class="control">
      <span>Scale</span>
      <Dropdown
        label="Colour scale"
        value={chosen.scale}
        choices={Object.entries(SCALES).map(([value, { name }]) => ({ value, label: name }))}
        onChange={(scale) => onChange({ scale: scale as ScaleKind })}
      />
    </label>
    <Checkbox checked={chosen.smooth} onChange={(smooth) => onChange({ smooth })}>
      Smooth
    </Checkbox>
    <Checkbox checked={chosen.fade} onChange={(fade) => onChange({ fade })}>
      See through low weights
    </Checkbox>
  </div>
);

const CLICKS: Gestures['keys'] = [
  ['Click', 'a patch or a box on the image: where it looks'],
  ['Shift-click', 'the patch, though a box lies on it'],
];
const KEYS: Gestures['keys'] = [
  ['Point', 'at the image or a small map: weights, the same patch in all maps'],
  ['← ↑ ↓ →', 'on the image: the query moves; on the small maps: layer and head'],
  ['Esc', 'back to the class token, or the mean of all patches'],
  ['[  ]', 'earlier, later layer'],
  ['h  H', 'next, previous head'],
];

const headChoices = (heads: number): readonly { value: string; label: string }[] => [
  { value: 'mean', label: 'mean' },
  { value: 'max', label: 'max' },
  ...Array.from({ length: heads }, (_, head) => ({ value: String(head), label: String(head) })),
];

const headOf = (value: string): HeadChoice => (value === 'mean' || value === 'max' ? value : Number(value));

/**
 * Special tokens and the mean if there are patches; a clicked patch or box is listed while it is
 * the query.
 */
function queryChoices(
  probe: Probe,
  query: Query,
  guesses: readonly Guess[],
): readonly { value: string; label: string }[] {
  const special = (probe.queries.special ?? []).map((name) => ({
    value: JSON.stringify({ kind: 'special', name }),
    label: tokenName(name, guesses),
  }));
  const mean: Query = { kind: 'mean' };
  const others = probe.queries.grid || special.length === 0 ? [mean] : [];
  const isListed = query.kind === 'special' || query.kind === 'mean';
  const patches = isListed ? others : [...others, query];
  const named = (value: Query): string => queryName(value, guesses, probe);
  return [...special, ...patches.map((value) => ({ value: JSON.stringify(value), label: named(value) }))];
}
