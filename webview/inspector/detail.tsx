import type { VNode } from 'preact';
import type { InspectorModel } from '../../src/protocol/inspector';
import type { CallOptions } from '../../src/protocol/channel';
import type { ModuleRow, OperatorRow, TensorRow } from '../../src/domain/report';
import { formatBytes, formatCount, formatExact, formatShape } from '../../src/domain/units';
import { useAnswer } from '../kit/hooks';
import { Button } from '../kit/toolkit';
import { isInside, layerOf } from './links';

/** Where a row leads to in the other views. */
export interface Links {
  /** A tensor's values. */
  readonly tensor: (name: string) => void;
  /** A module's row in the report. */
  readonly complexity: (path: string) => void;
  /** An operator's row in the report. */
  readonly operator: (operator: OperatorRow) => void;
  /** A layer's attention on an image. */
  readonly attention: (layer: string) => void;
}

export interface DetailProps {
  readonly model: InspectorModel;
  readonly row: ModuleRow;
  readonly onCopy: (text: string) => void;
  readonly links: Links;
  readonly operatorsIn: OperatorsIn;
}

/** Asks for the operators in a module of a part and below it. */
export type OperatorsIn = (
  module: Pick<ModuleRow, 'path' | 'part'>,
  call: CallOptions,
) => Promise<readonly OperatorRow[]>;

/** What a module is and costs, and which tensors are its own. */
export function Detail({ model, row, onCopy, links, operatorsIn }: DetailProps): VNode {
  const tensors = row.tensors.map((index) => model.tensors[index]).filter((tensor) => tensor !== undefined);
  const path = row.ownPath ?? row.path;
  return (
    <>
      <div>
        <h2 class="mono detail-path">{path || partName(row)}</h2>
        {row.ownPath && (
          <p class="quiet">
            timm calls it <span class="mono">{row.path}</span>
          </p>
        )}
        {row.ownName && !row.ownPath && (
          <p class="quiet">
            in the file <span class="mono">{row.ownName}</span>
          </p>
        )}
        {row.title && <p>{row.title}</p>}
        {row.kind === 'group' && <p class="quiet">{row.count} modules of identical structure</p>}
        {row.formula && <p class="formula mono">{row.formula}</p>}
      </div>
      <Actions model={model} row={row} onCopy={onCopy} links={links} />
      <dl class="pairs">
        {factsOf(row).map(([label, value]) => (
          <Pair key={label} label={label} value={value} />
        ))}
        {row.details.map(({ label, value }) => (
          <Pair key={label} label={label} value={value} />
        ))}
      </dl>
      {model.notCounted === '' && (
        <Operators
          key={`${row.part ?? ''} ${row.path}`}
          row={row}
          ask={operatorsIn}
          onChoose={links.operator}
        />
      )}
      {tensors.length > 0 && <TensorList tensors={tensors} path={row.path} onReveal={links.tensor} />}
    </>
  );
}

/** What can be done with every row; a button that cannot says why. */
function Actions({ model, row, onCopy, links }: Omit<DetailProps, 'operatorsIn'>): VNode {
  const path = row.ownPath ?? row.path;
  const name = path || (row.part === undefined ? 'the model' : `the part ${row.part}`);
  const held =
    row.tensors[0] ??
    model.modules.find((each) => each.tensors.length > 0 && isInside(each.path, row.path))?.tensors[0];
  const first = model.tensors[held ?? -1];
  const layer = layerOf(model.attention, row);
  const noAttention =
    model.attention.length === 0
      ? 'This model has no attention that can be drawn.'
      : `No layer with attention lies in or around ${name}.`;
  return (
    <div class="buttons">
      <Button
        disabled={path === ''}
        title={path === '' ? 'The model itself and its parts have no path.' : path}
        onClick={() => onCopy(path)}
      >
        Copy Path
      </Button>
      <Button
        disabled={!first}
        title={first ? first.name : `${name} holds no tensor of the file.`}
        onClick={() => first && links.tensor(first.name)}
      >
        Reveal in Tensors
      </Button>
      <Button
        disabled={model.notCounted !== ''}
        title={model.notCounted || undefined}
        onClick={() => links.complexity(row.path)}
      >
        Reveal in Complexity
      </Button>
      <Button
        disabled={layer === undefined || !model.runnable}
        title={layer === undefined ? noAttention : model.notRunnable || `Attention of ${layer} on an image`}
        onClick={() => layer !== undefined && links.attention(layer)}
      >
        Show Its Attention
      </Button>
    </div>
  );
}

