import {
  isOwn,
  type Explainable,
  type ExplainedMap,
  type Faithfulness,
} from '../../../src/domain/explanation';
import { formatNumber } from '../../../src/domain/units';
import type { Given } from '../../../src/tasks/run';
import { badgesOf } from './badges';
import { methodOf } from './column';
import { sheetPng, type Sheet } from './sheet';
import type { Drawn, Subject } from './state';

/** What a report is about. */
export interface Reported {
  /** The panel's own. */
  readonly subject: Subject;
  readonly drawn: readonly Drawn[];
  readonly sheet: Sheet;
  readonly measured: Faithfulness | undefined;
}

const quoted = (text: string): string => `'${text.replace(/'/g, `'\\''`)}'`;

/** Texts that the image is compared with, as the command takes them. */
function textOptions({ labels, template }: Given): string {
  const texts = Array.isArray(labels) ? labels.map((label) => ` --label ${quoted(String(label))}`) : [];
  const isPut = texts.length > 0 && typeof template === 'string';
  return `${texts.join('')}${isPut ? ` --template ${quoted(template)}` : ''}`;
}

/** The command that computes the same, of a column. */
export function commandOf({ subject, question: { method, target } }: Drawn): string {
  const { checkpoint, seen } = subject.view;
  const { imageSize, asStored, given = {} } = subject.options;
  const size = imageSize ? ` --image-size ${imageSize.join('x')}` : '';
  const stored = asStored ? ' --as-stored' : '';
  return `vitrine explain ${quoted(checkpoint)} ${quoted(seen.image)} --method ${method} --class ${target}${textOptions(given)}${size}${stored} --out ${method}.safetensors`;
}

const cell = (text: string): string => text.replace(/\|/g, '\\|').replace(/\n/g, ' ');

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');

/** Everything that is shown, with the settings that compute it again, as Markdown. */
export function reportText(reported: Reported): string {
  const { drawn, sheet, measured } = reported;
  const { view, options, explainable } = reported.subject;
  const changed = Object.entries(options.preprocessing ?? {});
  const settings = [
    ['Image', view.seen.image],
    ['Checkpoint', view.checkpoint],
    ['Model', view.modelTitle],
    ['Output', explainable.output],
    ['Image size', view.inputSize.current.join(' × ')],
    ...view.preprocessing.map(({ label, text, source }) => [label, `${text} (${source})`]),
    ...changed.map(([key, value]) => [`Set by hand: ${key}`, value]),
    [
      'Drawn',
      `${sheet.look.smooth ? 'bilinear between cells' : 'cell by cell'}, opacity ${sheet.look.opacity}`,
    ],
  ];
  return [
    '# Why this answer',
    table(['Setting', 'Value'], settings),
    ...(sheet.parts.length > 0
      ? [`![${sheet.parts.map(({ title }) => title).join('; ')}](${sheetPng(sheet)})`]
      : []),
    ...drawn.map(section),
    ...(measured ? [faithfulnessText(explainable, measured)] : []),
    ...(changed.length > 0
      ? ['The commands above take the stored preprocessing, not what was set by hand.']
      : []),
    '',
  ].join('\n\n');
}

function section(each: Drawn): string {
  const { question, shown, subject } = each;
  const { explainable } = subject;
  const method = methodOf(explainable, question);
  const score = explainable.scores[question.target] ?? NaN;
  const figures = [
    ...shown.figures.map(({ name, value }) => [name, String(value)]),
    ...shown.curves.map(({ name, area }) => [`area of ${name}`, String(area)]),
  ];
  return [
    `## ${method?.title ?? question.method}: ${explainable.labels[question.target]}`,
    ...(isOwn(subject.about) ? [] : [`Of ${subject.view.seen.image}, by ${subject.view.checkpoint}.`]),
    `Value ${question.target} of the output, ${formatNumber(score, 6)}.`,
    ...(method ? [method.text, `\`${method.formula}\` (${method.source})`] : []),
    ...(figures.length > 0 ? [table(['Figure', 'Value'], figures)] : []),
    ...badgesOf(method, shown).flatMap(({ whole }) => whole),
    ...shown.notes,
    `\`\`\`sh\n${commandOf(each)}\n\`\`\``,
  ].join('\n\n');
}

function faithfulnessText({ methods }: Explainable, { score, grid, kinds }: Faithfulness): string {
  const rows = kinds.flatMap(({ name, lowIsGood, curves }) =>
    curves.map(({ method, area }) => [
      name,
      method === undefined ? 'random order' : (methods.find((each) => each.name === method)?.title ?? method),
      formatNumber(area, 6),
      lowIsGood ? 'low' : 'high',
    ]),
  );
  return `## Do these maps say what matters?\n\n${score}, ${grid.join(' × ')} cells.\n\n${table(['Curve', 'Order', 'Area', 'Good is'], rows)}`;
}

/** A map as CSV: a line for each cell, with its axes named. */
export function csvOf({ grid: [rows, columns], values }: ExplainedMap): string {
  const lines = ['row,column,value'];
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      lines.push(`${row},${column},${values[row * columns + column]}`);
  return `${lines.join('\n')}\n`;
}

/** A map as rows of a table, under a line that says what it is. */
export function numbersOf(name: string, { grid: [rows, columns], values, legend }: ExplainedMap): string {
  const lines = [`# ${name}, ${legend}`];
  for (let row = 0; row < rows; row++)
    lines.push([...values.subarray(row * columns, (row + 1) * columns)].join('\t'));
  return lines.join('\n');
}
