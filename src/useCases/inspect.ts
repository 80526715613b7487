import {
  classesOf,
  inspectionJson,
  inspectionText,
  inspectorModel,
  type LabelsFound,
} from '../analysis/inspection';
import { missingRuntime } from '../inference/runtime';
import { wordsOf } from '../domain/taskWords';
import { labelsOfHeads } from '../labels/labels';
import { isOtherTask, taskOf } from '../tasks/tasks';
import { askedLengths } from '../models/lengths';
import { hasGraph, type Model } from '../models/model';
import type { Addable, InspectorModel } from '../protocol/inspector';

/**
 * What a checkpoint is, counted for the lengths that are asked for, as the command line prints it:
 * for programs and for people. Each is made if it is read. Throws if a length cannot be.
 */
export function inspection(
  model: Model,
  asked: Readonly<Record<string, number>> = {},
): { readonly json: Readonly<Record<string, unknown>>; readonly text: string } {
  const { lengths, warnings } = askedLengths(model, asked);
  return {
    get json() {
      const json = inspectionJson(model, { labels: labelsOf(model), lengths });
      return { ...json, warnings: [...(json['warnings'] as readonly string[]), ...warnings] };
    },
    get text() {
      const text = inspectionText(model, { labels: labelsOf(model), lengths });
      return [text.trimEnd(), ...warnings.map((line) => `  warning: ${line}`), ''].join('\n');
    },
  };
}

/** Where the names of all heads come from; undefined of a model without classes. */
function labelsOf({ recognition, checkpoint }: Model): LabelsFound | undefined {
  const heads = recognition.family === null ? [] : classesOf(recognition.evidence);
  if (!heads.some((classes) => classes > 0)) return undefined;
  const { sidecars, classNames } = checkpoint;
  const labels = labelsOfHeads({ config: sidecars.config, classNames }, heads);
  return {
    source: [...new Set(labels.map(({ source }) => source))].join('; '),
    assumed: labels.some(({ assumed }) => assumed),
    warnings: [...new Set(labels.flatMap(({ warnings }) => warnings))],
  };
}

/** What the user told of a model: hyper-parameters by key, and paths of what is read with it. */
export interface Told {
  readonly assumptions: Readonly<Record<string, unknown>>;
  readonly added: Readonly<Partial<Record<Addable, string>>>;
}

/**
 * Returns the inspector's view. `blocked` says why models may not be run here, empty if they may.
 */
export function inspect(model: Model, { assumptions, added }: Told, blocked: string): InspectorModel {
  const { recognition } = model;
  const missing = missingRuntime();
  const notRun = recognition.family === null ? '' : (recognition.notRun ?? '');
  const view = inspectorModel(model, {
    set: new Set(Object.keys(assumptions)),
    added,
    labels: labelsOf(model),
    notRunnable: missing || blocked || notRun,
  });
  return {
    ...view,
    ...(model.imageSize && { runTitle: runTitleOf(model) }),
    trustNeeded: missing === '' && blocked !== '' && hasGraph(model),
  };
}

/** What running the model is called, by its task. */
function runTitleOf(model: Model): string {
  const { name } = taskOf(model);
  return wordsOf(name)?.button ?? (isOtherTask(name) ? 'Run on an Image…' : 'Classify an Image…');
}
