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
