import { reportOf, reportSubject } from '../analysis/report';
import { reportExtensions, reportText, type ReportFormat } from '../analysis/reportText';
import { scaling } from '../analysis/scaling';
import { operatorsIn, operatorUses } from '../analysis/operatorUses';
import type { ComplexityReport, OperatorRow, OperatorUse, Scaling } from '../domain/report';
import type { Size } from '../domain/size';
import type { Model } from '../models/model';

/**
 * Counts a model at an image size, its own for null, and batch. Throws if the architecture is not
 * known or cannot take the size.
 */
export function report(model: Model, imageSize: Size | null, batch: number): ComplexityReport {
  return reportOf(model, { imageSize: imageSize ?? undefined, batch });
}

/** Returns the modules with operators of a type and kind, at the size and batch of a report. */
export const findUses = (
  model: Model,
  operator: Pick<OperatorRow, 'op' | 'kind'>,
  imageSize: Size | null,
  batch: number,
): readonly OperatorUse[] =>
  operatorUses(model.graph({ imageSize: imageSize ?? model.imageSize, batch }), operator);

/** Returns the operators in a module and below it, at the model's own size. */
export const findOperators = (model: Model, module: string): readonly OperatorRow[] =>
  model.imageSize ? operatorsIn(model.graph(), module) : [];

/** Counts MACs against image size, by the steps that the model can take. */
export function scale(model: Model): Scaling {
  const { imageSize, recognition } = model;
  if (!imageSize) throw new Error(`${model.checkpoint.path}: only a known architecture can be resized`);
  const step = recognition.family === null ? ([0, 0] as const) : recognition.sizeStep;
  return scaling((size) => model.graph({ imageSize: size }), imageSize, step);
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
  const rows = modules.filter(({ kind }) => kind === 'module');
  return {
    batch: report.batch,
    macs: report.macs,
    flops: report.flops,
    weight_bytes: report.weightBytes,
    activation_bytes: report.activationBytes,
    peak_activation_bytes: report.peakActivationBytes,
    attention_bytes: report.attentionBytes,
    tokens: report.tokens,
    conventions: report.conventions,
    modules: rows.map(({ path, depth, params, macs, activationBytes }) => ({
      path,
      depth,
      params,
      macs,
      activation_bytes: activationBytes,
    })),
  };
}
