import { cocoNames } from '../../labels/coco';
import { labelsOfHeads } from '../../labels/labels';
import { formatPercent } from '../../domain/units';
import type { Model } from '../../models/model';
import type { Boxes } from '../answer';
import { cannotRun, imageProgram, outputOf, requireOutput, type ReadContext, type Task } from '../task';
import { baseName, cocoText, csvText, yoloText } from './export';
import { detectionsOf, type DetectionRule } from '../post/detection';
import { lowestThreshold, usualThreshold } from './thresholds';

/** Names of classes by a list of as many, and where they come from. */
interface Named {
  readonly names: readonly (string | undefined)[];
  readonly source: string;
}

/**
 * What the classes of a detector are called: what is stored, else COCO's categories where there are
 * as many, as published detectors have them; of no other list is their number telling.
 */
export function namesOf(context: Pick<ReadContext, 'config' | 'classNames'>, classes: number): Named {
  const [labels] = labelsOfHeads(context, [classes]);
  const isStored = labels?.assumed === false && labels.names.some((name, at) => name !== `class ${at}`);
  if (isStored) return labels;
  const names = cocoNames(classes);
  return names
    ? { names, source: `assumed: COCO, because there are ${classes} classes; no names are stored` }
    : { names: [], source: 'no names are stored' };
}

/** Finds objects in an image: a box, a label and a score each. */
export const detect: Task<Boxes> = {
  answerName: 'detections',
  serves(model: Model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    const finds = model.parts.some(({ graph }) => outputOf(graph().outputs, 'boxes'));
    return finds ? undefined : 'it finds no boxes';
  },
  program: (model, size) =>
    imageProgram(model, size, (outputs) => (outputOf(outputs, 'boxes') ? outputs : [])),
  read(outputs, seen, context) {
    const { reading, post = {} } = context;
    const {
      rule,
      ...how
    }: { readonly rule: DetectionRule; readonly top?: number; readonly square?: boolean } =
      reading?.task === 'detect' ? reading : { rule: 'softmax' };
    const logits = requireOutput(outputs, 'logits');
    const [width, height] = seen.size;
    const classes = (logits.shape.at(-1) ?? 1) - (rule === 'softmax' ? 1 : 0);
    const labels = namesOf(context, classes);
    const threshold = typeof post['threshold'] === 'number' ? post['threshold'] : usualThreshold;
    const kept = detectionsOf(rule, { logits, boxes: requireOutput(outputs, 'boxes') }, [height, width], {
      ...how,
      threshold: Math.min(threshold, lowestThreshold),
    });
    return {
      kind: 'boxes',
      threshold,
      boxes: kept.map((box) => ({ ...box, name: labels.names[box.label] ?? `class ${box.label}` })),
      queries: logits.shape.at(-2) ?? 0,
      labelSource: labels.source,
    };
  },
  json: ({ boxes, threshold, labelSource }) => ({
    boxes: boxes.filter(({ score }) => score > threshold),
    threshold,
    labels: labelSource,
  }),
  lines({ boxes, threshold, queries }) {
    const found = boxes.filter(({ score }) => score > threshold);
    const none = `nothing above ${formatPercent(threshold)} of ${queries} queries`;
    return found.length === 0
      ? [none]
      : found.map(({ name, score, box }) => {
          const corners = box.map((side) => side.toFixed(1)).join(', ');
          return `${formatPercent(score).padStart(8)}  ${name}  [${corners}]`;
        });
  },
  answers: ({ boxes, threshold }) => ({
    list: [
      boxes
        .filter(({ score }) => score > threshold)
        .map(({ label, name, score, box }) => ({ label, name, score, box })),
    ],
  }),
  texts({ boxes, threshold }, { image, size: [width, height] }) {
    const found = {
      image: baseName(image),
      size: [height, width],
      boxes: boxes.filter(({ score }) => score > threshold),
    } as const;
    return [
      { ending: 'coco.json', text: cocoText(found) },
      { ending: 'csv', text: csvText(found) },
      { ending: 'txt', text: yoloText(found) },
    ];
  },
};
