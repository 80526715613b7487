import type { VNode } from 'preact';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Cell } from '../../src/attention/tokenLayout';
import { colourMaps, colourMapNamed, type ColourMap } from '../../src/attention/colourMaps';
import { formatExact, formatNumber, formatPercent, quantity } from '../../src/domain/units';
import type { Category, MapOutput, NamedOutput, Outputs, VectorOutput } from '../../src/tasks/answer';
import { countOf, keptChannels } from '../../src/tasks/outputs/facts';
import { categoriesText, kindText, meanText, peakText, spreadText } from '../../src/tasks/outputs/text';
import type { SeenImage } from '../../src/tasks/run';
import { useSaved } from '../host';
import { useWidth } from '../kit/elements';
import { Button, Checkbox, Dropdown } from '../kit/toolkit';
import { bitmapOf, drawImageAndMap, drawMarks, drawScale, heatBitmap, prepare } from '../marks/heatmap';
import { alone, placeIn, rangeOf } from '../marks/mapPlace';
import { cellAt } from '../marks/overlay';
import { indexAt, vectorBars } from '../marks/vectorBars';
import { classRgb } from '../marks/classColours';
import type { AnswerView, AnswerViewProps } from './answerView';
import { pixelBitmap } from './pixelsOverlay';
import { Swatch } from './swatch';
import './outputs.css';

/** What a graph gives that is no classifier: every output by its name, drawn as its shape is. */
export const outputs: AnswerView<Outputs> = {
  spoken: ({ outputs: all }) =>
    `${quantity(all.length, 'output')}: ${all.map(({ name }) => name).join(', ')}`,
  leads: true,
  View: ({ answer, seen, onCopy }) => (
    <div class="outputs">
      {answer.outputs.map((output) => (
        <Output key={output.name} output={output} seen={seen} onCopy={onCopy} />
      ))}
    </div>
  ),
};

type OutputProps<O extends NamedOutput> = { readonly output: O } & Pick<
  AnswerViewProps<Outputs>,
  'seen' | 'onCopy'
>;

/** One output under its name. */
export function Output(props: OutputProps<NamedOutput>): VNode {
  const { output, seen, onCopy } = props;
  return (
    <section class="output" aria-label={`Output ${output.name}`}>
      <h3>{output.name}</h3>
      <p class="quiet">{kindText(output)}</p>
      {output.kind === 'map' &&
        (output.categories ? (
          <CategoryView output={output} categories={output.categories} seen={seen} onCopy={onCopy} />
        ) : (
          <MapView output={output} seen={seen} onCopy={onCopy} />
        ))}
      {output.kind === 'vector' && <VectorView output={output} seen={seen} onCopy={onCopy} />}
      {output.kind === 'array' && <p>{spreadText(output)}</p>}
    </section>
  );
}

const HIGHEST = 360;
/** A map by itself is no wider than this, however few cells it has. */
const WIDEST_ALONE = 280;
const OPACITY = 0.75;

/** How maps are drawn, for all outputs alike. */
interface Look {
  readonly over: boolean;
  readonly colours: ColourMap;
}

