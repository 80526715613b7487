import type { Box, Boxes } from '../answer';
import type { FileFormat } from '../formats';
import { annotationOfBox, categoriesOf, cocoText, joinCoco } from '../post/coco';
import { csvTable, joinTables } from '../post/csv';
import { yoloText } from '../post/yolo';

const csvColumns = ['image', 'class', 'name', 'score', 'x0', 'y0', 'x1', 'y1', 'query'] as const;

/** A table with a line for each box, corners in pixels as the model has them. */
export function csvText(image: string, boxes: readonly Box[]): string {
  const rows = boxes.map(({ label, name, score, box, query }) => [image, label, name, score, ...box, query]);
  return csvTable([csvColumns, ...rows]);
}

/** The boxes that count. */
const shownOf = ({ boxes, threshold }: Boxes): readonly Box[] =>
  boxes.filter(({ score }) => score > threshold);

/** Files of the boxes above the threshold. */
export const boxFormats: readonly FileFormat<Boxes>[] = [
  {
    ending: 'coco.json',
    title: 'COCO JSON',
    what: 'opens in annotation tools',
    content(answer, { name, size }) {
      const shown = shownOf(answer);
      const annotations = shown.map(({ label, score, box }) => annotationOfBox(label, score, box));
      return { data: cocoText({ file: name, size, annotations }, categoriesOf(shown)) };
    },
    join: joinCoco,
  },
  {
    ending: 'csv',
    besideImage: 'boxes.csv',
    title: 'CSV',
    what: 'a line for each box, corners in pixels',
    content: (answer, { name }) => ({ data: csvText(name, shownOf(answer)) }),
    join: joinTables,
  },
  {
    ending: 'txt',
    title: 'YOLO Text',
    what: 'shares of the image, cut at its edges',
    content: (answer, { size }) => ({ data: yoloText(shownOf(answer), size) }),
  },
];
