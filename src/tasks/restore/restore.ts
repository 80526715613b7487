import type { Size } from '../../domain/size';
import type { Restored } from '../answer';
import { restorationOf, type OwnPart } from '../post/restoration';
import type { SeenImage } from '../run';
import { cannotRun, imageProgram, outputOf, requireOutput, type Task } from '../task';
import { restoredFormats } from './export';
import { restoredText } from './pictures';

/** What of the input is the image, by where it lies on that: padding reaches beyond it. */
function ownPart({ region, size: [width, height] }: SeenImage, [rows, columns]: Size): OwnPart {
  const along = (start: number, length: number, pixels: number, end: number) => {
    const each = length / pixels;
    const first = Math.round(Math.max(0, -start) / each);
    return [first, Math.round((Math.min(end, start + length) - Math.max(0, start)) / each)] as const;
  };
  const [top, down] = along(region.y, region.height, rows, height);
  const [left, across] = along(region.x, region.width, columns, width);
  return { top, left, size: [down, across] };
}

/** Makes an image anew, larger or mended. */
export const restore: Task<Restored> = {
  answerName: 'restored',
  serves(model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    const finds = model.parts.some(({ graph }) => outputOf(graph().outputs, 'restored'));
    return finds ? undefined : 'it enlarges and mends no images';
  },
  program: (model, size) =>
    imageProgram(model, size, (outputs) => outputs.filter(({ means }) => means === 'restored')),
  read(outputs, seen, { reading }) {
    const raw = requireOutput(outputs, 'restored');
    const scale = reading?.task === 'restore' ? reading.scale : 1;
    const [rows = 0, columns = 0] = raw.shape.slice(-2);
    const { size, planes } = restorationOf(raw, ownPart(seen, [rows / scale, columns / scale]), scale);
    return { kind: 'restored', grid: size, scale, planes };
  },
  json: ({ grid, scale }) => ({ size: grid, scale }),
  lines: (answer) => [restoredText(answer)],
  answers: ({ grid, planes }) => ({
    tensors: [{ name: 'restored.0', shape: [3, ...grid], values: Float32Array.from(planes) }],
  }),
  formats: restoredFormats,
};
