import { vocNamesOf } from '../../labels/coco';
import { labelsOfHeads } from '../../labels/labels';
import { formatExact, formatPercent } from '../../domain/units';
import type { Reading } from '../../domain/reading';
import type { Size } from '../../domain/size';
import type { Model } from '../../models/model';
import type { Masks, Segment } from '../answer';
import {
  contestedInstancesOf,
  instancesOf,
  panopticOf,
  semanticOf,
  semanticOfMasks,
  type IdMap,
  type MaskOutputs,
  type PanopticOptions,
  type Segments,
} from '../post/segmentation';
import { maskFormats } from './export';
import { cutInstancesOf, cutPanopticOf, type CutMasks } from '../post/cutSegments';
import type { SeenImage } from '../run';
import { prepareTask, taskProgram } from './toldTask';
import { preparePrompts, promptAnswer, promptProgram } from './prompts';
import {
  cannotRun,
  imageProgram,
  nothingGiven,
  outputOf,
  requireOutput,
  type AnswerFiles,
  type IdMap as FileMap,
  type OutputValues,
  type Post,
  type ReadContext,
  type Task,
} from '../task';

type SegmentReading = Extract<Reading, { readonly task: 'segment' }>;

/** The libraries' own defaults of what a caller may set. */
const usual = { threshold: 0.5, maskThreshold: 0.5, overlapThreshold: 0.8 } as const;
/** The same of a library that cuts masks to the image first. */
const usualOfCut = 0.8;

const numberOf = (post: Post, key: string, otherwise: number): number => {
  const value = post[key];
  return typeof value === 'number' ? value : otherwise;
};

/** Which of the answers is asked for; of queries all that the library can tell without a word. */
function wanted(post: Post, rule: SegmentReading['rule'], task: string | undefined): Masks['of'] {
  if (post['call'] === 'semantic' || rule === 'semantic') return 'classes';
  const which = post['which'] ?? task;
  if (which === 'semantic') return 'classes';
  return which === 'instance' ? 'instances' : 'panoptic';
}

const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

/** Thresholds, and classes whose segments become one. */
function panopticOptions(
  post: Post,
  threshold = numberOf(post, 'threshold', usual.threshold),
): PanopticOptions {
  const fused = post['label_ids_to_fuse'] ?? post['stuff_classes'];
  return {
    threshold,
    maskThreshold: numberOf(post, 'mask_threshold', usual.maskThreshold),
    overlapThreshold: numberOf(post, 'overlap_mask_area_threshold', usual.overlapThreshold),
    fused: isList(fused) ? fused.map(Number) : [],
  };
}

/** What queries and their masks say, in the way that is asked for. */
function ofQueries(
  masks: MaskOutputs,
  size: Size,
  of: Masks['of'],
  post: Post,
  cut?: CutMasks,
): Segments | IdMap {
  const threshold = numberOf(post, 'threshold', cut ? usualOfCut : usual.threshold);
  if (of === 'classes') return semanticOfMasks(masks, size);
  if (of === 'instances')
    return cut ? cutInstancesOf(cut, size, { threshold }) : instancesOf(masks, size, { threshold });
  const options = panopticOptions(post, threshold);
  return cut ? cutPanopticOf(cut, size, options) : panopticOf(masks, size, options);
}

/** The same masks with the image's part of the input, if the library cuts them to that. */
function cutOf(
  masks: MaskOutputs,
  { cut }: SegmentReading,
  seen: SeenImage,
  input: Size,
): CutMasks | undefined {
  if (!cut) return undefined;
  const [width, height] = seen.size;
  const part = (side: number, covered: number, all: number): number =>
    Math.min(all, Math.max(1, Math.round((side / covered) * all)));
  const content: Size = [
    part(height, seen.region.height, input[0]),
    part(width, seen.region.width, input[1]),
  ];
  return { ...masks, inner: input, content };
}

/** Pixels of each id. */
function areasOf(ids: ArrayLike<number>): ReadonlyMap<number, number> {
  const areas = new Map<number, number>();
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index] ?? -1;
    areas.set(id, (areas.get(id) ?? 0) + 1);
  }
  return areas;
}

/** Segments of the answer with names and areas; of a map of classes those that are there. */
function segmentsOf(found: Segments | IdMap, nameOf: (label: number) => string): readonly Segment[] {
  const areas = areasOf(found.ids);
  if (!('segments' in found))
    return [...areas]
      .sort(([, left], [, right]) => right - left)
      .map(([label, area]) => ({ id: label, label, name: nameOf(label), area }));
  return found.segments.map(({ id, label_id: label, was_fused: fused, score }) => ({
    ...{ id, label, name: nameOf(label), area: areas.get(id) ?? 0, score },
    ...(fused && { fused: true as const }),
  }));
}

