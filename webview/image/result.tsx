import type { VNode } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { mapOnFrame, noMapText, queryGrid } from '../../src/attention/reading';
import type { Cell } from '../../src/attention/tokenLayout';
import { chainLength, type Probe } from '../../src/domain/probes';
import type { AttentionRows, Query } from '../../src/domain/query';
import type { Grid } from '../../src/domain/size';
import type { ImagePanelApi } from '../../src/protocol/image';
import { guessesOf } from '../../src/tasks/answer';
import type { Given, Run, RunOptions } from '../../src/tasks/run';
import { viewOf } from '../answers/answers';
import {
  initialLook,
  type Gestures,
  type ImagePoint,
  type Look,
  type Looking,
  type OverlayProps,
  type OverlayView,
} from '../answers/answerView';
import { useSaved, type Host } from '../host';
import { useLate, type NewestAnswer } from '../kit/hooks';
import { isBehind, isPending } from '../kit/newest';
import { Working } from '../kit/page';
import { announce, Banner, Skeleton } from '../kit/status';
import { Button } from '../kit/toolkit';
import type { Overlay } from '../marks/overlay';
import { Answer, Input } from './answer';
import { layerThatAnswers, useRows, type AskedQuery } from './askedRows';
import { Controls } from './controls';
import { Figures } from './figures';
import { FrameSlider } from './frames';
import { sampledPoints, type SampledPoint } from '../../src/attention/sampling';
import { SamplingLegend } from '../marks/samplingPoints';
import { layerMap, movedQuery, nextHead, queryName, sameQuery } from './keyMap';
import { Maps } from './maps';
import { ImageView, queryGridOf, type AnswerDrawing, type Giving, type Place } from './imageView';
import { usePanelSize } from './panelSize';
import { answerFileName, describe, fileName, numbersText, pictureFile } from './saved';
import { scaleRange, sharedRanges, subjectOf, type Range, type Subject } from './scale';
import { INITIAL, type Chosen, type Settings } from './settings';

/** What was asked for since the page was opened: a half of it, and a layer by its module path. */
export interface Wanted {
  readonly half: 'labels' | 'attention';
  readonly layer: string | undefined;
}
export type Opened = Awaited<ReturnType<ImagePanelApi['open']>>;

export const baseName = (path: string): string => path.split(/[\\/]/).at(-1) ?? path;

/** Milliseconds that a map may take before the one that is drawn is dimmed. */
const BLINK = 150;
const NO_RANGE: Range = { low: 0, high: 0, largest: 0 };

export interface ResultProps {
  readonly host: Host<ImagePanelApi>;
  readonly view: Run;
  readonly opened: Opened;
  readonly wanted: Wanted | undefined;
  readonly options: RunOptions;
  readonly onRun: (options: RunOptions) => void;
}

/**
 * Image, answer and maps. What is drawn is of `drawn`, under its own name, while a newer query is
 * on its way.
 */