function MapView({ output, seen, onCopy }: OutputProps<MapOutput>): VNode {
  const [look, setLook] = useSaved<Look>('outputs', { over: true, colours: 'viridis' });
  const [channel, setChannel] = useState(0);
  const [hovered, setHovered] = useState<Cell>();
  const { grid, channels } = output;
  const kept = keptChannels(output);
  const shown = channel < kept ? channel : 0;
  const area = grid[0] * grid[1];
  const values = useMemo(
    () => output.values.subarray(shown * area, (shown + 1) * area),
    [output.values, shown, area],
  );
  const [low, high] = useMemo(() => rangeOf(values), [values]);
  const over = output.onImage && look.over;
  const heat = useMemo(
    () => heatBitmap(values, grid, { low, high, map: colourMapNamed(look.colours) }),
    [values, low, high, look.colours],
  );
  const value = hovered && values[hovered.row * grid[1] + hovered.column];
  const peak = peakText(output);
  return (
    <>
      <MapCanvas
        {...{ output, seen, heat, over, hovered }}
        label={`${kindText(output)}, ${formatNumber(low)} to ${formatNumber(high)}`}
        onHover={setHovered}
      />
      <p class="output-scale">
        {formatNumber(low)}
        <ScaleStrip colours={colourMapNamed(look.colours)} low={low} high={high} />
        {formatNumber(high)}
      </p>
      <p class="output-value quiet">
        {hovered && value !== undefined
          ? `row ${hovered.row}, column ${hovered.column}: ${formatNumber(value, 4)}`
          : peak || 'Point at the map for its values.'}
      </p>
      <div class="output-controls">
        {channels > 1 && (
          <Dropdown
            label={`Channel of ${output.name}`}
            value={String(shown)}
            choices={channelChoices(kept)}
            onChange={(next) => setChannel(Number(next))}
          />
        )}
        <Dropdown
          label={`Colours of ${output.name}`}
          value={look.colours}
          choices={colourMaps.map((name) => ({ value: name, label: name }))}
          onChange={(colours) => setLook({ ...look, colours: colourMapNamed(colours) })}
        />
        {output.onImage && (
          <Checkbox checked={look.over} onChange={(next) => setLook({ ...look, over: next })}>
            Over the image
          </Checkbox>
        )}
        {onCopy && <Button onClick={() => onCopy(rowsText(values, grid[1]))}>Copy Numbers</Button>}
      </div>
      <p class="quiet">
        {channels > 1 ? `${spreadText(output)}, over all channels` : meanText(output)}
        {kept < channels && `. The first ${kept} of ${channels} channels can be drawn.`}
      </p>
    </>
  );
}

interface CategoryProps extends OutputProps<MapOutput> {
  readonly categories: readonly Category[];
}

/** A map of whole numbers: each a class with its colour, its name and the area that it covers. */
function CategoryView({ output, categories, seen, onCopy }: CategoryProps): VNode {
  const [look, setLook] = useSaved<Look>('outputs', { over: true, colours: 'viridis' });
  const [hovered, setHovered] = useState<Cell>();
  const [pointed, setPointed] = useState<number>();
  const { grid, values } = output;
  const over = output.onImage && look.over;
  const heat = useMemo(
    () =>
      pixelBitmap(grid, (pixel) => {
        const value = values[pixel] ?? 0;
        return pointed === undefined || value === pointed ? classRgb(value) : undefined;
      }),
    [output, pointed],
  );
  const value = hovered && values[hovered.row * grid[1] + hovered.column];
  const name = categories.find((each) => each.value === value)?.name;
  const cells = grid[0] * grid[1];
  return (
    <>
      <MapCanvas
        {...{ output, seen, heat, over, hovered }}
        label={`${kindText(output)}: ${categoriesText(output)}`}
        onHover={setHovered}
      />
      <p class="output-value quiet">
        {hovered && value !== undefined
          ? `row ${hovered.row}, column ${hovered.column}: ${name === String(value) ? name : `${name ?? ''} (${value})`}`
          : 'Point at the map for its classes.'}
      </p>
      <ol class="guesses segment-list category-list" aria-label={`Classes of ${output.name}`}>
        {categories.map((each) => (
          <li
            key={each.value}
            class={pointed === each.value ? 'pointed' : ''}
            title={`${each.value}: ${formatExact(each.cells)} of ${formatExact(cells)} cells`}
            onPointerEnter={() => setPointed(each.value)}
            onPointerLeave={() => setPointed(undefined)}
          >
            <Swatch label={each.value} />
            <span class="guess-label">{each.name}</span>
            <span class="share">
              <span style={{ width: `${(100 * each.cells) / cells}%` }} />
            </span>
            <span class="number">{formatPercent(each.cells / cells)}</span>
          </li>
        ))}
      </ol>
      <div class="output-controls">
        {output.onImage && (
          <Checkbox checked={look.over} onChange={(next) => setLook({ ...look, over: next })}>
            Over the image
          </Checkbox>
        )}
        {onCopy && <Button onClick={() => onCopy(rowsText(values, grid[1]))}>Copy Numbers</Button>}
      </div>
    </>
  );
}

const channelChoices = (kept: number): { value: string; label: string }[] =>
  Array.from({ length: kept }, (_, index) => ({ value: String(index), label: `channel ${index}` }));

/** Rows of a map as lines, columns apart by tabs: what a spreadsheet takes. */
function rowsText(values: Float32Array, columns: number): string {
  const rows = Array.from({ length: values.length / columns }, (_, row) =>
    values.subarray(row * columns, (row + 1) * columns).join('\t'),
  );
  return `${rows.join('\n')}\n`;
}

