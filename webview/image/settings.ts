import type { Method, Query } from '../../src/domain/query';
import { colourMapNamed, type ColourMap } from '../../src/attention/colourMaps';
import type { HeadChoice } from '../../src/attention/heads';
import type { Probe } from '../../src/domain/probes';
import { askedQuery, validQuery } from './keyMap';
import type { ScaleKind } from './scale';
import type { SortKind } from './sorting';

/** How attention is looked at; kept with the panel. */
export interface Settings {
  readonly method: Method;
  /** Index of the probe; the last one if it is null. */
  readonly layer: number | null;
  readonly head: HeadChoice;
  readonly query: Query;
  /** A map was asked for: until then an answer that lies on the image stands alone on it. */
  readonly isAsked: boolean;
  readonly opacity: number;
  readonly smooth: boolean;
  /** Low weights let the image through. */
  readonly fade: boolean;
  readonly scale: ScaleKind;
  /** Order of the small maps. */
  readonly sort: SortKind;
  /** The map of the user's settings if it is null. */
  readonly colourMap: ColourMap | null;
}

export const INITIAL: Settings = {
  method: 'raw',
  layer: null,
  head: 'mean',
  query: { kind: 'special', name: 'cls' },
  isAsked: false,
  opacity: 0.85,
  smooth: false,
  fade: true,
  scale: 'layer',
  sort: 'layer',
  colourMap: null,
};

/** Settings with everything decided for the model that is shown. */
export interface Chosen extends Settings {
  readonly layer: number;
  readonly colourMap: ColourMap;
  /** What the host is asked, of all layers; `query` is what the chosen one makes of it. */
  readonly asked: Query;
}

/** Fits the settings to a model: another one may have fewer layers and heads and other tokens. */
export function chosenSettings(settings: Settings, probes: readonly Probe[], colourMap: string): Chosen {
  const last = Math.max(0, probes.length - 1);
  const layer = settings.layer === null ? last : Math.min(settings.layer, last);
  const probe = probes[layer];
  const heads = probe?.heads ?? 1;
  return {
    ...INITIAL,
    ...settings,
    // What an older version kept.
    method: settings.method === 'rollout' ? 'rollout' : 'raw',
    layer,
    head: typeof settings.head === 'number' && settings.head >= heads ? 'mean' : settings.head,
    query: probe ? validQuery(probe, settings.query) : settings.query,
    asked: askedQuery(probes, layer, settings.query),
    colourMap: settings.colourMap ?? colourMapNamed(colourMap),
  };
}
