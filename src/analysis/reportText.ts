import { inertCell, visible } from '../domain/visible';
import { stringify } from 'csv-stringify/sync';
import { layerLine } from '../attention/tokenMixers';
import type { ComplexityReport, ModuleRow } from '../domain/report';
import { formatBytes, formatExact, formatPercent, formatShape } from '../domain/units';
import { everyModule } from './moduleTree';
import { countedMacs } from './work';

/**
 * What a report is about. A checkpoint is named by its size and tensors: hashing gigabytes would
 * take longer than counting.
 */
export interface ReportSubject {
  readonly fileName: string;
  /** Bytes of all its files. */
  readonly bytes: number;
  /** Entries of the shown state dict. */
  readonly tensors: number;
  /** `ViT-B/16` */
  readonly title: string;
  /** Version of the extension that counted. */
  readonly version: string;
}

export type ReportFormat = 'markdown' | 'csv' | 'json';

/** How the numbers were counted, said in every report. */
export const countingRules =
  'Counted MACs are multiply-accumulates of convolutions, linear layers (an operand is a parameter) and attention (every other ' +
  'matrix product). FLOPs = 2 × MACs. Norms, softmax and activations are not among them. The fvcore figure adds what fvcore charges for ' +
  'norms, pooling and upsampling, as in timm’s tables. Activations are float32 bytes of operator outputs, views counted once.';

/** File extension of each format. */
export const reportExtensions: Readonly<Record<ReportFormat, string>> = {
  markdown: 'md',
  csv: 'csv',
  json: 'json',
};

const writers: Readonly<Record<ReportFormat, (report: ComplexityReport, subject: ReportSubject) => string>> =
  {
    markdown: markdownReport,
    csv: csvReport,
    json: jsonReport,
  };

/** The complexity report as the content of a file. */
export function reportText(format: ReportFormat, report: ComplexityReport, subject: ReportSubject): string {
  return writers[format](report, subject);
}

const identityOf = ({ bytes, tensors }: ReportSubject): string =>
  `${formatExact(bytes)} bytes, ${formatExact(tensors)} tensors`;

function markdownReport(report: ComplexityReport, subject: ReportSubject): string {
  const { fileName, title, version } = subject;
  const lengths = report.lengths.map((row) => `, ${row.title.toLowerCase()} ${formatExact(row.value)}`);
  const pixels = report.imageSize ? [`${report.imageSize.join(' × ')} pixels`] : [];
  const size = `${[...pixels, `batch ${report.batch}`].join(', ')}${lengths.join('')}`;
  return [
    `# Complexity of ${plain(fileName)}`,
    [title, identityOf(subject), size].filter(Boolean).map(plain).join(' · '),
    '## Totals',
    table(['Figure', 'Value', 'Formula'], totals(report), [1]),
    ...(report.parts.length > 1 ? ['## Parts', partRule, partTable(report)] : []),
    '## Modules',
    'Inside a group (×N) the numbers are those of one member.',
    table(
      ['Module', '×', 'Parameters', 'MACs', 'Share', 'Activations', 'Output'],
      moduleLines(report),
      [1, 2, 3, 4, 5],
    ),
    '## Operators',
    table(
      ['Operator', 'Kind', 'Count', 'MACs', 'Elements', 'Output'],
      report.operators.map(({ op, kind, count, macs, elements, bytes }) => [
        op,
        kind,
        ...[count, macs, elements].map(formatExact),
        formatBytes(bytes),
      ]),
      [2, 3, 4, 5],
    ),
    ...(report.layer
      ? [
          '## What if: one attention layer in other forms',
          plain(layerLine(report.layer)),
          whatIfTable(report),
        ]
      : []),
    '## How it was counted',
    countingRules,
    `Vitrine ${version}`,
    '',
  ].join('\n\n');
}

