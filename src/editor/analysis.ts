import type { Size } from '../domain/size';
import type { Model } from '../models/model';
import { inspectorModel } from '../analysis/inspection';
import { reportOf, reportSubject } from '../analysis/report';
import { reportExtensions, reportText, type ReportFormat } from '../analysis/reportText';
import { scaling } from '../analysis/scaling';
import { weightStatistics } from '../analysis/weightStatistics';
import { byteLength, elementCount, type Tensor } from '../checkpoint/tensors';
import { readElements, readTensor, toFloat32 } from '../checkpoint/values';
import { resolveLabels } from '../labels/labels';
import { missingRuntime } from '../inference/runtime';
import type { InspectorModel, TensorValues } from '../protocol/inspector';
import type { ComplexityReport, Scaling } from '../domain/report';
import { checkpointLabel } from './documents/checkpointEntries';
import { UserError } from './dialogue/errors';
import type { Assumptions } from './documents/memory';

// What the pages ask about a model, in one module that is loaded with the first question.

/** The inspector's view; `blocked` says why this window may not run models, empty where it may. */
export function inspect(model: Model, assumptions: Assumptions, blocked: string): InspectorModel {
  const { recognition, checkpoint } = model;
  const classes = recognition.family === null ? 0 : Number(recognition.evidence['classes']?.value ?? 0);
  const missing = missingRuntime();
  const view = inspectorModel(model, {
    set: new Set(Object.keys(assumptions)),
    labels: classes > 0 ? resolveLabels({ config: checkpoint.sidecars.config, classes }) : undefined,
    notRunnable: missing || blocked,
  });
  return { ...view, trustNeeded: missing === '' && blocked !== '' && model.imageSize !== undefined };
}

/** The complexity report at an image size (the model's own for null) and batch. */
export function report(model: Model, imageSize: Size | null, batch: number): ComplexityReport {
  return reportOf(model, { imageSize: imageSize ?? undefined, batch });
}

/** MACs against image size, by the steps that the model can take. */
export function scale(model: Model): Scaling {
  const { imageSize, recognition } = model;
  if (!imageSize) throw new UserError(`${model.checkpoint.path}: only a known architecture can be resized`);
  const step = recognition.family === null ? ([0, 0] as const) : recognition.sizeStep;
  return scaling((size) => model.graph({ imageSize: size }), imageSize, step);
}

/** A report as a file: its name without the folder, and its text. */
export function reportFile(
  model: Model,
  format: ReportFormat,
  imageSize: Size | null,
  batch: number,
): { readonly name: string; readonly content: string } {
  const { path } = model.checkpoint;
  const name = `${checkpointLabel(path)}-complexity.${reportExtensions[format]}`;
  return { name, content: reportText(format, report(model, imageSize, batch), reportSubject(model)) };
}

/** Bytes up to which a tensor is read whole for its statistics. */
const wholeBytes = 64e6;
const statistics = new WeakMap<Tensor, TensorValues['statistics']>();

/** A page of a tensor's values. Throws where there is no tensor of that name. */
export async function tensorValues(
  model: Model,
  name: string,
  first: number,
  count: number,
): Promise<TensorValues> {
  const tensor = model.checkpoint.selected.tensors.find((candidate) => candidate.name === name);
  if (!tensor) throw new UserError(`${model.checkpoint.path}: no tensor ${name}; reload the file`);
  const values = toFloat32(await readElements(tensor, first, count), tensor.dtype);
  const total = elementCount(tensor.shape);
  return { tensor: name, first, values, total, statistics: await statisticsOf(tensor) };
}

async function statisticsOf(tensor: Tensor): Promise<TensorValues['statistics']> {
  if (byteLength(tensor) > wholeBytes) return undefined;
  const known = statistics.get(tensor);
  if (known) return known;
  const found = weightStatistics(toFloat32(await readTensor(tensor), tensor.dtype));
  statistics.set(tensor, found);
  return found;
}