interface MapCanvasProps {
  readonly output: MapOutput;
  readonly seen: SeenImage;
  /** The map in its colours, a pixel for each cell. */
  readonly heat: HTMLCanvasElement;
  /** What it shows, for those who do not see it. */
  readonly label: string;
  readonly over: boolean;
  readonly hovered: Cell | undefined;
  readonly onHover: (cell: Cell | undefined) => void;
}

/** A map exactly over what the model saw of the image, or by itself. */
function MapCanvas(props: MapCanvasProps): VNode {
  const { output, seen, heat, label, over, hovered, onHover } = props;
  const { grid, name } = output;
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const marks = useRef<HTMLCanvasElement>(null);
  const width = useWidth(place);
  const overlay = useMemo(
    () => placeIn(over ? seen : alone(grid), over ? width : Math.min(width, WIDEST_ALONE), HIGHEST),
    [over, seen, grid[0], grid[1], width],
  );
  const image = useMemo(() => (over ? bitmapOf(seen.pixels) : heat), [over, seen.pixels, heat]);
  useLayoutEffect(() => {
    const context = width > 0 && canvas.current && prepare(canvas.current, overlay.width, overlay.height);
    if (context)
      drawImageAndMap(context, overlay, { image, heat, opacity: over ? OPACITY : 1, smooth: false });
  }, [overlay, image, heat, over, width]);
  useLayoutEffect(() => {
    const context = width > 0 && marks.current && prepare(marks.current, overlay.width, overlay.height);
    if (context) drawMarks(context, overlay, undefined, undefined, grid, hovered);
  }, [overlay, hovered, width]);
  const cellUnder = (event: MouseEvent): Cell | undefined => {
    const box = (marks.current as HTMLCanvasElement).getBoundingClientRect();
    return cellAt(overlay, grid, event.clientX - box.left, event.clientY - box.top);
  };
  return (
    <div ref={place}>
      <div
        class="output-map"
        role="img"
        aria-label={`${name}, ${label}`}
        onPointerMove={(event) => onHover(cellUnder(event))}
        onPointerLeave={() => onHover(undefined)}
      >
        <canvas ref={canvas} />
        <canvas ref={marks} class="output-marks" />
      </div>
    </div>
  );
}

const STRIP = { x: 0, y: 0, width: 128, height: 12 } as const;

export function ScaleStrip({ colours, low, high }: { colours: ColourMap; low: number; high: number }): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current && prepare(canvas.current, STRIP.width, STRIP.height);
    if (context) drawScale(context, colours, STRIP);
  }, [colours]);
  return <canvas ref={canvas} role="img" aria-label={`Colours from ${low} to ${high}`} />;
}

function VectorView({ output, onCopy }: OutputProps<VectorOutput>): VNode {
  const { values, name } = output;
  const [hovered, setHovered] = useState<number>();
  const { path, zero, width, height } = useMemo(() => vectorBars(values), [values]);
  const value = hovered === undefined ? undefined : values[hovered];
  const onMove = (event: PointerEvent): void => {
    const { left, width: wide } = (event.currentTarget as Element).getBoundingClientRect();
    setHovered(indexAt(values.length, event.clientX - left, wide));
  };
  return (
    <>
      <svg
        class="output-bars"
        role="img"
        aria-label={`${name}, ${kindText(output)}, ${spreadText(output)}`}
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        onPointerMove={onMove}
        onPointerLeave={() => setHovered(undefined)}
      >
        <rect class="output-back" width={width} height={height} />
        {hovered !== undefined && (
          <path class="output-under" d={`M${((hovered + 0.5) * width) / values.length},0V${height}`} />
        )}
        <path class="output-bar" d={path} />
        <path class="output-zero" d={`M0,${zero}H${width}`} />
      </svg>
      <p class="output-value quiet">
        {hovered !== undefined && value !== undefined
          ? `${hovered}: ${formatNumber(value, 4)}`
          : spreadText(output)}
      </p>
      {onCopy && (
        <div class="output-controls">
          <Button onClick={() => onCopy(`${values.join('\n')}\n`)}>Copy Numbers</Button>
        </div>
      )}
      {values.length < countOf(output) && (
        <p class="quiet">
          The first {quantity(values.length, 'number')} of {countOf(output)} are drawn and copied.
        </p>
      )}
    </>
  );
}
