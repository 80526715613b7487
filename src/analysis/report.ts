import { basename } from 'node:path';
import { version } from '../../package.json';
import { askedLengths, lengthRows } from '../models/lengths';
import { namedGraphs, type GraphSize, type Model } from '../models/model';
import type { ComplexityReport } from '../domain/report';
import { complexity } from './complexity';
import type { ReportSubject } from './reportText';

/**
 * The complexity report of a model with all its parts, at its own image size and lengths and one
 * image unless told otherwise. Throws if it cannot be written for them.
 */
export function reportOf(model: Model, size: GraphSize = {}): ComplexityReport {
  const { checkpoint, counts } = model;
  const { imageSize = model.imageSize, batch = 1 } = size;
  const { lengths } = askedLengths(model, size.lengths);
  const parts = namedGraphs(model, { imageSize, batch, lengths });
  const { tensors } = checkpoint.selected;
  return complexity(parts, { imageSize, tensors, counts, lengths: lengthRows(model, lengths) });
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
