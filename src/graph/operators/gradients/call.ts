import { at } from '../../../domain/lists';
import type { Node, ValueInfo } from '../../graph';
import type { Writer } from '../../writer';
import { Call, type ConstantOf } from '../call';

/** A derivative cannot be written: names the operator and says why. */
export class GradientError extends Error {
  override readonly name = 'GradientError';
}

/** One node on the way back: its inputs and outputs, and the gradients of what it made. */
export class GradientCall extends Call {
  /** What the node makes in the forward pass. */
  readonly made: readonly ValueInfo[];
  private readonly gradients: readonly (ValueInfo | undefined)[];
  private readonly isWanted: readonly boolean[];

  constructor(
    node: Node,
    inputs: readonly (ValueInfo | undefined)[],
    constantOf: ConstantOf,
    readonly b: Writer,
    given: {
      readonly made: readonly ValueInfo[];
      /** Gradient of each output; undefined where nothing reads it on the way to the result. */
      readonly gradients: readonly (ValueInfo | undefined)[];
      /** Whether the gradient of each input is asked for. */
      readonly isWanted: readonly boolean[];
    },
  ) {
    super(node, inputs, constantOf);
    this.made = given.made;
    this.gradients = given.gradients;
    this.isWanted = given.isWanted;
  }

  /** Throws `GradientError`, which names the operator. */
  override fail(detail: string): never {
    const { domain, op, name } = this.node;
    throw new GradientError(`${name} (${domain ? `${domain}.${op}` : op}): ${detail}`);
  }

  /** y, the first output. */
  get y(): ValueInfo {
    return at(this.made, 0);
  }

  /** Gradient of the first output, of its shape. */
  get g(): ValueInfo {
    return this.gradient(0) ?? this.fail('nothing is asked of its first output');
  }

  /** Gradient of an output; undefined where it leads nowhere. */
  gradient(index: number): ValueInfo | undefined {
    return this.gradients[index];
  }

  /** Whether the gradient of an input is asked for. */
  wants(index: number): boolean {
    return this.isWanted[index] ?? false;
  }

  /** Fails if the gradient of any input but these is asked for. */
  only(...allowed: readonly number[]): void {
    const other = this.isWanted.findIndex((wanted, index) => wanted && !allowed.includes(index));
    if (other >= 0) this.fail(`no derivative is known for input ${other}`);
  }

  /** One gradient per input, made where it is asked for. */
  each(make: (index: number) => ValueInfo): readonly (ValueInfo | undefined)[] {
    return this.inputs.map((input, index) => (input && this.wants(index) ? make(index) : undefined));
  }
}

/**
 * Writes the gradients of a node's inputs, each of its input's shape, out of those of its outputs
 * (reverse mode; Griewank & Walther 2008, §3.2). Undefined where none is asked for, and where the
 * node's output does not change with the input.
 */
export type GradientRule = (call: GradientCall) => readonly (ValueInfo | undefined)[];

/** Of functions that are constant in pieces: comparisons, rounding, places. */
export const noGradient: GradientRule = () => [];
