import type { VNode } from 'preact';
import type { InspectorModel } from '../../src/protocol/inspector';
import type { ModuleRow, TensorRow } from '../../src/domain/report';
import { formatBytes, formatCount, formatExact, formatShape } from '../../src/domain/units';
import { Button } from '../kit/toolkit';

export interface DetailProps {
  readonly model: InspectorModel;
  readonly row: ModuleRow;
  readonly onCopy: (text: string) => void;
  readonly onReveal: (tensor: string) => void;
}

/** What a module is and costs, and which tensors are its own. */
export function Detail({ model, row, onCopy, onReveal }: DetailProps): VNode {
  const tensors = row.tensors.map((index) => model.tensors[index]).filter((tensor) => tensor !== undefined);
  const first = tensors[0] ?? model.tensors.find((tensor) => tensor.name.startsWith(`${row.path}.`));
  return (
    <>
      <div>
        <h2 class="mono detail-path">{row.path || '(model)'}</h2>
        {row.title && <p>{row.title}</p>}
        {row.kind === 'group' && <p class="quiet">{row.count} modules of identical structure</p>}
        {row.formula && <p class="formula mono">{row.formula}</p>}
      </div>
      <dl class="pairs">
        {factsOf(row).map(([label, value]) => (
          <Pair key={label} label={label} value={value} />
        ))}
        {row.details.map(({ label, value }) => (
          <Pair key={label} label={label} value={value} />
        ))}
      </dl>
      {tensors.length > 0 && <TensorList tensors={tensors} path={row.path} onReveal={onReveal} />}
      <div class="buttons">
        <Button onClick={() => onCopy(row.path)}>Copy Path</Button>
        {first && <Button onClick={() => onReveal(first.name)}>Reveal in Tensors</Button>}
      </div>
    </>
  );
}

const Pair = ({ label, value }: { label: string; value: string }): VNode => (
  <>
    <dt>{label}</dt>
    <dd>{value}</dd>
  </>
);

function factsOf(row: ModuleRow): readonly (readonly [label: string, value: string])[] {
  const { conv, linear, attention } = row.macs;
  const each = row.count > 1 ? ` (${formatExact(row.params / row.count)} each)` : '';
  const facts: readonly (readonly [label: string, value: string, present: boolean])[] = [
    ['Parameters', formatExact(row.params) + each, row.params > 0],
    ['Buffers', formatExact(row.buffers), row.buffers > 0],
    ['Weights', formatBytes(row.bytes), row.bytes > 0],
    ['MACs', formatExact(conv + linear + attention), conv + linear + attention > 0],
    ['… convolution', formatCount(conv, 4), conv > 0 && linear + attention > 0],
    ['… linear', formatCount(linear, 4), linear > 0 && conv + attention > 0],
    ['… attention', formatCount(attention, 4), attention > 0 && conv + linear > 0],
    ['Activations', formatBytes(row.activationBytes), row.activationBytes > 0],
    ['Output', formatShape(row.output), row.output.length > 0],
    ['Type', row.dtype, row.dtype !== ''],
  ];
  return facts.filter(([, , present]) => present).map(([label, value]) => [label, value]);
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
