import { EventEmitter, type Disposable } from 'vscode';

/**
 * Modules that views ask the inspector for, by the file that it shows. What was asked stays until
 * the page takes it: a page that is hidden or not yet there hears no event.
 */
export class Reveals implements Disposable {
  private readonly asked = new Map<string, string>();
  private readonly emitter = new EventEmitter<string>();
  /** Somebody asked for a module of this file. */
  readonly onDidAsk = this.emitter.event;

  ask(file: string, module: string): void {
    this.asked.set(file, module);
    this.emitter.fire(file);
  }

  /** What was asked for last; null if nothing was, or if it was taken. */
  take(file: string): string | null {
    const module = this.asked.get(file) ?? null;
    this.asked.delete(file);
    return module;
  }

  dispose(): void {
    this.emitter.dispose();
  }
}