/** The names of a model's classes, and where they come from. */
function namesOf(context: ReadContext, classes: number) {
  const [labels] = labelsOfHeads(context, [classes]);
  const isStored = labels?.assumed === false && labels.names.some((name, at) => name !== `class ${at}`);
  const usual = isStored ? undefined : vocNamesOf(classes);
  const names = usual ?? labels?.names;
  return {
    nameOf: (label: number): string => names?.[label] ?? `class ${label}`,
    source: usual
      ? `assumed: Pascal VOC, because there are ${classes} classes; no names are stored`
      : (labels?.source ?? ''),
  };
}

/** What of the outputs says how many classes there are: a map for each, or scores of queries. */
function classCount(outputs: readonly OutputValues[], { rule }: SegmentReading): number {
  if (rule === 'semantic') return requireOutput(outputs, 'masks').shape.at(-3) ?? 0;
  return (requireOutput(outputs, 'logits').shape.at(-1) ?? 1) - 1;
}

function fileMap({ grid, ids }: Pick<Masks, 'grid'> & { readonly ids: ArrayLike<number> }): FileMap {
  const areas = [...areasOf(ids)].map(([id, area]) => [String(id), area] as const);
  return { width: grid[1], height: grid[0], ids, areas: Object.fromEntries(areas) };
}

/** Whether a model's masks are of points and boxes that somebody gives. */
const readsPrompts = ({ recognition }: Model): boolean =>
  recognition.family !== null &&
  recognition.reading?.task === 'segment' &&
  recognition.reading.rule === 'prompts';

/** How a model is told which answer is asked for, if it is. */
function toldOf({ recognition }: Model): SegmentReading['told'] {
  const reading = recognition.family === null ? undefined : recognition.reading;
  return reading?.task === 'segment' ? reading.told : undefined;
}

/** Tells for every pixel of an image what is there: a class, or an object of a class. */
export const segment: Task<Masks> = {
  answerName: 'segments',
  serves(model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    const { recognition } = model;
    const serves = recognition.family !== null && recognition.reading?.task === 'segment';
    return serves ? undefined : 'it has no masks';
  },
  async prepare(model, given) {
    if (readsPrompts(model)) return preparePrompts(given);
    const told = toldOf(model);
    return told ? prepareTask(model, given, told.context) : nothingGiven;
  },
  program(model, size, given) {
    if (readsPrompts(model)) return promptProgram(model, size, given);
    if (toldOf(model)) return taskProgram(model, size, given);
    return imageProgram(model, size, (outputs) =>
      outputOf(outputs, 'masks')
        ? outputs.filter(({ means }) => means === 'masks' || means === 'logits')
        : [],
    );
  },
  read(outputs, seen, context) {
    const { reading, post = {}, given } = context;
    const rule: SegmentReading =
      reading?.task === 'segment' ? reading : { task: 'segment', rule: 'semantic' };
    const [width, height] = seen.size;
    if (rule.rule === 'prompts') return promptAnswer(outputs, [height, width], context);
    const [task] = given?.words ?? [];
    const of = wanted(post, rule.rule, task);
    const masks = requireOutput(outputs, 'masks');
    const size: Size = [height, width];
    const ofMasks = (): Segments | IdMap => {
      const all = { masks, classes: requireOutput(outputs, 'logits'), inner: rule.inner };
      if (of === 'instances' && rule.told) return contestedInstancesOf(all, size, panopticOptions(post));
      return ofQueries(all, size, of, post, cutOf(all, rule, seen, context.imageSize));
    };
    const found = rule.rule === 'semantic' ? semanticOf(masks, size) : ofMasks();
    const { nameOf, source } = namesOf(context, classCount(outputs, rule));
    return {
      kind: 'masks',
      of,
      grid: [height, width],
      ids: Int16Array.from(found.ids),
      segments: segmentsOf(found, nameOf),
      labelSource: source,
    };
  },
  json: ({ segments, of, labelSource }) => ({ segments, of, ...(labelSource && { labels: labelSource }) }),
  lines({ segments, grid, of, labelSource }) {
    const pixels = grid[0] * grid[1];
    if (segments.length === 0 && of === 'prompts')
      return ['no prompt is given: say points or a box of what is meant'];
    if (segments.length === 0) return ['nothing found'];
    const printed = segments.map(({ name, area, score }) => {
      const sure = score === undefined ? '' : `, score ${formatPercent(score)}`;
      return `${formatPercent(area / pixels).padStart(8)}  ${name} (${formatExact(area)} pixels${sure})`;
    });
    return labelSource.startsWith('assumed') ? [...printed, `names of classes ${labelSource}`] : printed;
  },
  answers: (answer) =>
    answer.choices
      ? {
          list: answer.choices.map(({ prompt, mask, score }) => ({ prompt, mask, score })),
          maps: answer.choices.map(({ ids }) => fileMap({ grid: answer.grid, ids })),
        }
      : found(answer),
  formats: maskFormats,
};

/** Segments and the map of their ids. */
const found = (answer: Masks): AnswerFiles => ({
  ...(answer.of !== 'classes' && {
    list: [
      answer.segments.map(({ id, label, fused = false, score, name }) => ({
        ...{ id, label_id: label, was_fused: fused, score, name },
      })),
    ],
  }),
  maps: [fileMap(answer)],
});
