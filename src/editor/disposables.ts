import type { Disposable } from 'vscode';

/**
 * Collects what an object owns, on the line where it is created; what is added after the end is
 * disposed at once.
 */
export class Disposables implements Disposable {
  private readonly owned: Disposable[] = [];
  private ended = false;

  add<T extends Disposable>(item: T): T {
    if (this.ended) item.dispose();
    else this.owned.push(item);
    return item;
  }

  get isDisposed(): boolean {
    return this.ended;
  }

  dispose(): void {
    this.ended = true;
    for (const item of this.owned.splice(0).reverse()) item.dispose();
  }
}
