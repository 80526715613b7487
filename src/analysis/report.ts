import type { Size } from '../domain/size';
import { basename } from 'node:path';
import { version } from '../../package.json';
import type { Model } from '../models/model';
import type { ComplexityReport } from '../domain/report';
import { complexity } from './complexity';
import type { ReportSubject } from './reportText';

export interface ReportSize {
  readonly imageSize?: Size;
  readonly batch?: number;
}

/** The complexity report of a model, at its own image size and one image unless told otherwise. */
export function reportOf(
  model: Model,
  { imageSize = model.imageSize, batch = 1 }: ReportSize = {},
): ComplexityReport {
  const { checkpoint, counts } = model;
  const graph = model.graph({ imageSize, batch });
  if (!imageSize) throw new Error(`${checkpoint.path}: no image size of the model is known`);
  return complexity(graph, { imageSize, tensors: checkpoint.selected.tensors, counts });
}

/** What a written report names: file, size, tensors, model and this program's version. */
export function reportSubject({ checkpoint, recognition }: Model): ReportSubject {
  return {
    fileName: basename(checkpoint.path),
    bytes: checkpoint.size,
    tensors: checkpoint.selected.tensors.length,
    title: recognition.family === null ? checkpoint.format : recognition.title,
    version,
  };
}
