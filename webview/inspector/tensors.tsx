import type { VNode } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import type { InspectorModel } from '../../src/protocol/inspector';
import type { TensorRow } from '../../src/domain/report';
import { largest } from '../../src/domain/lists';
import { formatBytes, formatExact, formatShape } from '../../src/domain/units';
import { useSaved } from '../host';
import { matchingRows, prepare, remembered, sortedRows, type SortOrder } from '../kit/sorting';
import { monoWidth, type DraggedWidths } from '../kit/columnWidths';
import { DataGrid, type Columns } from '../kit/table';
import { hitsText, useHits, type OnHits } from './hits';
import { Values, type ReadValues } from './values';

const ROW_HEIGHT = 24;

type Name = 'name' | 'dtype' | 'shape' | 'elements' | 'bytes' | 'offset' | 'role';

const elementsOf = (tensor: TensorRow): number => tensor.shape.reduce((product, size) => product * size, 1);

/** In the order in which they leave a narrow table, the last one first. */
const COLUMNS: Columns<TensorRow, Name> = {
  name: {
    title: 'Name',
    styleOf: () => 'mono tensor-name',
    value: ({ name }) => name,
    tip: ({ name }) => name,
    // The end of a name tells tensors apart: it is the beginning that gives way.
    cell: ({ name }) => <bdi>{name}</bdi>,
  },
  shape: {
    title: 'Shape',
    style: 'number',
    width: 104,
    value: ({ shape }) => formatShape(shape),
    tip: ({ shape }) => formatShape(shape),
    cell: ({ shape }) => formatShape(shape),
  },
  dtype: { title: 'Type', width: 48, value: ({ dtype }) => dtype, cell: ({ dtype }) => dtype },
  bytes: {
    title: 'Size',
    numeric: true,
    style: 'number',
    width: 72,
    value: ({ bytes }) => bytes,
    tip: ({ bytes }) => `${formatExact(bytes)} bytes`,
    cell: ({ bytes }) => formatBytes(bytes),
  },
  role: {
    title: 'Role',
    width: 72,
    styleOf: ({ role }) => (role === 'unused' ? 'unused' : 'quiet'),
    value: ({ role }) => role,
    cell: ({ role }) => role,
  },
  elements: {
    title: 'Elements',
    numeric: true,
    style: 'number',
    width: 88,
    value: elementsOf,
    cell: (tensor) => formatExact(elementsOf(tensor)),
  },
  offset: {
    title: 'Offset',
    numeric: true,
    style: 'number',
    width: 104,
    value: ({ offset }) => offset,
    tip: ({ file }) => file,
    cell: ({ offset }) => (offset === undefined ? 'compressed' : formatExact(offset)),
  },
};

const searchText = ({ name, dtype, shape, role, file }: TensorRow): string =>
  `${name} ${dtype} ${formatShape(shape)} ${role} ${file}`;

export interface TensorsProps {
  readonly model: InspectorModel;
  readonly query: string;
  /** Tensor to bring into view and choose. */
  readonly chosen: string | undefined;
  readonly onChoose: (name: string | undefined) => void;
  readonly read: ReadValues;
  readonly onCopy: (text: string) => void;
  readonly onHits: OnHits;
  /** Shows the module that holds a tensor. */
  readonly onModule: (tensor: TensorRow) => void;
}

/**
 * Every tensor of the file; thousands of rows, of which only those on the screen are in the
 * document.
 */
export function Tensors(props: TensorsProps): VNode {
  const { model, query, chosen, onChoose, read, onCopy } = props;
  const textOf = useMemo(() => remembered(searchText), [model.tensors]);
  const [order, setOrder] = useSaved<SortOrder<Name> | undefined>('tensorOrder', undefined);
  const rows = useMemo(() => {
    const found = matchingRows(model.tensors, query, textOf);
    return sortedRows(found, order, (tensor, column) => COLUMNS[column].value?.(tensor));
  }, [model.tensors, query, order]);
  useEffect(() => prepare(model.tensors, textOf), [textOf]);
  const [dragged, setDragged] = useSaved<DraggedWidths<Name>>('tensorWidths', {});
  const least = useMemo(
    () => monoWidth(largest([0, ...model.tensors.map(({ name }) => name.length)])),
    [model.tensors],
  );
  const tensor = model.tensors.find(({ name }) => name === chosen);
  const total = model.tensors.length;
  useHits(query.trim() === '' ? undefined : hitsText(rows.length, total, 'tensors'), props.onHits);
  if (model.tensors.length === 0) return <p class="empty">This file holds no tensors.</p>;
  return (
    <div class="tree-and-detail">
      <div class="tree-side">
        {rows.length === 0 ? (
          <p class="empty">No tensor name, type or shape contains “{query}”.</p>
        ) : (
          <DataGrid
            label="Tensors"
            class="tensor-grid"
            rowClass="tensor-columns"
            columns={COLUMNS}
            rows={rows}
            keyOf={({ name }) => name}
            rowHeight={ROW_HEIGHT}
            order={order}
            onOrder={setOrder}
            chosen={chosen}
            onChoose={onChoose}
            onCopy={onCopy}
            sizing={{ rest: 'name', least, dragged, onDrag: setDragged }}
          />
        )}
        <Totals model={model} shown={rows.length} />
      </div>
      <aside class="detail" aria-label="Values of the chosen tensor">
        {tensor ? (
          <Values
            key={tensor.name}
            tensor={tensor}
            read={read}
            onCopy={onCopy}
            onModule={() => props.onModule(tensor)}
          />
        ) : (
          <p class="quiet">Choose a tensor to read its values from the file.</p>
        )}
      </aside>
    </div>
  );
}

const Totals = ({ model, shown }: { model: InspectorModel; shown: number }): VNode => {
  const bytes = model.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const part = shown < model.tensors.length ? `${formatExact(shown)} of ` : '';
  return (
    <p class="quiet totals">
      {part}
      {formatExact(model.tensors.length)} tensors,{' '}
      <span title={`${formatExact(bytes)} bytes`}>{formatBytes(bytes)}</span>
      {model.unused.length > 0 && <>, {formatExact(model.unused.length)} not used by the model</>}
    </p>
  );
};
