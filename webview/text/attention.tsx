import type { VNode } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import type { ColourMap } from '../../src/attention/colourMaps';
import { highestOf, meanOfHeads, withoutLater } from '../../src/attention/textMaps';
import { formatNumber } from '../../src/domain/units';
import type { TextLayer, TextView } from '../../src/protocol/text';
import { useSaved } from '../host';
import { useAnswer } from '../kit/hooks';
import { announce, Banner, Skeleton } from '../kit/status';
import { Dropdown } from '../kit/toolkit';
import { TokenMatrix, type MatrixPlace } from '../marks/tokenMatrix';
import { litIn, placeOf, type Lit, type MapKind } from './lit';

export interface AttentionProps {
  readonly view: TextView;
  readonly colourMap: ColourMap;
  /** The layer that was asked for from elsewhere. */
  readonly wanted: string | undefined;
  readonly lit: Lit;
  readonly onLit: (lit: Lit) => void;
  readonly map: (run: number, layer: number) => Promise<Float32Array>;
}

interface KindWords {
  readonly title: string;
  readonly note: string;
}

const kinds: Readonly<Record<MapKind, KindWords>> = {
  self: {
    title: 'Encoder self-attention',
    note: 'A row is a token of the text that was read; it looks at all of them.',
  },
  causal: {
    title: 'Decoder masked self-attention',
    note: 'A row is a token as it was written; it looks at those before it alone (the first at the start, whole).',
  },
  cross: {
    title: 'Cross-attention',
    note: 'A row is a token as it was written; it looks at the text that was read.',
  },
};

/** Every kind of attention of an encoder and decoder, token by token. */
export function Attention(props: AttentionProps): VNode {
  const { view } = props;
  if (view.layers.length === 0)
    return <Banner icon="info">{view.noMaps ?? 'This model has no attention that could be drawn.'}</Banner>;
  return (
    <section class="attention-maps" aria-label="Attention">
      {(Object.keys(kinds) as MapKind[]).map((kind) => (
        <KindOfMap key={kind} kind={kind} {...props} />
      ))}
    </section>
  );
}

interface Named {
  readonly index: number;
  readonly layer: TextLayer;
}

function KindOfMap(props: AttentionProps & { readonly kind: MapKind }): VNode | null {
  const { kind, view, wanted, colourMap, lit, onLit } = props;
  const own = useMemo(
    () => view.layers.flatMap((layer, index): Named[] => (layer.kind === kind ? [{ index, layer }] : [])),
    [view],
  );
  const [saved, setLayer] = useSaved(`layer.${kind}`, -1);
  const [head, setHead] = useSaved(`head.${kind}`, 'mean');
  useEffect(() => {
    const asked = own.findIndex(({ layer }) => layer.layer === wanted);
    if (asked >= 0) setLayer(asked);
  }, [wanted, view]);
  const chosen = own[saved] ?? own.at(-1);
  const map = useAnswer(
    () => (chosen ? props.map(view.run, chosen.index) : undefined),
    [view.run, chosen?.index],
  );
  if (!chosen) return null;
  const { layer } = chosen;
  const place = own.indexOf(chosen);
  const ofHead = head === 'mean' || Number(head) >= layer.heads ? 'mean' : Number(head);
  const { title, note } = kinds[kind];
  return (
    <div class="attention-map">
      <h2>{title}</h2>
      <div class="buttons">
        <Dropdown
          label={`Layer of ${title}`}
          value={String(place)}
          choices={own.map((_, index) => ({ value: String(index), label: `Layer ${index}` }))}
          onChange={(value) => setLayer(Number(value))}
        />
        <Dropdown
          label={`Head of ${title}`}
          value={String(ofHead)}
          choices={[
            { value: 'mean', label: 'Mean of heads' },
            ...Array.from({ length: layer.heads }, (_, index) => ({
              value: String(index),
              label: `Head ${index}`,
            })),
          ]}
          onChange={setHead}
        />
      </div>
      {map.error && (
        <Banner icon="error" kind="error">
          {map.error.message}
        </Banner>
      )}
      {map.value ? (
        <Matrix
          {...{ kind, view, layer, colourMap, lit, onLit, title, note }}
          all={map.value}
          head={ofHead}
        />
      ) : (
        !map.error && <Skeleton label="Reading the maps" rows={4} />
      )}
    </div>
  );
}

interface MatrixProps extends Pick<AttentionProps, 'view' | 'colourMap' | 'lit' | 'onLit'>, KindWords {
  readonly kind: MapKind;
  readonly layer: TextLayer;
  /** `[heads, queries, keys]` */
  readonly all: Float32Array;
  readonly head: number | 'mean';
}

function Matrix({ kind, view, layer, all, head, colourMap, lit, onLit, title, note }: MatrixProps): VNode {
  const { queries, keys, heads } = layer;
  const size = queries * keys;
  const values = useMemo(() => {
    const own = head === 'mean' ? meanOfHeads(all, heads) : all.subarray(head * size, (head + 1) * size);
    return kind === 'causal' ? withoutLater(own, keys) : own;
  }, [all, head]);
  const high = useMemo(() => highestOf(values, kind === 'causal' ? keys : 0), [values]);
  const [rows, columns] = wordsOf(kind, view);
  const marked = litIn(kind, lit);
  const said = sentence(marked, { rows, columns, values, keys });
  const mark = (place: MatrixPlace): void => {
    onLit(placeOf(kind, place));
    const next = sentence(place, { rows, columns, values, keys });
    if (place.row !== undefined && place.column !== undefined) announce(next);
  };
  return (
    <>
      <TokenMatrix
        rows={rows.slice(0, queries)}
        columns={columns.slice(0, keys)}
        values={values}
        high={high}
        colourMap={colourMap}
        marked={marked}
        label={`${title}: ${queries} tokens look at ${keys}. The arrow keys go from weight to weight.`}
        onMark={mark}
      />
      <p class="quiet said">{said || `${note} 0 … ${formatNumber(high)}.`}</p>
    </>
  );
}

type Words = readonly string[];

/** Tokens at the left and above: a step is called by the token that it wrote. */
function wordsOf(
  kind: MapKind,
  { source, texts: [first] }: TextView,
): readonly [rows: Words, columns: Words] {
  const read = source.map(({ shown }) => shown);
  const written = (first?.tokens ?? []).map(({ shown }) => shown);
  if (kind === 'self') return [read, read];
  return [written, kind === 'cross' ? read : ['start', ...written.slice(0, -1)]];
}

interface Shown {
  readonly rows: Words;
  readonly columns: Words;
  readonly values: Float32Array;
  readonly keys: number;
}

/** What a cell says: `“chat” looks at “cat”: 0.43`. */
function sentence({ row, column }: MatrixPlace, { rows, columns, values, keys }: Shown): string {
  if (row === undefined || column === undefined) return '';
  const value = values[row * keys + column] ?? 0;
  if (Number.isNaN(value)) return `“${rows[row] ?? ''}” was written before “${columns[column] ?? ''}”`;
  return `“${rows[row] ?? ''}” looks at “${columns[column] ?? ''}”: ${formatNumber(value)}`;
}
