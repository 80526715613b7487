import type { Disposable } from 'vscode';
import { CheckpointDocument, opening } from './checkpointDocument';
import type { Log } from '../log';
import type { WorkspaceMemory } from './memory';
import type { Opener, TryFirst } from './openRemembered';

/** A document in use; disposing the last reference closes it. */
export interface DocumentReference extends Disposable {
  readonly document: CheckpointDocument;
}

interface Shared {
  readonly document: CheckpointDocument;
  users: number;
}

/** The open checkpoints, one document per path. */
export class Documents implements Disposable {
  private readonly open = new Map<string, Shared>();
  private opener: Promise<Opener> | undefined;

  constructor(
    private readonly memory: WorkspaceMemory,
    private readonly log: Log,
    /** Tries a file in a process of its own first; without it files are opened at once. */
    private readonly tryFirst?: TryFirst,
  ) {}

  /** Loads readers and families, for a checkpoint that is about to be named. */
  static warmUp(): void {
    void opening();
  }

  /** Number of documents that are in use. */
  get size(): number {
    return this.open.size;
  }

  acquire(path: string): DocumentReference {
    const shared = this.open.get(path) ?? this.create(path);
    shared.users++;
    let released = false;
    return {
      document: shared.document,
      dispose: () => {
        if (released) return;
        released = true;
        shared.users--;
        if (shared.users === 0) this.close(path, shared);
      },
    };
  }

  private create(path: string): Shared {
    const opener = (): Promise<Opener> => this.opening();
    const shared = { document: new CheckpointDocument(path, this.memory, this.log, opener), users: 0 };
    this.open.set(path, shared);
    return shared;
  }

  private opening(): Promise<Opener> {
    return (this.opener ??= opening().then(({ Opener }) => new Opener(this.tryFirst)));
  }

  private close(path: string, shared: Shared): void {
    this.open.delete(path);
    shared.document.dispose();
  }

  dispose(): void {
    for (const { document } of this.open.values()) document.dispose();
    this.open.clear();
  }
}
