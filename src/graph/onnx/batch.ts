import { largest, product } from '../../domain/lists';
import type { Node, ValueInfo } from '../graph';
import { operatorOf } from '../operators';
import { ImportError } from './lowering';

/** Kinds of operators that leave the rows of an axis in their order. */
const rowwise: ReadonlySet<string> = new Set(['product', 'normalisation', 'activation', 'elementwise']);
const keepsRows = (node: Node): boolean =>
  node.op === 'Transpose' || (rowwise.has(operatorOf(node)?.kind ?? '') && !operatorOf(node)?.pools);

/**
 * Rewrites a graph that was exported for a fixed number of images to another one. Where images lie
 * in a value shows in its two shapes, that of the file and the new one: they differ in one axis. A
 * shape that the exporter wrote down follows from there. What does not follow is an `ImportError`.
 */
export class Rebatch {
  /** Elements of the images' own axis that lie outside of them, by value; 1 for all others. */
  private readonly outer = new Map<string, number>();

  constructor(
    /** Values of the graph as the file has it. */
    private readonly original: ReadonlyMap<string, ValueInfo>,
    readonly from: number,
    readonly to: number,
  ) {}

  /** Axis that holds the images; undefined if none does, or if the file has no such value. */
  axis({ name, shape }: ValueInfo): number | undefined {
    const own = this.original.get(name)?.shape;
    if (!own || own.join() === shape.join()) return undefined;
    const differing = own.flatMap((size, axis) => (size === shape[axis] ? [] : [axis]));
    const [axis = 0] = differing;
    const follows = (own[axis] ?? 0) * this.to === (shape[axis] ?? 0) * this.from;
    if (own.length !== shape.length || differing.length !== 1 || !follows)
      throw new ImportError(`${name}: [${own.join(', ')}] of ${this.from} images is [${shape.join(', ')}]`);
    return axis;
  }

  /** The shape that an operator is told, for the new number of images; undefined if it stays. */
  told(node: Node, input: ValueInfo, wanted: readonly number[]): readonly number[] | undefined {
    const axis = this.axis(input);
    switch (node.op) {
      case 'Reshape':
        return axis === undefined ? undefined : this.reshaped(node, input, axis);
      case 'Expand':
      case 'Tile': {
        // Rows that are repeated for each image are alike: fewer of them are the same ones.
        const place = axis === undefined ? 0 : axis + wanted.length - input.shape.length;
        const repeats =
          axis === undefined
            ? (input.shape.length < wanted.length ? 1 : input.shape[0]) === 1
            : node.op === 'Expand';
        return repeats && wanted[place] === this.from ? this.replaced(wanted, place, this.to) : undefined;
      }
      case 'Resize':
        return axis !== undefined && wanted[axis] === this.from
          ? this.replaced(wanted, axis, this.to)
          : undefined;
      default:
        return undefined;
    }
  }

  /**
   * As many elements lie before the images in the result as before: they are outermost in an axis,
   * or inside of one that was put together: `[tokens, images, width]` as `[tokens · images,
   * width]`.
   */
  private reshaped(node: Node, input: ValueInfo, axis: number): readonly number[] {
    const name = node.outputs[0] ?? '';
    const shape = this.original.get(name)?.shape ?? [];
    const before = product(input.shape.slice(0, axis)) * this.outerOf(input.name);
    const outer = (at: number): number => before / product(shape.slice(0, at));
    const place = shape.findIndex(
      (size, at) => Number.isInteger(outer(at)) && size % (outer(at) * this.from) === 0,
    );
    if (place < 0) throw new ImportError(`${node.name}: the images have no axis in [${shape.join(', ')}]`);
    this.outer.set(name, outer(place));
    return this.replaced(shape, place, ((shape[place] ?? 0) / this.from) * this.to);
  }

  private outerOf(name: string): number {
    return this.outer.get(name) ?? 1;
  }

  private replaced(shape: readonly number[], axis: number, size: number): readonly number[] {
    return shape.map((own, at) => (at === axis ? size : own));
  }

  /** Whether a stored value holds a row for each image that another operand has. */
  isPerImage(stored: ValueInfo, others: readonly (ValueInfo | undefined)[]): boolean {
    return (
      stored.shape[0] === this.from &&
      others.some(
        (other) =>
          other &&
          other.shape.length === stored.shape.length &&
          this.axis(other) === 0 &&
          this.outerOf(other.name) === 1,
      )
    );
  }

  /** Throws if what an operator makes of images has none, or holds them otherwise. */
  require(node: Node, inputs: readonly (ValueInfo | undefined)[], outputs: readonly ValueInfo[]): void {
    const read = inputs.some((input) => input && this.axis(input) !== undefined);
    const made = outputs.map((output) => this.axis(output));
    if (read && made.every((axis) => axis === undefined))
      throw new ImportError(`${node.name} (${node.op}): it looks at all ${this.from} images at once`);
    if (node.op === 'Reshape') return;
    const outer = largest([1, ...inputs.map((input) => this.outerOf(input?.name ?? ''))]);
    if (outer === 1) return;
    if (!keepsRows(node))
      throw new ImportError(`${node.name} (${node.op}): the images lie inside of an axis`);
    for (const { name } of outputs) this.outer.set(name, outer);
  }
}
