/** Categories of COCO (Lin et al. 2014) in the order of their ids. */
const names =
  'person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,' +
  'parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,' +
  'handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,' +
  'surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,' +
  'broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,' +
  'mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,' +
  'teddy bear,hair drier,toothbrush';

/** Ids from 1 to 90 that no category has. */
const unused: ReadonlySet<number> = new Set([12, 26, 29, 30, 45, 66, 68, 69, 71, 83]);
const ids = Array.from({ length: 90 }, (_, index) => index + 1).filter((id) => !unused.has(id));

/**
 * Names of COCO's categories for a detector's classes: the 80 one after another, or by their ids
 * where there are 91. Undefined of another number.
 */
export function cocoNames(classes: number): readonly (string | undefined)[] | undefined {
  const all = names.split(',');
  if (classes === all.length) return all;
  if (classes !== 91) return undefined;
  const byId = new Map(ids.map((id, index) => [id, all[index]]));
  return Array.from({ length: classes }, (_, id) => byId.get(id));
}

/** Categories of Pascal VOC (Everingham et al. 2010), behind the background. */
const vocNames =
  'background,aeroplane,bicycle,bird,boat,bottle,bus,car,cat,chair,cow,diningtable,dog,horse,motorbike,' +
  'person,pottedplant,sheep,sofa,train,tvmonitor';

/** Names of Pascal VOC's classes for a segmenter of as many; undefined of another number. */
export function vocNamesOf(classes: number): readonly string[] | undefined {
  const all = vocNames.split(',');
  return classes === all.length ? all : undefined;
}
