import type { Masks, Segment } from '../answer';
import type { FileFormat } from '../formats';
import { annotationsOfSegments, categoriesOf, cocoText, joinCoco } from '../post/coco';
import { idPng } from '../post/png';
import { areaOf, compressed, runsOf, type Ids } from '../post/rle';

const idsOf = ({ grid, ids }: Masks): Ids => ({ size: grid, ids });

/** Masks that a prompt may mean are of one kind: how they differ no category says. */
const categories = ({ of, segments }: Masks): readonly Pick<Segment, 'label' | 'name'>[] =>
  of === 'prompts' ? [{ label: 0, name: 'object' }] : segments;

/** Segments by the numbers of their classes; without those that are drawn over whole. */
function annotations(answer: Masks) {
  const segments =
    answer.of === 'prompts' ? answer.segments.map((each) => ({ ...each, label: 0 })) : answer.segments;
  return annotationsOfSegments({ ...idsOf(answer), segments });
}

/** Masks as lengths of runs with what each is. */
function runsJson(answer: Masks): string {
  const all = answer.segments.flatMap(({ id, label, name, score }) => {
    const runs = runsOf(idsOf(answer), id);
    const area = areaOf(runs);
    const segmentation = { size: runs.size, counts: compressed(runs) };
    return area === 0 ? [] : [{ id, label, name, area, ...(score !== undefined && { score }), segmentation }];
  });
  return `${JSON.stringify(all, undefined, 2)}\n`;
}

/** Files of what is where, at the image's own size. */
export const maskFormats: readonly FileFormat<Masks>[] = [
  {
    ending: 'mask.png',
    title: 'PNG',
    what: 'numbers of the segments in grey, the largest where nothing is',
    isMap: true,
    content: async (answer) => ({ data: await idPng(idsOf(answer)) }),
  },
  {
    ending: 'coco.json',
    title: 'COCO JSON',
    what: 'masks as runs; opens in annotation tools',
    content: (answer, { name, size }) => ({
      data: cocoText(
        { file: name, size, annotations: annotations(answer) },
        categoriesOf(categories(answer)),
      ),
    }),
    join: joinCoco,
  },
  {
    ending: 'rle.json',
    title: 'Run Lengths',
    what: 'each mask as pycocotools packs it',
    content: (answer) => ({ data: runsJson(answer) }),
  },
];
