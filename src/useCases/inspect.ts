import { inspectionJson, inspectionText, inspectorModel } from '../analysis/inspection';
import { missingRuntime } from '../inference/runtime';
import { resolveLabels } from '../labels/labels';
import type { Model } from '../models/model';
import type { InspectorModel } from '../protocol/inspector';

/** What a checkpoint is, as the command line prints it: for programs and for people. */
export const inspection = (model: Model): { readonly json: object; readonly text: string } => ({
  json: inspectionJson(model),
  text: inspectionText(model),
});

/**
 * Returns the inspector's view. `assumed` has the keys that the user set; `blocked` says why models
 * may not be run here, empty if they may.
 */
export function inspect(
  model: Model,
  assumed: Readonly<Record<string, unknown>>,
  blocked: string,
): InspectorModel {
  const { recognition, checkpoint } = model;
  const classes = recognition.family === null ? 0 : Number(recognition.evidence['classes']?.value ?? 0);
  const missing = missingRuntime();
  const notRun = recognition.family === null ? '' : (recognition.notRun ?? '');
  const view = inspectorModel(model, {
    set: new Set(Object.keys(assumed)),
    labels:
      classes > 0
        ? resolveLabels({ config: checkpoint.sidecars.config, classNames: checkpoint.classNames, classes })
        : undefined,
    notRunnable: missing || blocked || notRun,
  });
  return { ...view, trustNeeded: missing === '' && blocked !== '' && model.imageSize !== undefined };
}
