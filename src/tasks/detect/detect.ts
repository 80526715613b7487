import { cocoNames } from '../../labels/coco';
import { labelsOfHeads } from '../../labels/labels';
import { formatPercent } from '../../domain/units';
import type { Model } from '../../models/model';
import type { Boxes } from '../answer';
import type { Reading } from '../../domain/reading';
import type { Grid, Size } from '../../domain/size';
import { lengthsOfIds, partsProgram } from '../partsProgram';
import {
  cannotRun,
  imageProgram,
  nothingGiven,
  outputOf,
  requireOutput,
  type Post,
  type ReadContext,
  type Task,
} from '../task';
import { promptsIn, readTexts } from '../words';
import { boxFormats } from './export';
import { detectionsOf, phrasesOf } from '../post/detection';
import { namedPhrases, phraseSource, preparePhrases } from './phrases';
import { lowestThreshold, usualTextThreshold, usualThresholds } from './thresholds';

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

type DetectReading = Extract<Reading, { readonly task: 'detect' }>;

function readingOf({ recognition }: Model): DetectReading | undefined {
  const reading = recognition.family === null ? undefined : recognition.reading;
  return reading?.task === 'detect' ? reading : undefined;
}

/** Whole patches that an image has down and across. */
const gridOf = (image: Size, patch: Size): Grid => [
  Math.floor(image[0] / patch[0]),
  Math.floor(image[1] / patch[1]),
];

/** A number among the settings of an answer. */
function numberIn(post: Post, key: string): number | undefined {
  const value = post[key];
  return typeof value === 'number' ? value : undefined;
}

/** Why nothing is found by a model that nobody told what to find. */
export const noTexts = 'no text is given: say what to find';

/** Finds objects in an image: a box, a label and a score each. */
export const detect: Task<Boxes> = {
  answerName: 'detections',
  serves(model: Model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    const finds = model.parts.some(({ graph }) => outputOf(graph().outputs, 'boxes'));
    const { recognition } = model;
    const answers = recognition.family === null ? undefined : recognition.reading?.task;
    if (finds && answers === 'segment') return 'its boxes are those of its masks';
    return finds ? undefined : 'it finds no boxes';
  },
  async prepare(model, given) {
    const reading = readingOf(model);
    const prompts = promptsIn(given);
    if (!reading?.texts) return nothingGiven;
    if (reading.rule === 'phrases') return preparePhrases(model, prompts, reading.texts);
    if (prompts.length === 0) return nothingGiven;
    const texts = prompts.map(({ text }) => text);
    const { ids, mask } = await readTexts(model, texts, reading.texts);
    return {
      tensors: { input_ids: ids, attention_mask: mask },
      words: prompts.map(({ label }) => label),
    };
  },
  program: (model, size, given) =>
    readingOf(model)?.texts
      ? partsProgram(model, size, given, lengthsOfIds(given.tensors['input_ids']))
      : imageProgram(model, size, (outputs) => (outputOf(outputs, 'boxes') ? outputs : [])),
  read(outputs, seen, context) {
    const { reading, post = {}, given, imageSize } = context;
    const how: DetectReading = reading?.task === 'detect' ? reading : { task: 'detect', rule: 'softmax' };
    const threshold = numberIn(post, 'threshold') ?? usualThresholds[how.rule];
    const boxes = requireOutput(outputs, 'boxes');
    const common = {
      kind: 'boxes',
      threshold,
      queries: boxes.shape.at(-2) ?? 0,
      ...(how.texts && { texts: given?.words ?? [] }),
      ...(how.patch && { grid: gridOf(imageSize, how.patch) }),
    } as const;
    // Boxes without a text are of nothing in particular.
    if (common.texts?.length === 0) return { ...common, boxes: [], labelSource: '' };
    const found = { logits: requireOutput(outputs, 'logits'), boxes };
    const size: Size = [seen.size[1], seen.size[0]];
    const least = Math.min(threshold, lowestThreshold);
    if (how.rule === 'phrases') {
      const textThreshold = numberIn(post, 'text_threshold') ?? usualTextThreshold;
      const phrases = phrasesOf(found, size, { threshold: least, textThreshold });
      return { ...common, boxes: namedPhrases(phrases, given), labelSource: phraseSource(textThreshold) };
    }
    const classes = (found.logits.shape.at(-1) ?? 1) - (how.rule === 'softmax' ? 1 : 0);
    const labels = common.texts
      ? { names: common.texts, source: 'the texts that were given' }
      : namesOf(context, classes);
    const kept = detectionsOf(how.rule, found, size, { top: how.top, square: how.square, threshold: least });
    return {
      ...common,
      boxes: kept.map((box) => ({ ...box, name: labels.names[box.label] ?? `class ${box.label}` })),
      labelSource: labels.source,
    };
  },
  json: ({ boxes, threshold, labelSource, texts }) => ({
    boxes: boxes.filter(({ score }) => score > threshold),
    threshold,
    labels: labelSource,
    ...(texts?.length === 0 && { missing: noTexts }),
  }),
  lines({ boxes, threshold, queries, texts }) {
    if (texts?.length === 0) return [noTexts];
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
  formats: boxFormats,
};
