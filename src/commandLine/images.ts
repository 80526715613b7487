import { answerJson, answerLines } from '../tasks/tasks';
import type { Run } from '../tasks/run';
import type { Query } from '../domain/query';
import { hasQuery, noMapText, queryGrid } from '../attention/reading';
import type { ClassifyRequest } from '../inference/service';
import type { Probe } from '../domain/probes';
import { formatMilliseconds } from '../domain/units';
import { requireOutput } from './output';
import type { Outcome, Session } from './session';
import { oneOf, UsageError } from './usage';

/** `vitrine classify` */
export async function classify(
  session: Session,
  [checkpoint = '', ...images]: readonly string[],
): Promise<void> {
  const { top } = session.options;
  const answer = async (image: string): Promise<Outcome> => {
    const view = await run(session, checkpoint, image, { topK: top, displaySide: 0 });
    const facts = { path: checkpoint, image, provider: view.provider.used, ...preprocessingJson(view) };
    const json = {
      ...facts,
      // Whatever the task, labels stand before the orientation, as they always did.
      top: undefined,
      labels: undefined,
      orientation: view.seen.orientation,
      ...answerJson(view.answer),
      milliseconds: view.times,
      warnings: view.warnings,
    };
    return { json, text: classifyText(image, view) };
  };
  await session.each(images, answer, (image) => ({ path: checkpoint, image }));
}

async function run(
  session: Session,
  checkpoint: string,
  image: string,
  request: Pick<ClassifyRequest, 'attention' | 'topK' | 'displaySide'>,
): Promise<Run> {
  const { imageSize, provider, asStored } = session.options;
  const model = await session.settings();
  const runner = await session.runner();
  const options = { imageSize, provider, asStored };
  return runner.classify({ checkpoint, model, image, options, ...request });
}

const preprocessingJson = ({ preprocessing }: Run): object => ({
  preprocessing: Object.fromEntries(
    preprocessing.map(({ key, text, source }) => [key, { value: text, source }]),
  ),
});

function classifyText(image: string, view: Run): string {
  const { times, provider } = view;
  const time = formatMilliseconds(times.decode + times.preprocess + times.run);
  return [
    `${image}: ${view.modelTitle}, ${provider.used}, ${time} (loading ${formatMilliseconds(times.load)})`,
    ...answerLines(view.answer).map((line) => `  ${line}`),
    ...assumptions(view).map((line) => `  ${line}`),
    ...view.warnings.map((warning) => `  warning: ${warning}`),
    '',
  ].join('\n');
}

/**
 * What the answer rests on and no file says: names, preprocessing; and an image that was turned.
 */
function assumptions({ answer, preprocessing, seen: { orientation } }: Run): readonly string[] {
  const labelSource = answer.kind === 'classes' ? answer.labelSource : '';
  const assumed = preprocessing.filter((line) => line.assumed);
  const sources = new Set(assumed.map(({ source }) => source));
  return [
    ...(labelSource.startsWith('assumed') ? [`labels ${labelSource}`] : []),
    ...[...sources].map((source) => {
      const texts = assumed.filter((line) => line.source === source).map(({ text }) => text);
      const distinct = texts.filter(
        (text, at) => !texts.some((other, before) => before < at && other.includes(text)),
      );
      return `preprocessing ${distinct.join(', ')}: ${source}`;
    }),
    ...(orientation.applied ? [`EXIF orientation ${orientation.exif} applied; --as-stored leaves it`] : []),
  ];
}

/** `vitrine attention` */
export async function attention(
  session: Session,
  [checkpoint = '', image = '']: readonly string[],
): Promise<void> {
  const { layer, head, out } = session.options;
  const method = oneOf('method', session.options.method, ['raw', 'rollout'] as const);
  const answer = async (): Promise<Outcome> => {
    await requireOutput(out, [checkpoint, image]);
    const view = await run(session, checkpoint, image, { attention: true });
    if (view.probes.length === 0) throw new Error(noMapText(view));
    const { drawAttention } = await import('./attentionPicture');
    const asks = drawnProbes(view.probes, layer);
    const query = session.options.query ? parseQuery(session.options.query, asks) : defaultQuery(asks);
    const runner = await session.runner();
    const rows = await runner.attention(view.run, query, method);
    const {
      range,
      layer: drawn,
      head: shown,
    } = await session.heeding(() => drawAttention(view, rows, { layer, head, method, out }));
    const json = {
      path: checkpoint,
      image,
      picture: out,
      layer: drawn,
      head: shown,
      query: queryText(query),
      method,
      range,
    };
    const scale = range.map((value) => value.toPrecision(3)).join(' … ');
    return {
      json,
      text: `${out}: layer ${drawn}, head ${shown}, query ${queryText(query)}, ${method}, ${scale}\n`,
    };
  };
  await session.each([checkpoint], answer, (path) => ({ path, image }));
}

/**
 * The layers that are drawn: all, or one (a number that no layer has is refused where it is drawn).
 */
function drawnProbes(probes: readonly Probe[], layer: string): readonly Probe[] {
  if (layer === 'all') return probes;
  const chosen = layer === 'last' ? probes.at(-1) : probes[Number(layer)];
  return chosen ? [chosen] : probes;
}

/**
 * The class token, or the likeliest class of activation maps, if all layers that are drawn have
 * one; else the mean over patches.
 */
function defaultQuery(probes: readonly Probe[]): Query {
  const name = ['cls', 'top1'].find((first) => probes.every(({ queries }) => queries.special?.[0] === first));
  return name === undefined ? { kind: 'mean' } : { kind: 'special', name };
}

/**
 * `cls`, `dist`, `reg1`, `q3`, `ROW,COL` or `mean`; one that no layer that is drawn has is wrong
 * usage. Rows and columns count on the last layer's grid that has them: layers with another grid
 * are asked at the same place of the image.
 */
function parseQuery(text: string, probes: readonly Probe[]): Query {
  const [, row, column] = /^(\d+),(\d+)$/.exec(text) ?? [];
  const patch = { kind: 'patch', row: Number(row), column: Number(column) } as const;
  const counted = row === undefined ? undefined : probes.findLast((probe) => hasQuery(probe, patch));
  const grid = counted && queryGrid(counted);
  const query: Query = row !== undefined ? { ...patch, ...(grid && { grid }) } : namedQuery(text);
  if (probes.some((probe) => hasQuery(probe, query))) return query;
  const layouts = [...new Set(probes.map(queriesOf))];
  throw new UsageError(`--query ${text}: ${layouts.join(' or ')} needed`);
}

function namedQuery(text: string): Query {
  const [, index] = /^q(\d+)$/.exec(text) ?? [];
  if (index !== undefined) return { kind: 'query', index: Number(index) };
  return text === 'mean' ? { kind: 'mean' } : { kind: 'special', name: text };
}

/** The queries of a layer as they are typed in: `cls, 0,0 … 13,13, mean`; `q0 … q99, mean`. */
function queriesOf(probe: Probe): string {
  const grid = queryGrid(probe);
  const patches = grid ? [`0,0 … ${grid[0] - 1},${grid[1] - 1}`] : [];
  const { special = [], queries = 0 } = probe.queries;
  const objects = queries > 0 ? [`q0 … q${queries - 1}`] : [];
  return [...special, ...patches, ...objects, 'mean'].join(', ');
}

function queryText(query: Query): string {
  if (query.kind === 'patch') return `${query.row},${query.column}`;
  if (query.kind === 'query') return `q${query.index}`;
  if (query.kind === 'token') return `t${query.index}`;
  return query.kind === 'special' ? query.name : 'mean';
}
