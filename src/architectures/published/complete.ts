import { completeTable } from './completeTable';

/** What known models have that their graphs read. */
export interface KnownNames {
  /** Weights of linear layers and convolutions: what layers a model has. */
  readonly layers: ReadonlySet<string>;
  /** Biases, norms, scales, tokens and tables: what may get lost without a layer. */
  readonly others: ReadonlySet<string>;
}

/** Known models of one kind. */
export interface KindOfModels {
  /** One of all models that have the same. */
  readonly models: readonly KnownNames[];
  /** Published models are among them. */
  readonly isPublished: boolean;
}

/** Stands behind the name of a layer's weight. */
export const layerMark = '!';

/**
 * A row of the table: 1 if published models are among them, names that all have, and what each has
 * beside, the most frequent first, in braces as a shell expands them.
 */
export type CompleteRow = readonly [published: 0 | 1, common: string, ...more: string[]];

let rows: ReadonlyMap<string, CompleteRow> | undefined;

const rowsByKind = (): ReadonlyMap<string, CompleteRow> =>
  (rows ??= new Map(Object.entries(JSON.parse(completeTable) as Readonly<Record<string, CompleteRow>>)));

const known = new Map<string, KindOfModels>();

/** Known models of a kind: `timm vit deit3`; undefined if there is none. */
export function namesOfKind(kind: string): KindOfModels | undefined {
  const found = known.get(kind);
  if (found) return found;
  const row = rowsByKind().get(kind);
  if (!row) return undefined;
  const [published, common, ...more] = row;
  const shared = expanded(common);
  const made: KindOfModels = {
    isPublished: published === 1,
    models: more.map((text) => sorted([...shared, ...expanded(text)])),
  };
  known.set(kind, made);
  return made;
}

/** Known models of the same naming and architecture as a kind, and with the same around them. */
export function relatedOf(kind: string): readonly KnownNames[] {
  const wider = (name: string): string => name.replace(/^(\S+ \S+) \S+/, '$1');
  const kinds = [...rowsByKind().keys()].filter((other) => wider(other) === wider(kind));
  return kinds.flatMap((other) => namesOfKind(other)?.models ?? []);
}

function sorted(names: readonly string[]): KnownNames {
  const isLayer = (name: string): boolean => name.endsWith(layerMark);
  return {
    layers: new Set(names.filter(isLayer).map((name) => name.slice(0, -layerMark.length))),
    others: new Set(names.filter((name) => !isLayer(name))),
  };
}

/** `norm.{bias,weight},pos_embed` as the names that it stands for. */
export function expanded(text: string): readonly string[] {
  const names: string[] = [];
  const paths: string[] = [''];
  let word = '';
  const end = (): void => {
    if (word !== '') names.push(`${paths.at(-1) ?? ''}${word}`);
    word = '';
  };
  for (const letter of text)
    if (letter === '{') {
      paths.push(`${paths.at(-1) ?? ''}${word}`);
      word = '';
    } else if (letter === ',') end();
    else if (letter === '}') {
      end();
      paths.pop();
    } else word += letter;
  end();
  return names;
}

/** Names as `expanded` reads them: what several start with is written once. */
export function folded(names: Iterable<string>): string {
  const inside = new Map<string, string[]>();
  const parts: string[] = [];
  for (const name of [...names].sort()) {
    const [path] = /^[^./]*[./]/.exec(name) ?? [];
    if (path === undefined) parts.push(name);
    else inside.set(path, [...(inside.get(path) ?? []), name.slice(path.length)]);
  }
  for (const [path, rest] of inside) {
    const text = folded(rest);
    parts.push(rest.length === 1 || /^[^{},]*\{[^{}]*\}$/.test(text) ? `${path}${text}` : `${path}{${text}}`);
  }
  return parts.join(',');
}
