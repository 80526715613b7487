/** How much of a model runs, if it is more than the network that is known. */
export interface Share {
  /** Elements of the parameters that the graph reads, and of all. */
  readonly run: number;
  readonly total: number;
  /** Modules that are counted and not run. */
  readonly notRun: readonly string[];
  /** How many of their modules attend from something else to the image. */
  readonly crossAttention: number;
}

/** `64.0 %`; never 100.0 % of less than all. */
export function percentOf({ run, total }: Pick<Share, 'run' | 'total'>): string {
  const rounded = Math.round((1000 * run) / total) / 10;
  return `${(run < total ? Math.min(rounded, 99.9) : rounded).toFixed(1)} %`;
}