function totals(report: ComplexityReport): readonly (readonly string[])[] {
  const { macs, conventions, formulas } = report;
  const rows: readonly (readonly [label: string, key: string, value: string])[] = [
    ['Parameters', 'params', formatExact(report.params)],
    ['Buffers', 'buffers', formatExact(report.buffers)],
    ['MACs', 'macs', formatExact(countedMacs(macs))],
    ['– convolution', 'conv', formatExact(macs.conv)],
    ['– linear', 'linear', formatExact(macs.linear)],
    ['– attention', 'attention', formatExact(macs.attention)],
    ['FLOPs', 'flops', formatExact(report.flops)],
    ['fvcore’s count', 'fvcore', formatExact(conventions.fvcore)],
    ['Output elements of products', 'activations', formatExact(conventions.activations)],
    ['Weights', 'weightBytes', formatBytes(report.weightBytes)],
    ['All activations', 'activationBytes', formatBytes(report.activationBytes)],
    ['Peak activations', 'peakActivationBytes', formatBytes(report.peakActivationBytes)],
    ['Attention maps', 'attentionBytes', formatBytes(report.attentionBytes)],
    ['Tokens', 'tokens', formatExact(report.tokens)],
  ];
  return rows.map(([label, key, value]) => [label, value, formulas[key] ?? '']);
}

function moduleLines(report: ComplexityReport): readonly (readonly string[])[] {
  const total = countedMacs(report.macs);
  return report.modules
    .filter(({ folded }) => !folded)
    .map((row) => {
      const macs = countedMacs(row.macs);
      return [
        `${'\u2003'.repeat(row.depth)}${row.name || '(model)'}`,
        row.count > 1 ? String(row.count) : '',
        formatExact(row.params),
        formatExact(macs),
        total > 0 && macs > 0 ? formatPercent(macs / total) : '',
        formatBytes(row.activationBytes),
        row.output.length > 0 ? formatShape(row.output) : '',
      ];
    });
}

const partRule = 'Each part is run once. A parameter that several parts read counts in the first of them.';

const partTable = ({ parts }: ComplexityReport): string =>
  table(
    ['Part', 'Parameters', 'MACs', 'Convolution', 'Linear', 'Attention', 'Activations', 'Reads'],
    parts.map(({ name, params, macs, activationBytes, inputs }) => [
      name,
      ...[params, countedMacs(macs), macs.conv, macs.linear, macs.attention].map(formatExact),
      formatBytes(activationBytes),
      inputs.map((input) => `${input.name} ${formatShape(input.shape)}`).join(', '),
    ]),
    [1, 2, 3, 4, 5, 6],
  );

const whatIfTable = ({ whatIf }: ComplexityReport): string =>
  table(
    ['Form', 'Formula', 'MACs'],
    whatIf.map(({ name, formula, macs }) => [name, formula, formatExact(macs)]),
    [2],
  );

/** Markdown's own characters as text: names come from files. */
const plain = (text: string): string =>
  visible(text.replace(/\s*[\r\n]\s*/g, ' ')).replace(/[\\`*_{}[\]<>#|]/g, '\\$&');

function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  numbers: readonly number[],
): string {
  const rule = head.map((_, index) => (numbers.includes(index) ? '---:' : '---'));
  const lines = [head, rule, ...rows.map((row) => row.map(plain))];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/**
 * One line per single module, groups unfolded; the columns that say what was counted repeat, so
 * that tables can be put together.
 */
function csvReport(report: ComplexityReport, subject: ReportSubject): string {
  const [height, width] = report.imageSize ?? ['', ''];
  const about = {
    file: subject.fileName,
    file_bytes: subject.bytes,
    tensors: subject.tensors,
    image_height: height,
    image_width: width,
    batch: report.batch,
    ...(report.lengths.length > 0 && {
      lengths: report.lengths.map(({ name, value }) => `${name}=${value}`).join(' '),
    }),
    convention: 'counted MACs',
    version: subject.version,
  };
  const partOf = ({ part = '' }: ModuleRow): object => (report.parts.length > 1 ? { part } : {});
  const lines = everyModule(report.modules).map((row) => ({ ...about, ...partOf(row), ...csvLine(row) }));
  const inert = lines.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([key, cell]) => [key, typeof cell === 'string' ? inertCell(cell) : cell]),
    ),
  );
  return stringify(inert, { header: true });
}

const csvLine = (row: ModuleRow): Readonly<Record<string, string | number>> => ({
  path: row.path,
  depth: row.depth,
  title: row.title,
  params: row.params,
  buffers: row.buffers,
  weight_bytes: row.bytes,
  macs: countedMacs(row.macs),
  macs_conv: row.macs.conv,
  macs_linear: row.macs.linear,
  macs_attention: row.macs.attention,
  activation_bytes: row.activationBytes,
  output: row.output.join('x'),
  dtype: row.dtype,
});

function jsonReport(report: ComplexityReport, subject: ReportSubject): string {
  return `${JSON.stringify({ ...subject, counting: countingRules, report }, undefined, 2)}\n`;
}
