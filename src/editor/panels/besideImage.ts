import { Disposables } from '../disposables';
import { isOwn, type Beside } from '../../domain/explanation';
import type { CheckpointDocument } from '../documents/checkpointDocument';
import type { Documents } from '../documents/documents';
import { watchFiles } from '../documents/fileWatcher';

/** Files that are looked at beside those of a panel, held while they are. */
export class BesideImage {
  private held:
    { readonly key: string; readonly owned: Disposables; document?: CheckpointDocument } | undefined;

  constructor(
    private readonly documents: Pick<Documents, 'acquire'>,
    /** One of the files changed on disk. */
    private readonly changed: () => void,
  ) {}

  /**
   * The other checkpoint's document, if there is another one. Other files than before are held in
   * their place; the panel's own are none of them.
   */
  documentOf(about: Beside): CheckpointDocument | undefined {
    if (isOwn(about)) return undefined;
    const key = JSON.stringify([about.image, about.checkpoint]);
    if (this.held?.key !== key) {
      this.dispose();
      this.held = this.hold(key, about);
    }
    return this.held?.document;
  }

  private hold(key: string, { image, checkpoint }: Beside): NonNullable<BesideImage['held']> {
    const owned = new Disposables();
    if (image !== undefined) owned.add(watchFiles([image], this.changed));
    if (checkpoint === undefined) return { key, owned };
    const { document } = owned.add(this.documents.acquire(checkpoint));
    owned.add(document.onDidChange(this.changed));
    owned.add(document.onDidGoStale(() => void document.reload().catch(this.changed)));
    return { key, owned, document };
  }

  dispose(): void {
    this.held?.owned.dispose();
    this.held = undefined;
  }
}
