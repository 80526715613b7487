import type { Depth } from '../answer';
import { spreadOf } from '../outputs/reading';
import { depthOf, depthWithoutBorder } from '../post/depth';
import { depthFormats } from './export';
import { cannotRun, imageProgram, outputOf, requireOutput, type Task } from '../task';

/** Four digits that count, as people read a distance. */
const digits = (value: number): string => String(Number(value.toPrecision(4)));

/** `0.31 … 8.2 m`, or plain numbers if they have no unit. */
export function rangeText({ spread, unit }: Pick<Depth, 'spread' | 'unit'>): string {
  const range = `${digits(spread.low)} … ${digits(spread.high)}`;
  return unit === 'metres' ? `${range} m` : `${range}, relative: without a unit`;
}

/** Tells for every pixel of an image how far away it is. */
export const depth: Task<Depth> = {
  answerName: 'depth',
  serves(model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    const finds = model.parts.some(({ graph }) => outputOf(graph().outputs, 'depth'));
    return finds ? undefined : 'it estimates no depth';
  },
  program: (model, size) =>
    imageProgram(model, size, (outputs) => outputs.filter(({ means }) => means === 'depth')),
  read(outputs, seen, { reading }) {
    const raw = requireOutput(outputs, 'depth');
    const [width, height] = seen.size;
    const grid = [height, width] as const;
    const { unit = 'relative', bordered = false } = reading?.task === 'depth' ? reading : {};
    const { values } = bordered
      ? depthWithoutBorder(raw, grid, { padded: seen.region.x < 0 || seen.region.y < 0 })
      : depthOf(raw, grid);
    return { kind: 'depth', grid, values, unit, spread: spreadOf(values) };
  },
  json: ({ unit, spread, grid }) => ({ unit, spread, size: grid }),
  lines: (answer) => [`depth ${rangeText(answer)}, mean ${digits(answer.spread.mean)}`],
  answers: ({ grid, values }) => ({ tensors: [{ name: 'depth.0', shape: grid, values }] }),
  formats: depthFormats,
};
