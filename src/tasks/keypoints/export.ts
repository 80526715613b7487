import { shownKeypoints, type Keypoints } from '../answer';
import type { FileFormat } from '../formats';
import { cocoText, joinCoco, type Annotation, type Category } from '../post/coco';
import { csvTable, joinTables } from '../post/csv';
import type { Size } from '../../domain/size';

/** COCO's number of persons, whose keypoints they are. */
const person = 1;
/** COCO's word for a keypoint that is labelled and seen. */
const visible = 2;

/** The one person of an image: its box is the whole image, its score the mean of those shown. */
function annotationOf(answer: Keypoints, [height, width]: Size): Annotation {
  const shown = shownKeypoints(answer);
  const labels = new Set(shown.map(({ label }) => label));
  return {
    category_id: person,
    bbox: [0, 0, width, height],
    area: width * height,
    iscrowd: 0,
    score: shown.reduce((sum, { score }) => sum + score, 0) / Math.max(1, shown.length),
    keypoints: answer.points.flatMap(({ label, point }) =>
      labels.has(label) ? [...point, visible] : [0, 0, 0],
    ),
    num_keypoints: shown.length,
  };
}

const categoryOf = ({ points, bones }: Keypoints): Category => ({
  id: person,
  name: 'person',
  keypoints: points.map(({ name }) => name),
  skeleton: bones.map(([from, to]) => [from + 1, to + 1] as const),
});

/** Files of the keypoints above the threshold. */
export const keypointFormats: readonly FileFormat<Keypoints>[] = [
  {
    ending: 'keypoints.coco.json',
    title: 'COCO JSON',
    what: 'one person with keypoints; opens in annotation tools',
    content: (answer, { name, size }) => ({
      data: cocoText({ file: name, size, annotations: [annotationOf(answer, size)] }, [categoryOf(answer)]),
    }),
    join: joinCoco,
  },
  {
    ending: 'keypoints.csv',
    title: 'CSV',
    what: 'a line for each keypoint, x and y in pixels',
    content: (answer, { name }) => ({
      data: csvTable([
        ['image', 'keypoint', 'name', 'score', 'x', 'y'],
        ...shownKeypoints(answer).map((each) => [name, each.label, each.name, each.score, ...each.point]),
      ]),
    }),
    join: joinTables,
  },
];
