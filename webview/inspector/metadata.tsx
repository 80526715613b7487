import type { VNode } from 'preact';
import type { InspectorModel } from '../../src/protocol/inspector';
import { formatExact } from '../../src/domain/units';

/** What the file says about itself, what else it holds and what lies beside it. */
export function Metadata({ model, query }: { model: InspectorModel; query: string }): VNode {
  const wanted = query.toLowerCase();
  const matches = (text: string): boolean => text.toLowerCase().includes(wanted);
  const entries = Object.entries(model.metadata).filter(([key, value]) => matches(`${key} ${value}`));
  const unused = model.unused.filter(matches);
  const siblings = model.siblings.filter(matches);
  const extras = model.extras.filter(({ name, summary }) => matches(`${name} ${summary}`));
  const nothing = entries.length + unused.length + siblings.length + extras.length === 0;
  return (
    <div class="metadata">
      <p class="mono path">{model.path}</p>
      {entries.length > 0 && <Pairs title="Stored in the file" rows={entries} />}
      {extras.length > 0 && (
        <Pairs
          title="What else the file holds"
          rows={extras.map(({ name, summary }) => [name, summary] as const)}
        />
      )}
      {siblings.length > 0 && <Names title="Beside it in the folder" names={siblings} />}
      {unused.length > 0 && (
        <Names title={`Tensors that the model does not use (${formatExact(unused.length)})`} names={unused} />
      )}
      {nothing && (
        <p class="quiet">
          {query === ''
            ? 'The file holds no metadata, and nothing lies beside it.'
            : `Nothing contains “${query}”.`}
        </p>
      )}
    </div>
  );
}

type Rows = readonly (readonly [key: string, value: string])[];

const Pairs = ({ title, rows }: { title: string; rows: Rows }): VNode => (
  <section>
    <h2>{title}</h2>
    <table class="plain">
      <tbody>
        {rows.map(([key, value]) => (
          <tr key={key}>
            <th scope="row" class="mono">
              {key}
            </th>
            <td class="mono">{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  </section>
);

const Names = ({ title, names }: { title: string; names: readonly string[] }): VNode => (
  <section>
    <h2>{title}</h2>
    <ul class="mono">
      {names.map((name) => (
        <li key={name}>{name}</li>
      ))}
    </ul>
  </section>
);
