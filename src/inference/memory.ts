import { totalmem } from 'node:os';
import { elementCount } from '../checkpoint/tensors';
import type { Graph } from '../graph/graph';

/** What the inference process may use; the editor's settings and the command line's defaults. */
export interface Limits {
  /** Bytes that one model may need. */
  readonly memoryBytes: number;
  /** Models that stay loaded. */
  readonly models: number;
  /** Milliseconds without a request after which the inference process is let go. */
  readonly idleMilliseconds: number;
  /** Threads inside an operator; 0 leaves it to the runtime. */
  readonly threads: number;
}

/**
 * Defaults: three quarters of what this process may use (a container's limit counts), two models,
 * five minutes.
 */
export function defaultLimits(): Limits {
  const constrained = process.constrainedMemory();
  // 0 or a number beyond any machine means that nothing constrains it.
  const memory = constrained > 0 && constrained < totalmem() ? constrained : totalmem();
  return { memoryBytes: Math.floor(memory * 0.75), models: 2, idleMilliseconds: 300_000, threads: 0 };
}

/**
 * Bytes that running a graph needs: its parameters as float32 (other types are widened when the
 * graph is loaded) and, as a bound for values that live at the same time, twice its largest
 * operator with inputs and outputs.
 */
export function neededBytes(graph: Graph): number {
  const bytes = (name: string): number => 4 * elementCount(graph.values.get(name)?.shape ?? [0]);
  const parameters = [...graph.initializers.keys()].reduce((sum, name) => sum + bytes(name), 0);
  const values = (names: readonly string[]): number =>
    names
      .filter((name) => name !== '' && !graph.initializers.has(name))
      .reduce((sum, name) => sum + bytes(name), 0);
  const largest = graph.nodes.reduce(
    (most, { inputs, outputs }) => Math.max(most, values(inputs) + values(outputs)),
    0,
  );
  return parameters + 2 * largest;
}

/** Throws if a graph needs more than the limit, before anything is loaded. */
export function requireMemory(graph: Graph, limit: number): void {
  const needed = neededBytes(graph);
  if (needed <= limit) return;
  const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`;
  throw new Error(
    `running this model needs about ${megabytes(needed)} of memory, and ${megabytes(limit)} are allowed; choose a smaller image size or model, or raise the memory limit`,
  );
}