export function Result({ host, view, opened, wanted, options, onRun }: ResultProps): VNode {
  const [settings, setSettings] = useSaved<Settings>('attention', INITIAL);
  const [hovered, setHovered] = useState<Cell>();
  /** What a click would ask. */
  const [aimed, setAimed] = useState<Query>();
  const { isWide, highest } = usePanelSize();
  const { chosen, drawn, newest } = useRows(host, view, settings, opened.colourMap, aimed);
  const probe = view.probes[chosen.layer];
  const { query } = chosen;
  const rows = newest.drawn?.answer;
  const frame = useFrame(view);
  const { map, range, shared } = useDrawing(view, drawn, rows, frame.index);

  useEffect(() => {
    if (map) announce(describe(view, drawn));
  }, [drawn.layer, drawn.head, drawn.method, JSON.stringify(drawn.query)]);

  // What chooses a layer, head or query asks for its map.
  const change = (changes: Partial<Settings>): void => {
    const asks = ['layer', 'head', 'query', 'method'].some((key) => key in changes);
    setSettings({ ...settings, isAsked: settings.isAsked || asks, ...changes });
  };
  const wantedLayer = wanted?.layer ?? opened.layer;
  useEffect(() => {
    const layer = view.probes.findIndex((each) => each.layer === wantedLayer);
    if (layer >= 0) change({ layer });
  }, [wanted, opened, view.checkpoint]);
  const cancel = (): void => {
    newest.cancel();
    change({ query: drawn.query, method: drawn.method });
    // The button goes; what was used before it has the keys again.
    document.querySelector<HTMLElement>('.image-stack')?.focus({ preventScroll: true });
  };
  const onKey = (key: string): boolean => {
    const changes = changeOfKey(key, view, chosen);
    if (changes) change(key === 'Escape' ? { ...changes, isAsked: false } : changes);
    return changes !== undefined;
  };
  const pending = isPending(newest);
  const isDimmed = useLate(pending, BLINK);
  const guesses = guessesOf(view.answer);
  const name = (of: Query): string => queryName(of, guesses, probe);
  const isBehindQuery = !sameQuery(drawn.query, chosen.query);
  const attentionFirst = !viewOf(view.answer).leads || (wanted?.half ?? opened.focus) === 'attention';
  const looking = useLooking(view, settings.isAsked ? drawn.query : undefined);
  const { overlay } = viewOf(view.answer);
  const isAlone = overlay !== undefined && !settings.isAsked && !attentionFirst;
  const shownMap = isAlone ? undefined : map;
  const ask = (next: Query | undefined): void => {
    if (next) change({ query: next, layer: layerThatAnswers(view.probes, chosen.layer, next) });
    else onKey('Escape');
  };
  const {
    given,
    isBehind: isAnswerBehind,
    onGive,
    onUndo,
  } = useGiven(view, options, (next) => {
    if (settings.isAsked) change({ isAsked: false });
    onRun({ ...options, given: next });
  });
  const gestures = overlay?.gesturesOf?.(view.answer);
  const drawing =
    overlay &&
    answerDrawing(
      view,
      overlay,
      looking,
      { overMap: shownMap !== undefined, isBehind: isAnswerBehind },
      probe,
    );
  const points = isAlone || !rows ? undefined : pointsOf(rows, view.probes, drawn);
  const parts = { view, options, onRun };
  const copy = (text: string): void => void host.remote.copy(text).then(() => announce('Copied'));
  return (
    <div
      class={`result${attentionFirst ? ' attention-first' : ''}${isDimmed ? ' pending' : ''}`}
      aria-busy={pending}
    >
      <div class="left">
        <ImageView
          view={view}
          pixels={frame.pixels}
          probe={probe}
          map={shownMap}
          range={range}
          chosen={drawn}
          highest={highest}
          wanted={isBehind(newest) ? query : undefined}
          hovered={hovered}
          onHover={setHovered}
          onAim={setAimed}
          onQuery={ask}
          patches={patchGrid(view.probes, probe)}
          drawing={drawing}
          giving={gestures && givingOf(view, gestures, { given, onGive, onUndo })}
          points={points}
          onKey={onKey}
          label={`${baseName(view.seen.image)}, attention of ${name(drawn.query)}, ${describe(view, drawn)}. Arrow keys move the query, brackets change the layer, h the head.`}
        >
          <Working
            class="working-over"
            busy={pending && rows !== undefined}
            text={`${newest.progress || 'Computing'}: ${name(query)}. Shown: ${name(drawn.query)}.`}
            onCancel={cancel}
          />
          {gestures && <p class="quiet giving-hint">{gestures.hint}</p>}
        </ImageView>
        {view.seen.frames && (
          <FrameSlider frames={view.seen.frames} index={frame.index} onIndex={frame.setIndex} />
        )}
        {rows && isAlone && !gestures && <p class="quiet map-figures">{overlay.hint}</p>}
        {rows && !isAlone && (
          <Figures
            view={view}
            rows={rows}
            map={map}
            range={range}
            drawn={drawn}
            behind={isBehindQuery ? name(drawn.query) : undefined}
            hovered={hovered}
            onReveal={(layer) => void host.remote.perform('inspect', layer)}
          />
        )}
        {points && <SamplingLegend points={points} />}
        <Input {...parts} />
      </div>
      <div class="right">
        <Answer
          {...parts}
          {...looking}
          topK={opened.topK}
          onQuery={ask}
          given={given}
          onGive={onGive}
          onUndo={onUndo}
          onCopy={copy}
          onCompare={() => host.call('similar', [])}
          onSave={(ending, content) =>
            void host.remote
              .save(answerFileName(opened.image, ending), content)
              .then((done) => done && announce('Saved'))
          }
        />
        {view.probes.length === 0 && (
          <section class="maps" id="attention">
            <Banner icon="info">{sentence(noMapText(view))}</Banner>
          </section>
        )}
        <QueryFailed newest={newest} drawn={rows && name(drawn.query)} />
        {probe && !rows && !newest.failed && (
          <section class="maps" id="attention" tabIndex={-1}>
            <Skeleton label="Reading attention" rows={4} />
          </section>
        )}
        {rows && !map && <p class="quiet lacking">{lackingText(view, drawn)}</p>}
        {rows && (
          <Maps
            host={host}
            view={view}
            rows={rows}
            drawn={drawn}
            map={map}
            shared={shared}
            range={range}
            hovered={hovered}
            isIdle={!pending}
            isWide={isWide}
            onChange={change}
          />
        )}
      </div>
      <Controls
        probes={view.probes}
        layers={view.layers}
        chosen={chosen}
        guesses={guesses}
        canSave={map !== undefined}
        gestures={gestures?.keys}
        onChange={change}
        onSave={() => {
          if (map)
            void host.remote
              .save(fileName(opened.image, drawn.query), pictureFile(view, map, range, drawn))
              .then((done) => done && announce('Saved'));
        }}
        onCopy={() => {
          if (map) copy(numbersText(view, map, drawn));
        }}
      />
    </div>
  );
}

