import type { Translated } from '../dialect';

/** Canonical parameters that note which names were asked for in vain. */
export class Asked extends Map<string, Translated> {
  private readonly known = new Set<string>();

  constructor(parameters: ReadonlyMap<string, Translated>) {
    super();
    for (const [name, parameter] of parameters) this.set(name, parameter);
  }

  /** In the order in which they were asked for. */
  get missed(): ReadonlySet<string> {
    return this.known;
  }

  override get(name: string): Translated | undefined {
    this.note(name);
    return super.get(name);
  }

  override has(name: string): boolean {
    this.note(name);
    return super.has(name);
  }

  private note(name: string): void {
    if (!super.has(name)) this.known.add(name);
  }
}