/** What stands where a module has its path. */
const partName = ({ part }: ModuleRow): string => (part === undefined ? '(model)' : `(${part})`);

const Pair = ({ label, value }: { label: string; value: string }): VNode => (
  <>
    <dt>{label}</dt>
    <dd>{value}</dd>
  </>
);

function factsOf(row: ModuleRow): readonly (readonly [label: string, value: string])[] {
  const { conv, linear, attention } = row.macs;
  const each = (total: number): string =>
    row.count > 1 ? ` = ${row.count} × ${formatExact(total / row.count)}` : '';
  const macs = conv + linear + attention;
  const facts: readonly (readonly [label: string, value: string, present: boolean])[] = [
    ['Parameters', formatExact(row.params) + each(row.params), row.params > 0],
    ['Buffers', formatExact(row.buffers), row.buffers > 0],
    ['Weights', formatBytes(row.bytes), row.bytes > 0],
    ['MACs', formatExact(macs) + each(macs), macs > 0],
    ['… convolution', formatCount(conv, 4), conv > 0 && linear + attention > 0],
    ['… linear', formatCount(linear, 4), linear > 0 && conv + attention > 0],
    ['… attention', formatCount(attention, 4), attention > 0 && conv + linear > 0],
    ['Activations', formatBytes(row.activationBytes), row.activationBytes > 0],
    ['Output', formatShape(row.output), row.output.length > 0],
    ['Type', row.dtype, row.dtype !== ''],
  ];
  return facts.filter(([, , present]) => present).map(([label, value]) => [label, value]);
}

interface OperatorsProps {
  readonly row: ModuleRow;
  readonly ask: OperatorsIn;
  readonly onChoose: (operator: OperatorRow) => void;
}

/** The operators of a module, each a way to its row of the report. */
function Operators({ row, ask, onChoose }: OperatorsProps): VNode | null {
  const found = useAnswer((call) => ask(row, call), [row.path, row.part, ask]);
  if (!found.value || found.value.length === 0) return null;
  return (
    <div>
      <h3>Operators</h3>
      <ul class="operator-list">
        {found.value.map((operator) => (
          <li key={`${operator.op} ${operator.kind}`}>
            <button
              type="button"
              class="link mono"
              title={`${operator.op} (${operator.kind}): reveal in Complexity`}
              onClick={() => onChoose(operator)}
            >
              {operator.op}
            </button>{' '}
            <span class="quiet">×{formatExact(operator.count)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface TensorListProps {
  readonly tensors: readonly TensorRow[];
  readonly path: string;
  readonly onReveal: (tensor: string) => void;
}

const TensorList = ({ tensors, path, onReveal }: TensorListProps): VNode => (
  <div>
    <h3>Tensors</h3>
    <ul class="tensor-list">
      {tensors.map((tensor) => (
        <li key={tensor.name}>
          <button
            type="button"
            class="link mono"
            title={`${tensor.name}: show values`}
            onClick={() => onReveal(tensor.name)}
          >
            {tensor.name.startsWith(`${path}.`) ? tensor.name.slice(path.length + 1) : tensor.name}
          </button>{' '}
          <span>{formatShape(tensor.shape)}</span>{' '}
          <span class="quiet">
            {tensor.dtype} · {formatBytes(tensor.bytes)}
            {tensor.offset !== undefined && <> · at {formatExact(tensor.offset)}</>}
          </span>
        </li>
      ))}
    </ul>
  </div>
);