/** How the answer is looked at, and what of it is pointed at, in its list or on the image. */
function useLooking({ answer, run }: Run, query: Query | undefined) {
  const [look, setLook] = useSaved<Look>('look', initialLook);
  const [pointed, setPointed] = useState<number>();
  const [choice, setChoice] = useState<number>();
  useEffect(() => {
    setPointed(undefined);
    setChoice(undefined);
  }, [answer, run]);
  const onLook = (changes: Partial<Look>): void => setLook({ ...look, ...changes });
  return {
    ...{ look: { ...initialLook, ...look }, onLook, query },
    ...{ pointed, onPoint: setPointed, choice, onChoice: setChoice },
  };
}

/** Givings that can be undone. */
const mostUndone = 100;

/** What is given beside the image, from the moment on that it is, and what was before. */
function useGiven(view: Run, options: RunOptions, onRun: (given: Given) => void) {
  const [past, setPast] = useSaved<readonly Given[]>('past', []);
  const given = options.given ?? view.given ?? {};
  const before = past.at(-1);
  return {
    given,
    isBehind: JSON.stringify(given) !== JSON.stringify(view.given ?? {}),
    onGive: (next: Given): void => {
      setPast([...past, given].slice(-mostUndone));
      onRun(next);
    },
    onUndo:
      before &&
      ((): void => {
        setPast(past.slice(0, -1));
        onRun(before);
      }),
  };
}

/** How far beside a mark a click still means it, in CSS pixels. */
const reach = 9;

/** What clicks and drags on the image give. */
function givingOf(
  { seen: { size } }: Run,
  { onClick, onDrag, View }: Gestures,
  { given, onGive, onUndo }: Pick<ReturnType<typeof useGiven>, 'given' | 'onGive' | 'onUndo'>,
): Giving {
  const pointOf = ({ image, scale }: Overlay, [x, y]: Place): ImagePoint => ({
    x: Math.min(size[0], Math.max(0, (x - image.x) / scale)),
    y: Math.min(size[1], Math.max(0, (y - image.y) / scale)),
  });
  return {
    onClick: (place, at, isShift) =>
      onGive(onClick(given, pointOf(place, at), { isShift, reach: reach / place.scale })),
    onDrag: (place, from, to) => onGive(onDrag(given, pointOf(place, from), pointOf(place, to))),
    onUndo,
    onClear: () => onGive({}),
    draw: (place) => <View given={given} place={place} />,
  };
}

