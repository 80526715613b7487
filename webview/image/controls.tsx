import type { Guess } from '../../src/tasks/answer';
import type { Method, Query } from '../../src/domain/query';
import type { VNode } from 'preact';
import { colourMaps, type ColourMap } from '../../src/attention/colourMaps';
import type { HeadChoice } from '../../src/attention/heads';
import type { Probe } from '../../src/domain/probes';
import { Checkbox, Dropdown, IconButton, Slider } from '../kit/toolkit';
import { queryGrid } from '../../src/attention/reading';
import { isAsked, queryName, tokenName } from './keyMap';
import { SCALES, type ScaleKind } from './scale';
import type { Chosen, Settings } from './settings';

export interface ControlsProps {
  readonly probes: readonly Probe[];
  readonly chosen: Chosen;
  /** The answer: activation maps are of its classes. */
  readonly guesses: readonly Guess[];
  /** Layers chain, so that rollout means something. */
  readonly canRollOut: boolean;
  readonly onChange: (change: Partial<Settings>) => void;
}

const METHODS = [
  { value: 'raw', label: 'Attention' },
  { value: 'rollout', label: 'Rollout' },
] as const;

/** Which attention is shown: method, layer, head, query. */
export function Controls({ probes, chosen, guesses, canRollOut, onChange }: ControlsProps): VNode | null {
  const probe = probes[chosen.layer];
  if (!probe) return null;
  const asks = probe.kind === 'activation' ? 'Class' : 'Query';
  const queries = isAsked(probe) ? queryChoices(probe, chosen.query, guesses) : [];
  return (
    <div class="controls" role="group" aria-label="Which attention">
      {canRollOut && (
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
      {probes.length > 1 && <LayerControl probes={probes} layer={chosen.layer} onChange={onChange} />}
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
      {(queries.length > 1 || (queries.length > 0 && queryGrid(probe))) && (
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
    </div>
  );
}

interface LayerControlProps {
  readonly probes: readonly Probe[];
  readonly layer: number;
  readonly onChange: (change: Partial<Settings>) => void;
}

const LayerControl = ({ probes, layer, onChange }: LayerControlProps): VNode => (
  <div class="control layer-control">
    <span>Layer</span>
    <IconButton
      icon="chevron-left"
      label="Earlier layer"
      disabled={layer === 0}
      onClick={() => onChange({ layer: layer - 1 })}
    />
    <span class="layer-text" title={probes[layer]?.layer}>
      {layer + 1} of {probes.length}
    </span>
    <IconButton
      icon="chevron-right"
      label="Later layer"
      disabled={layer === probes.length - 1}
      onClick={() => onChange({ layer: layer + 1 })}
    />
    <Slider
      label="Layer"
      min={0}
      max={probes.length - 1}
      value={layer}
      text={`layer ${layer + 1} of ${probes.length}, ${probes[layer]?.layer}`}
      onInput={(next) => onChange({ layer: next })}
    />
  </div>
);

/** How it is drawn: opacity, colours, scale. */
export const Appearance = ({ chosen, onChange }: Pick<ControlsProps, 'chosen' | 'onChange'>): VNode => (
  <div class="controls" role="group" aria-label="How it is drawn">
    <label class="control">
      <span>Opacity</span>
      <Slider
        label="Opacity"
        min={0}
        max={100}
        step={5}
        value={100 * chosen.opacity}
        text={`${Math.round(100 * chosen.opacity)} %`}
        onInput={(percent) => onChange({ opacity: percent / 100 })}
      />
    </label>
    <label class="control">
      <span>Colours</span>
      <Dropdown
        label="Colour map"
        value={chosen.colourMap}
        choices={colourMaps.map((map) => ({ value: map, label: map }))}
        onChange={(map) => onChange({ colourMap: map as ColourMap })}
      />
    </label>
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

const headChoices = (heads: number): readonly { value: string; label: string }[] => [
  { value: 'mean', label: 'mean' },
  { value: 'max', label: 'max' },
  ...Array.from({ length: heads }, (_, head) => ({ value: String(head), label: `${head + 1} of ${heads}` })),
];

const headOf = (value: string): HeadChoice => (value === 'mean' || value === 'max' ? value : Number(value));

/**
 * Special tokens and the mean if there are patches; a clicked patch is listed while it is the
 * query.
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
  const patches = query.kind === 'patch' ? [...others, query] : others;
  const named = (value: Query): string => (probe.queries.grid ? queryName(value) : 'mean of all queries');
  return [...special, ...patches.map((value) => ({ value: JSON.stringify(value), label: named(value) }))];
}
