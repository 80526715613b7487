import { createHash } from 'node:crypto';
import type { Memento } from 'vscode';
import type { Tensor } from '../checkpoint/tensors';

/** Assumed figures by key, as the user typed them: `heads` `6`. */
export type Assumptions = Readonly<Record<string, string>>;

/** Identifies a header: SHA-256 over the names and shapes of its tensors, whatever their order, place and values. */
export function headerKey(tensors: readonly Pick<Tensor, 'name' | 'shape'>[]): string {
  const lines = tensors.map(({ name, shape }) => `${name} ${shape.join(',')}`).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/** What is remembered for this workspace. */
export class WorkspaceMemory {
  constructor(private readonly state: Memento) {}

  /** What the user set for files with this header; retrained weights of the same model share it. */
  assumptions(header: string): Assumptions {
    return this.state.get<Assumptions>(`assumptions.${header}`, {});
  }

  async assume(header: string, key: string, value: string | null): Promise<void> {
    const { [key]: _, ...others } = this.assumptions(header);
    const next = value === null ? others : { ...others, [key]: value };
    const empty = Object.keys(next).length === 0;
    await this.state.update(`assumptions.${header}`, empty ? undefined : next);
  }

  /** The state dict the user chose in a file that holds several. */
  stateDict(path: string): string | undefined {
    return this.state.get<string>(`stateDict.${path}`);
  }

  async chooseStateDict(path: string, name: string | undefined): Promise<void> {
    await this.state.update(`stateDict.${path}`, name);
  }

  /** The checkpoint that pictures are classified with. */
  get checkpoint(): string | undefined {
    return this.state.get<string>('checkpoint');
  }

  async chooseCheckpoint(path: string | undefined): Promise<void> {
    await this.state.update('checkpoint', path);
  }
}