/** An answer on the image: pointing lights what is there, a click there asks for its query. */
function answerDrawing(
  { answer, seen }: Run,
  { View, at, queryOf }: OverlayView<Run['answer']>,
  looking: Looking & { readonly onPoint: (index: number | undefined) => void },
  state: Pick<OverlayProps<Run['answer']>, 'overMap' | 'isBehind'>,
  probe: Probe | undefined,
): AnswerDrawing {
  const { look, pointed, query, choice, onPoint } = looking;
  const propsFor = (place: Overlay) => ({ answer, seen, look, pointed, query, choice, place, ...state });
  return {
    draw: (place) => <View {...propsFor(place)} />,
    onPoint: (place, x, y) => onPoint(at(propsFor(place), x, y)?.index),
    onLeave: () => onPoint(undefined),
    queryAt: (place, x, y) => {
      const hit = at(propsFor(place), x, y);
      // A layer of patches is asked for those inside of a box, too: the box is its line and name.
      const isPatch = hit?.part === 'inside' && probe !== undefined && queryGrid(probe) !== undefined;
      return isPatch ? undefined : hit && queryOf(answer, hit.index);
    },
  };
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** Why the chosen layer shows nothing, though it was asked. */
function lackingText({ probes }: Run, { method, layer }: Chosen): string {
  if (method !== 'rollout') return 'This layer has no such query. Choose another layer or query.';
  return layer < chainLength(probes)
    ? 'The means over heads of all layers are too large to keep: choose a smaller image size, or raise the memory limit.'
    : `Rollout ends before this layer: from layer ${chainLength(probes)} on, tokens attend to other tokens.`;
}

interface QueryFailedProps {
  readonly newest: NewestAnswer<AskedQuery, AttentionRows>;
  /** The query whose maps are shown all the same. */
  readonly drawn: string | undefined;
}

function QueryFailed({ newest, drawn }: QueryFailedProps): VNode | null {
  const error = newest.failed?.error;
  if (!error) return null;
  const isGivenUp = error.kind === 'cancelled';
  return (
    <Banner
      icon={isGivenUp ? 'circle-slash' : 'error'}
      kind={isGivenUp ? 'info' : 'error'}
      actions={<Button onClick={newest.retry}>Try Again</Button>}
    >
      {isGivenUp ? 'Cancelled.' : `The attention could not be read: ${error.message}`}
      {drawn !== undefined && ` What is shown is of the query “${drawn}”.`}
    </Banner>
  );
}

/** The frame of a clip that is looked at; of an image there is one. */
function useFrame({ seen }: Run) {
  const [chosen, setIndex] = useSaved('frame', 0);
  const index = Math.min(chosen, Math.max(0, (seen.frames?.length ?? 1) - 1));
  return { index, setIndex, pixels: seen.frames?.[index]?.pixels ?? seen.pixels };
}

/** Places that the drawn query looks at; undefined in layers without such, and for means. */
function pointsOf(
  { rows, places }: AttentionRows,
  probes: readonly Probe[],
  { layer, head }: Chosen,
): readonly SampledPoint[] | undefined {
  const [probe, weights, here] = [probes[layer], rows[layer], places?.[layer]];
  if (!probe || !weights || !here || here.length === 0 || weights.length * 2 !== here.length)
    return undefined;
  return sampledPoints(probe, { weights, places: here }, typeof head === 'number' ? head : undefined);
}

/** The map that is drawn large, on the frame that is looked at, and the colour scales of all. */
function useDrawing(view: Run, drawn: Chosen, rows: AttentionRows | undefined, frame: number) {
  const { layer, head, scale } = drawn;
  const map = useMemo(() => {
    const whole = rows && layerMap(rows, view.probes, layer, head);
    const [probe, frames] = [view.probes[layer], view.seen.frames?.length];
    return whole && probe && frames ? mapOnFrame(probe, whole, frame, frames) : whole;
  }, [rows, view, layer, head, frame]);
  const rangesOf = (subject: Subject): readonly Range[] | undefined =>
    rows && scale !== 'own' ? sharedRanges(scale, rows, view.probes, subject) : undefined;
  const shared = useMemo(() => rangesOf('head'), [rows, view, scale]);
  // Heads taken together have a range of their own: on that of single heads a mean is nearly black.
  const subject = subjectOf(rows?.method ?? drawn.method, head);
  const own = useMemo(
    () => (subject === 'mean' || subject === 'max' ? rangesOf(subject) : shared),
    [rows, view, scale, subject],
  );
  return { map, shared, range: map ? scaleRange(own, layer, map) : NO_RANGE };
}

/** Rows and columns that a click counts on: those of the last layer of patches before a decoder. */
function patchGrid(probes: readonly Probe[], probe: Probe | undefined): Grid | undefined {
  const { queries, sequence } = probe?.queries ?? {};
  if (!probe || queryGrid(probe) || (queries ?? sequence) === undefined) return queryGridOf(probe);
  return probes.map(queryGrid).findLast((grid) => grid !== undefined);
}

/** What a key on the image changes; undefined for keys that are not the image's. */
function changeOfKey(key: string, view: Run, chosen: Chosen): Partial<Settings> | undefined {
  const probe = view.probes[chosen.layer];
  if (!probe) return undefined;
  if (key === '[') return { layer: Math.max(0, chosen.layer - 1) };
  if (key === ']') return { layer: Math.min(view.probes.length - 1, chosen.layer + 1) };
  if (key === 'h' || key === 'H') return { head: nextHead(chosen.head, probe.heads, key === 'h' ? 1 : -1) };
  const query = movedQuery(probe, chosen.query, key);
  return query && { query };
}
