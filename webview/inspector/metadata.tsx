import type { VNode } from 'preact';
import type { BesideFile, InspectorModel } from '../../src/protocol/inspector';
import { formatBytes, formatExact } from '../../src/domain/units';
import { useAnswer } from '../kit/hooks';
import { hitsText, useHits, type OnHits } from './hits';

export interface MetadataProps {
  readonly model: InspectorModel;
  readonly query: string;
  readonly onHits: OnHits;
  /** Reads what lies beside the weights; asked when it is looked at. */
  readonly read: () => Promise<readonly BesideFile[]>;
}

/** What the file says about itself, what else it holds and what lies beside it. */
export function Metadata({ model, query, onHits, read }: MetadataProps): VNode {
  const { value: files = [], waiting, error } = useAnswer(() => read(), [model]);
  const wanted = query.trim().toLowerCase();
  const matches = (text: string): boolean => text.toLowerCase().includes(wanted);
  const stored = Object.entries(model.metadata);
  const entries = stored.filter(([key, value]) => matches(`${key} ${value}`));
  const unused = model.unused.filter(matches);
  const siblings = model.siblings.filter(matches);
  const extras = model.extras.filter(({ name, summary }) => matches(`${name} ${summary}`));
  const beside = files.filter(({ name, text }) => matches(`${name} ${text}`));
  const found = entries.length + unused.length + siblings.length + extras.length + beside.length;
  const all =
    stored.length + model.unused.length + model.siblings.length + model.extras.length + files.length;
  useHits(wanted === '' ? undefined : hitsText(found, all, 'entries'), onHits);
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
      {beside.length > 0 && <Beside files={beside} open={wanted !== ''} />}
      {error && <p class="wrong">What lies beside the file could not be read: {error.message}</p>}
      {siblings.length > 0 && <Names title="Other weights in the folder" names={siblings} />}
      {unused.length > 0 && (
        <Names title={`Tensors that the model does not use (${formatExact(unused.length)})`} names={unused} />
      )}
      {found === 0 && !waiting && (
        <p class="quiet">
          {wanted === ''
            ? 'The file holds no metadata, and nothing lies beside it.'
            : `Nothing contains “${query}”.`}
        </p>
      )}
    </div>
  );
}

/** The files that were read with the weights, each folded; a search opens those that contain it. */
const Beside = ({ files, open }: { files: readonly BesideFile[]; open: boolean }): VNode => (
  <section>
    <h2>Read beside the weights</h2>
    {files.map(({ name, path, bytes, text, cut }) => (
      <details key={path} open={open}>
        <summary title={path}>
          <span class="mono">{name}</span> <span class="quiet">{formatBytes(bytes)}</span>
        </summary>
        <pre class="mono beside-text" tabIndex={0} aria-label={`Text of ${name}`}>
          {text}
        </pre>
        {cut && <p class="quiet">The beginning alone is shown; the file has {formatExact(bytes)} bytes.</p>}
      </details>
    ))}
  </section>
);

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
