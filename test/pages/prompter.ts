import type { Probe } from '../../src/domain/probes';
import type { Masks } from '../../src/tasks/answer';
import type { Given, Run } from '../../src/tasks/run';
import { placesOf } from '../../webview/answers/promptPlaces';

/** Places of the encoder's map: the image of 640 × 480 in a square of 1024, patches of 16. */
const grid = [64, 64] as const;
const special = ['iou', 'mask0', 'mask1', 'mask2', 'mask3'];

const encoder: Probe = {
  ...{ value: 'encoder', layer: 'vision_encoder.layers.11.attn', kind: 'self', heads: 2 },
  ...{ queries: { grid }, keys: { grid } },
};
const decoder = (queries: number): Probe => ({
  ...{ value: 'decoder', layer: 'mask_decoder.transformer.final_attn_token_to_image' },
  ...{ kind: 'cross', heads: 2, queries: { special, queries }, keys: { grid } },
});

/** Radius in pixels of each mask, and how well it is said to fit. */
const masks = [
  [30, 0.71],
  [60, 0.93],
  [90, 0.86],
] as const;

const size = [480, 640] as const;

/**
 * What a model answers whose mask is a disc around each point of what is meant, the whole box
 * without points, less a disc around each point of what is not.
 */
function answerTo(given: Given): Masks {
  const { points, box } = placesOf(given);
  const common = { kind: 'masks', of: 'prompts', grid: size, labelSource: '' } as const;
  const empty = new Int16Array(size[0] * size[1]).fill(-1);
  if (points.length === 0 && !box) return { ...common, ids: empty, segments: [], choices: [] };
  const choices = masks.map(([radius, score], mask) => {
    const ids = Uint8Array.from(empty, (_, at) => {
      const [x, y] = [(at % size[1]) + 0.5, Math.floor(at / size[1]) + 0.5];
      const isNear = (isInside: boolean): boolean =>
        points.some((point) => point.isInside === isInside && Math.hypot(point.x - x, point.y - y) < radius);
      const isInBox = !box || (x > box[0] && y > box[1] && x < box[2] && y < box[3]);
      const isMeant = points.some(({ isInside }) => isInside) ? isNear(true) : box !== undefined;
      return isMeant && isInBox && !isNear(false) ? 1 : 0;
    });
    return {
      ...{ prompt: 0, mask, token: `mask${mask + 1}`, score, ids },
      area: ids.reduce((sum, each) => sum + each, 0),
    };
  });
  const [, best] = choices;
  return {
    ...common,
    ids: Int16Array.from(best?.ids ?? empty, (isSet) => (isSet === 1 ? 1 : -1)),
    segments: choices.map(({ area, score }, id) => ({ id, label: id, name: `mask ${id + 1}`, area, score })),
    choices,
  };
}

/** How a model of prompts answers. */
export const promptedView = (
  given: Given = {},
): Pick<Run, 'task' | 'answer' | 'probes' | 'layers' | 'modelTitle' | 'inputSize'> => {
  const { points, box } = placesOf(given);
  const count = points.length + (box ? 2 : 0);
  const probes = count > 0 ? [encoder, decoder(count)] : [encoder];
  return {
    task: 'segment',
    modelTitle: 'Segment Anything, ViT-B',
    answer: answerTo(given),
    probes,
    layers: probes.map(({ layer }) => layer),
    inputSize: { current: [1024, 1024], native: [1024, 1024], step: [16, 16] },
  };
};

export const promptedRegion = { x: 0, y: 0, width: 640, height: 640 } as const;
