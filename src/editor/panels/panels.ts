import { window, type Disposable, type Uri, type ViewColumn, type Webview, type WebviewPanel } from 'vscode';
import type { SavedState } from '../../protocol/page';
import { Disposables } from '../disposables';
import type { Log } from '../log';
import { showIcon, showPage } from '../pages/page';
import type { PageName } from '../pages/pageHtml';

/**
 * What a panel is about, as plain text: its page keeps it, so that a reload of the window finds it
 * again.
 */
export type Subject = Readonly<Record<string, string>>;

/** What panels of every kind need of the extension. */
export interface PanelServices {
  readonly extensionUri: Uri;
  readonly log: Log;
}

/** One kind of panels, and what fills one that is new or restored. */
export interface PanelKind<S extends Subject, View> {
  readonly viewType: string;
  readonly page: PageName;
  /**
   * Keys of the subject. VS Code restores an editor of files by itself, with the file's own icon:
   * it has none.
   */
  readonly restoredBy: readonly (keyof S & string)[];
  readonly fill: (panel: Panel<S>) => View;
}

/** A panel with its page: one subject at a time, and what ends with it. */
export class Panel<S extends Subject> {
  private readonly owned = new Disposables();
  private page = new Disposables();

  constructor(
    private readonly panel: WebviewPanel,
    private current: S,
    private readonly name: PageName,
    private readonly extensionUri: Uri,
  ) {
    panel.onDidDispose(() => {
      this.page.dispose();
      this.owned.dispose();
    });
  }

  get subject(): S {
    return this.current;
  }

  get webview(): Webview {
    return this.panel.webview;
  }

  /** The user works in it. */
  get isActive(): boolean {
    return this.panel.active;
  }

  get isClosed(): boolean {
    return this.owned.isDisposed;
  }

  /** Ends with the panel, whatever its page shows. */
  own<T extends Disposable>(item: T): T {
    return this.owned.add(item);
  }

  /**
   * Loads the page from the beginning, as its state is about one subject. What the page before
   * owned ends; what is added to the answer ends with this one. Without a title the tab keeps its
   * own.
   */
  load(subject: S, title = this.panel.title): Disposables {
    this.current = subject;
    this.page.dispose();
    this.page = new Disposables();
    if (this.panel.title !== title) this.panel.title = title;
    showPage(this.webview, this.extensionUri, this.name, title, subject);
    return this.page;
  }

  /** Looks like the extension, where an editor looks like its file. */
  showIcon(): void {
    showIcon(this.panel, this.extensionUri);
  }

  reveal(): void {
    this.panel.reveal(undefined, false);
  }

  close(): void {
    this.panel.dispose();
  }
}

/**
 * The open panels of one kind, one per subject; a reload of the window restores them, so that the
 * end of the extension host must not close them.
 */
export class Panels<S extends Subject, View = void> implements Disposable {
  private readonly owned = new Disposables();
  private readonly open = new Map<Panel<S>, View>();

  constructor(
    private readonly kind: PanelKind<S, View>,
    private readonly services: PanelServices,
    private readonly column: () => ViewColumn,
  ) {
    const { restoredBy, viewType } = kind;
    if (restoredBy.length > 0)
      this.owned.add(
        window.registerWebviewPanelSerializer(viewType, {
          deserializeWebviewPanel: async (panel, state: Partial<SavedState> | undefined) => {
            const { subject } = state ?? {};
            // A subject of another version closes the panel: an empty one would only be in the way.
            if (hasText<S>(subject, restoredBy)) this.adopt(panel, subject);
            else panel.dispose();
          },
        }),
      );
  }

  get size(): number {
    return this.open.size;
  }

  get views(): readonly View[] {
    return [...this.open.values()];
  }

  /** What fills the panel that the user works in. */
  get active(): View | undefined {
    return [...this.open].find(([panel]) => panel.isActive)?.[1];
  }

  /** Brings the panel of a subject to the front, or opens one. */
  show(subject: S): View {
    const open = [...this.open].find(([panel]) => isAbout(panel, subject));
    if (!open) return this.create(subject);
    const [panel, view] = open;
    panel.reveal();
    return view;
  }

  /** Opens a panel, filled in the usual way or by `fill`. */
  create(subject: S, fill: (panel: Panel<S>) => View = this.kind.fill): View {
    const { viewType } = this.kind;
    return this.adopt(window.createWebviewPanel(viewType, '', this.column()), subject, fill);
  }

  /** Fills a panel that VS Code made: an editor, or one of before a reload. */
  adopt(webviewPanel: WebviewPanel, subject: S, fill: (panel: Panel<S>) => View = this.kind.fill): View {
    const { page, restoredBy } = this.kind;
    const panel = new Panel(webviewPanel, subject, page, this.services.extensionUri);
    if (restoredBy.length > 0) panel.showIcon();
    const view = fill(panel);
    // One that cannot be filled closes at once.
    if (panel.isClosed) return view;
    this.open.set(panel, view);
    panel.own({ dispose: () => this.open.delete(panel) });
    return view;
  }

  dispose(): void {
    this.owned.dispose();
  }
}

const isAbout = <S extends Subject>(panel: Panel<S>, subject: S): boolean =>
  Object.keys(subject).every((key) => panel.subject[key] === subject[key]);

function hasText<S extends Subject>(subject: unknown, keys: readonly (keyof S & string)[]): subject is S {
  const found = (subject ?? {}) as Readonly<Record<string, unknown>>;
  return keys.every((key) => typeof found[key] === 'string');
}
