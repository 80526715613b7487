import type { VNode } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type { MappedTensor, StructureView } from '../../src/protocol/inspector';
import { formatShape } from '../../src/domain/units';
import { Banner } from '../kit/status';
import { Button } from '../kit/toolkit';
import { changed, edited, type Edits } from './mappingEdits';

/** What the page does with a mapping: null takes back what was confirmed. */
export type ReadAs = (mapping: readonly { readonly name: string; readonly as: string }[] | null) => void;

export interface StructureProps {
  readonly structure: StructureView;
  readonly readAs: ReadAs;
}

/** Rows shown at first: the tokens, the first block and what stands around it. */
const shortList = 40;

/**
 * A file whose names say nothing: what it would be by the shapes and order of its tensors, name by
 * name, to be confirmed. Confirmed, it opens as a model, and this stays to be looked at.
 */
export function Structure({ structure, readAs }: StructureProps): VNode | null {
  const [open, setOpen] = useState(false);
  const [discarded, setDiscarded] = useState(false);
  const [edits, setEdits] = useState<Edits>(new Map());
  if (discarded) return null;
  const confirm = (): void => readAs(edited(structure.rows, edits));
  const title = structure.title === '' ? 'by the mapping that you changed' : `as ${structure.title}`;
  return (
    <section class="structure" aria-label="Read by structure">
      <Banner
        icon="warning"
        kind="warning"
        actions={
          <>
            <Button expanded={open} onClick={() => setOpen(!open)}>
              {open ? 'Hide Mapping' : 'Show Mapping'}
            </Button>
            {open && (!structure.confirmed || edits.size > 0) && (
              <Button primary onClick={confirm}>
                Confirm
              </Button>
            )}
            <Button onClick={() => (structure.confirmed ? readAs(null) : setDiscarded(true))}>
              {structure.confirmed ? 'Forget' : 'Discard'}
            </Button>
          </>
        }
      >
        {structure.confirmed ? (
          <>Read by structure, check: the names say nothing, the tensors are read {title}.</>
        ) : (
          <>
            The names say nothing, but the file can be read by its structure {title}. Look at the mapping and
            confirm it; nothing is counted or run before.
          </>
        )}
      </Banner>
      {open && <Mapping structure={structure} edits={edits} onEdit={setEdits} />}
    </section>
  );
}

/** Marks what a person has to look at. */
const Check = (): VNode => <span class="assumed-mark codicon codicon-warning" aria-hidden="true" />;

interface MappingProps {
  readonly structure: StructureView;
  readonly edits: Edits;
  readonly onEdit: (edits: Edits) => void;
}

function Mapping({ structure, edits, onEdit }: MappingProps): VNode {
  const { rows, layout, others, doubts } = structure;
  const [all, setAll] = useState(false);
  const choices = useMemo(() => byShape(rows), [rows]);
  const shown = all ? rows : rows.slice(0, shortList);
  return (
    <>
      {layout && <p class="quiet">Names of {layout}.</p>}
      {others.length > 0 && (
        <p>
          <Check /> The same shapes also fit: {others.join('; ')}.
        </p>
      )}
      {doubts.length > 0 && (
        <div>
          <p>
            <Check /> Told by the order of the file alone, since the shapes are equal:
          </p>
          <ul class="doubts">
            {doubts.map((doubt) => (
              <li key={doubt}>{doubt}</li>
            ))}
          </ul>
        </div>
      )}
      <table class="plain mapping">
        <thead>
          <tr>
            <th scope="col">In the file</th>
            <th scope="col">Shape</th>
            <th scope="col">Part</th>
            <th scope="col">Read as</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <Row
              key={row.name}
              row={row}
              as={edits.get(row.name) ?? row.as}
              list={`names-${[...choices.keys()].indexOf(shapeOf(row))}`}
              onChange={(as) => onEdit(changed(rows, edits, row.name, as))}
            />
          ))}
        </tbody>
      </table>
      {[...choices.values()].map((names, index) => (
        <datalist key={index} id={`names-${index}`}>
          {names.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      ))}
      {!all && rows.length > shortList && (
        <div>
          <Button onClick={() => setAll(true)}>Show All {rows.length} Tensors</Button>
        </div>
      )}
    </>
  );
}

interface RowProps {
  readonly row: MappedTensor;
  readonly as: string;
  /** Names that tensors of this shape are read as. */
  readonly list: string;
  readonly onChange: (as: string) => void;
}

const Row = ({ row, as, list, onChange }: RowProps): VNode => (
  <tr class={as === row.as ? '' : 'changed'}>
    <th scope="row" class="mono">
      {row.name}
    </th>
    <td>{formatShape(row.shape)}</td>
    <td class="quiet">{row.role}</td>
    <td>
      <input
        class="mono mapping-name"
        aria-label={`${row.name} is read as`}
        list={list}
        value={as}
        spellcheck={false}
        onChange={(event) => onChange(event.currentTarget.value.trim() || row.as)}
      />
    </td>
  </tr>
);

const shapeOf = ({ shape }: MappedTensor): string => shape.join('×');

/** Names by the shape of the tensors that are read as them. */
function byShape(rows: readonly MappedTensor[]): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>();
  for (const row of rows) names.set(shapeOf(row), [...(names.get(shapeOf(row)) ?? []), row.as]);
  return names;
}
