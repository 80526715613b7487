/**
 * Composes the published table out of header-only model descriptions and what the libraries say.
 */
import type { DefaultsName } from '../../preprocessing/defaults';
import type { Header, Model, Plain, Preset, Profile } from '../../preprocessing/published/models';
import { measure, publishedKey } from '../groups/measure';
import { translations } from '../recognise/dialects';
import { publishedHeaderKey } from './headers';
import { wholeNetwork } from '../networks/networks';
import { jsonLines, linesOf, modelOf, pixelsOf, profileOf, tensorsOf, type Line } from './lines';

/** Plain transformers and the image towers of dual encoders, told by their measures. */
const plainFamilies = /^(?:vit|vision_transformer|deit|dinov2|mae|vit-msn|ijepa|clip|dual-encoder|siglip2?)$/;

/** Says of one model everything that is known, until it is written. */
interface Entry {
  readonly plain: Set<string>;
  readonly headers: Set<string>;
  profile?: Profile;
  preset?: Preset;
  file?: string;
}

class Entries extends Map<string, Entry> {
  of(name: string): Entry {
    const entry = this.get(name) ?? { plain: new Set(), headers: new Set() };
    this.set(name, entry);
    return entry;
  }
}

/** A line of libraries.py. */
type LibraryLine =
  | readonly [library: 'timm', name: string, file: string | null, profile: Profile]
  | readonly [library: 'torchvision', name: string, file: string, preset: Preset];

const architectureOf = (name: string): string => name.replace(/\..*$/, '');

/** Adds what timm and torchvision evaluate their checkpoints with. */
function addLibraries(entries: Entries, lines: readonly LibraryLine[]): void {
  const byFile = new Map<string, Set<string>>();
  for (const [library, name, file, given] of lines) {
    const entry = entries.of(name);
    if (file !== null) entry.file = file;
    if (library === 'torchvision') {
      entry.preset = given;
      continue;
    }
    entry.profile = given;
    // An architecture's first published tag is its usual one.
    entries.of(architectureOf(name)).profile ??= given;
    if (file !== null) byFile.set(file, (byFile.get(file) ?? new Set()).add(JSON.stringify(given)));
  }
  // A name that checkpoints of several profiles share (model.pth) identifies none.
  for (const entry of entries.values())
    if (entry.file !== undefined && (byFile.get(entry.file)?.size ?? 0) > 1) delete entry.file;
}

/** Takes what is shipped beside the weights over what the package says. */
function addShipped(entries: Entries, lines: readonly Line[]): void {
  for (const line of lines) {
    const profile = profileOf(line);
    const json = line.config_json;
    if (!profile || !json || isResized(line)) continue;
    const architecture = String(json['architecture']);
    const tag = json['pretrained_cfg']?.['tag'];
    if (tag) entries.of(`${architecture}.${String(tag)}`).profile = profile;
    if (!(line.id.split('/')[1] ?? '').includes('.')) entries.of(architecture).profile = profile;
  }
}

/** Configuration of the image model. */
function visionOf(line: Line): Readonly<Record<string, unknown>> {
  return (line.config['vision_config'] as Readonly<Record<string, unknown>> | undefined) ?? line.config;
}

/** Facts of a plain transformer; undefined if it cannot be measured or its heads are not said. */
function plainFacts(line: Line): Plain | undefined {
  const [translation] = translations(wholeNetwork(tensorsOf(line)));
  const measures = translation && measure(translation.parameters);
  const heads = [visionOf(line)['heads']].flat()[0];
  if (!translation || !measures || typeof heads !== 'number') return undefined;
  const json = line.config_json?.['vision_config'] ?? line.config_json;
  return [
    translation.dialect.name,
    publishedKey(measures),
    measures.traits,
    heads,
    (json?.['hidden_act'] as string | undefined) ?? null,
    (json?.['layer_norm_eps'] as number | undefined) ?? null,
    plainPixels(line),
  ];
}

/** Plain transformers of `unit` pixels are left to what their dialect usually takes. */
function plainPixels(line: Line): DefaultsName | null {
  const pixels = pixelsOf(line);
  return pixels === 'unit' ? null : (pixels ?? null);
}

function headsOf({ config }: Line): readonly number[] | null {
  const stages = config['stages'] as readonly { readonly heads?: number | readonly number[] }[] | undefined;
  const heads = stages?.flatMap((stage) => [stage.heads ?? []].flat().slice(0, 1)) ?? [];
  return heads.length > 0 ? heads : null;
}

