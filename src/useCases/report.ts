import { reportOf, reportSubject } from '../analysis/report';
import { reportExtensions, reportText, type ReportFormat } from '../analysis/reportText';
import { scaling } from '../analysis/scaling';
import { operatorsIn, operatorUses } from '../analysis/operatorUses';
import type { ComplexityReport, OperatorRow, OperatorUse, Scaling } from '../domain/report';
import { everyModule } from '../analysis/moduleTree';
import { graphsOfParts, hasGraph, namedGraphs, type Model } from '../models/model';
import type { ReportAsked } from '../protocol/inspector';

/**
 * Counts a model at an image size, its own for null, batch and lengths. Throws if the architecture
 * is not known or cannot take them.
 */
export function report(model: Model, { imageSize, batch, lengths }: ReportAsked): ComplexityReport {
  return reportOf(model, { imageSize: imageSize ?? undefined, batch, lengths });
}

/** Returns the modules with operators of a type and kind, as a report counts them. */
export const findUses = (
  model: Model,
  operator: Pick<OperatorRow, 'op' | 'kind'>,
  { imageSize, batch, lengths }: ReportAsked,
): readonly OperatorUse[] =>
  operatorUses(namedGraphs(model, { imageSize: imageSize ?? model.imageSize, batch, lengths }), operator);

/** Returns the operators in a module and below it, of a part or of all, at the model's own size. */
export const findOperators = (model: Model, module: string, part?: string): readonly OperatorRow[] => {
  if (!hasGraph(model)) return [];
  const parts = namedGraphs(model).filter(({ name }) => part === undefined || name === part);
  return operatorsIn(
    parts.map(({ graph }) => graph),
    module,
  );
};

/**
 * Counts MACs of all parts against image size, by the steps that the model can take; null for one
 * that reads no images. Throws if the architecture is not known.
 */
export function scale(model: Model, lengths: Readonly<Record<string, number>> = {}): Scaling | null {
  const { imageSize, recognition } = model;
  if (!hasGraph(model)) throw new Error(`${model.checkpoint.path}: only a known architecture can be resized`);
  if (!imageSize) return null;
  const { sizeStep: step = [0, 0] as const } = recognition.family === null ? {} : recognition;
  return scaling((size) => graphsOfParts(model, { imageSize: size, lengths }), imageSize, step);
}

/** Returns a report as the content of a file, and the extension of its name. */
export function reportFile(
  model: Model,
  format: ReportFormat,
  counted: ComplexityReport,
): { readonly extension: string; readonly content: string } {
  return {
    extension: reportExtensions[format],
    content: reportText(format, counted, reportSubject(model)),
  };
}

/**
 * Returns a report in the command line's words; rows of folded groups are left out, their members
 * stand for themselves.
 */
export function reportJson({ modules, ...report }: ComplexityReport): object {
  const rows = everyModule(modules);
  return {
    batch: report.batch,
    ...(report.lengths.length > 0 && { lengths: lengthsJson(report) }),
    macs: report.macs,
    flops: report.flops,
    weight_bytes: report.weightBytes,
    activation_bytes: report.activationBytes,
    peak_activation_bytes: report.peakActivationBytes,
    attention_bytes: report.attentionBytes,
    tokens: report.tokens,
    conventions: report.conventions,
    parts: report.parts.map((part) => ({
      part: part.name,
      params: part.params,
      macs: part.macs,
      activation_bytes: part.activationBytes,
      peak_activation_bytes: part.peakActivationBytes,
      attention_bytes: part.attentionBytes,
      inputs: Object.fromEntries(part.inputs.map(({ name, shape }) => [name, shape])),
    })),
    modules: rows.map(({ path, part, depth, params, macs, activationBytes }) => ({
      path,
      ...(part !== undefined && { part }),
      depth,
      params,
      macs,
      activation_bytes: activationBytes,
    })),
  };
}

const lengthsJson = ({ lengths }: Pick<ComplexityReport, 'lengths'>): object =>
  Object.fromEntries(lengths.map(({ name, value }) => [name, value]));
