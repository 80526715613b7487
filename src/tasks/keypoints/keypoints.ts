import { cocoBones, cocoKeypointNames } from '../../labels/cocoKeypoints';
import { labelsOfHeads } from '../../labels/labels';
import type { Grid } from '../../domain/size';
import { shownKeypoints, type Keypoint, type Keypoints } from '../answer';
import { keypointsOf, type PlacedKeypoint } from '../post/keypoints';
import { cannotRun, imageProgram, outputOf, requireOutput, type ReadContext, type Task } from '../task';
import { keypointFormats } from './export';

/** Score above which a keypoint is shown if nobody says another; the library's own example's. */
const usualThreshold = 0.3;

/** What is to be known of every answer: nobody said where the person is. */
const wholeImage =
  'Assumed: the whole image is one person’s box, because no detector says where people are. Crop the image to a person.';

/** What keypoints are called, and where that comes from; COCO's list of as many if nobody says. */
function namesOf(context: Pick<ReadContext, 'config' | 'classNames'>, count: number) {
  const [labels] = labelsOfHeads(context, [count]);
  const isStored = labels?.assumed === false && labels.names.some((name, at) => name !== `class ${at}`);
  if (isStored) return labels;
  const names = cocoKeypointNames(count);
  return names
    ? { names, source: `assumed: COCO, because there are ${count} keypoints; no names are stored` }
    : { names: [], source: 'no names are stored' };
}

/** The pixel of a map under a place of the image, on the map. */
function placeOn(
  { x, y }: PlacedKeypoint,
  [rows, columns]: Grid,
  region: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
): Keypoint['place'] {
  const inside = (value: number, count: number): number =>
    Math.min(Math.max(Math.floor(value * count), 0), count - 1);
  return [
    inside((y + 0.5 - region.y) / region.height, rows),
    inside((x + 0.5 - region.x) / region.width, columns),
  ];
}

/** Finds the keypoints of a person: a place, a name and a score each. */
export const keypoints: Task<Keypoints> = {
  answerName: 'keypoints',
  serves(model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    const finds = model.parts.some(({ graph }) => outputOf(graph().outputs, 'heatmaps'));
    return finds ? undefined : 'it finds no keypoints';
  },
  program: (model, size) =>
    imageProgram(model, size, (outputs) => outputs.filter(({ means }) => means === 'heatmaps')),
  read(outputs, { region }, context) {
    const heatmaps = requireOutput(outputs, 'heatmaps');
    const grid: Grid = [heatmaps.shape.at(-2) ?? 1, heatmaps.shape.at(-1) ?? 1];
    const found = keypointsOf(heatmaps, { extent: region, input: context.imageSize });
    const { names, source } = namesOf(context, found.length);
    const { post } = context;
    const stated = post?.['threshold'];
    // The library keeps all if it is asked without a threshold.
    const otherwise = post ? -Infinity : usualThreshold;
    return {
      kind: 'keypoints',
      points: found.map((each) => ({
        label: each.label,
        name: names[each.label] ?? `keypoint ${each.label}`,
        score: each.score,
        point: [each.x, each.y],
        place: placeOn(each, grid, region),
      })),
      threshold: typeof stated === 'number' ? stated : otherwise,
      bones: cocoBones(found.length),
      grid,
      labelSource: source,
      warnings: [wholeImage],
    };
  },
  json: (answer) => ({
    keypoints: shownKeypoints(answer).map(({ label, name, score, point }) => ({ label, name, score, point })),
    threshold: answer.threshold,
    labels: answer.labelSource,
    person: 'the whole image (assumed)',
  }),
  lines(answer) {
    const shown = shownKeypoints(answer);
    return shown.length === 0
      ? [`no keypoint of ${answer.points.length} above ${answer.threshold}`]
      : shown.map(({ name, score, point }) => {
          const place = point.map((side) => side.toFixed(1)).join(', ');
          return `${score.toFixed(3).padStart(8)}  ${name}  (${place})`;
        });
  },
  answers: (answer) => ({
    list: [shownKeypoints(answer).map(({ label, name, score, point }) => ({ label, name, score, point }))],
  }),
  formats: keypointFormats,
};