/**
 * Described at another size than the published one, which is known unless names and shapes change
 * with it.
 */
const isResized = ({ id }: Line): boolean => id.includes('@');

/**
 * The size that a model is published with. timm's weights with a tag, `resnet50.a3_in1k`, may be of
 * another size than the others of their architecture, which has the same names and shapes: theirs
 * counts if the architecture's own name has it, `swin_large_patch4_window12_384.ms_in22k`.
 */
function imageSizeOf(line: Line): readonly [number, number] | null {
  const [, ...size] = (line.config_json?.['pretrained_cfg']?.['input_size'] ?? []) as readonly number[];
  const [height = line.image_size[0], width = line.image_size[1]] = size;
  const [architecture = '', tag] = line.id.startsWith('timm/') ? modelOf(line).split('.') : [];
  return tag === undefined || architecture.includes(`_${height}`) ? [height, width] : null;
}

function addPlain(entries: Entries, lines: readonly Line[]): void {
  for (const line of lines) {
    const facts = plainFacts(line);
    if (facts) entries.of(modelOf(line)).plain.add(JSON.stringify(facts));
  }
}

function addHeaders(entries: Entries, lines: readonly Line[]): void {
  const keyed = lines.map((line) => ({ line, key: publishedHeaderKey(tensorsOf(line)) }));
  const published = new Set(keyed.filter(({ line }) => !isResized(line)).map(({ key }) => key));
  for (const { line, key } of keyed) {
    if (isResized(line) && published.has(key)) continue;
    const facts: Header = [key, headsOf(line), imageSizeOf(line), pixelsOf(line) ?? null];
    entries.of(modelOf(line)).headers.add(JSON.stringify(facts));
  }
}

/** What several models share, in the order in which the table lists it. */
const sharedBy = (entries: Entries, facts: (entry: Entry) => Iterable<string>): readonly string[] =>
  [...new Set([...entries.values()].flatMap((entry) => [...facts(entry)]))].sort((left, right) =>
    left.localeCompare(right),
  );

const profileText = ({ profile }: Entry): string[] => (profile ? [JSON.stringify(profile)] : []);

/**
 * The text of table.ts. `folder` has the header-only descriptions, `libraries` is what libraries.py
 * wrote.
 */
export function publishedTableText(folder: string, libraries: string): string {
  const entries = new Entries();
  // What reads words alone has no size, and nothing to say of images.
  const lines = linesOf(folder).filter(({ image_size: size }) => !size.includes(0));
  const isPlain = ({ family }: Line): boolean => plainFamilies.test(family);
  const published = lines.filter(({ reconstructed }) => reconstructed !== true);
  addLibraries(entries, jsonLines(libraries));
  addShipped(entries, lines);
  addPlain(entries, published.filter(isPlain));
  addHeaders(
    entries,
    published.filter((line) => !isPlain(line)),
  );
  return written(entries);
}

function written(entries: Entries): string {
  const plain = sharedBy(entries, (entry) => entry.plain);
  const headers = sharedBy(entries, (entry) => entry.headers);
  const profiles = sharedBy(entries, profileText);
  const places = (rows: readonly string[], facts: Iterable<string>): readonly number[] =>
    [...facts].map((fact) => rows.indexOf(fact)).sort((left, right) => left - right);
  const rowOf = (name: string, entry: Entry): Model => {
    const [own] = places(profiles, profileText(entry));
    const usual = entries.get(architectureOf(name));
    const [inherited] = usual && usual !== entry ? places(profiles, profileText(usual)) : [];
    const images = entry.preset ?? (own === inherited ? null : (own ?? null));
    const row = [name, places(plain, entry.plain), places(headers, entry.headers), images] as const;
    return entry.file === undefined ? row : [...row, entry.file];
  };
  const models = [...entries]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, entry]) => rowOf(name, entry))
    // Says nothing: a tag that is evaluated as its architecture.
    .filter((row) => row.length > 4 || row[3] !== null || row[1].length + row[2].length > 0)
    .map((row) => JSON.stringify(row));
  const section = (name: string, rows: readonly string[]): string => `"${name}":[\n${rows.join(',\n')}\n]`;
  const sections = [
    section('profiles', profiles),
    section('plain', plain),
    section('headers', headers),
    section('models', models),
  ];
  return [
    '/** Written by src/architectures/published/make.ts; models.ts describes and parses it. */',
    `export const table = \`{${sections.join(',\n')}}\`;`,
    '',
  ].join('\n');
}
