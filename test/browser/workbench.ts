// A real VS Code workbench in a real browser, driven as a person would: images are right-clicked,
// commands are typed.
import { rmSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { chromium, type Browser, type Frame, type Locator, type Page } from 'playwright-core';
import { chromiumArguments, provideChromium } from '../run/chromium.mjs';
import { endOnSignals } from '../run/processes.mjs';
import { installExtension, linkExtension, startServer } from '../run/vscodeServer.mjs';

/** Themes by the names that `workbench.colorTheme` takes. */
export const themes = {
  light: 'Light Modern',
  dark: 'Dark Modern',
  contrast: 'Default High Contrast',
  contrastLight: 'Default High Contrast Light',
} as const;
export type Theme = keyof typeof themes;

export interface WorkbenchOptions {
  /**
   * Folder to open; the workbench gets a copy that a test may write into. The bundled sample where
   * it is not given.
   */
  readonly workspace?: string;
  /** A packaged extension to install; without it the built repository is taken as it is. */
  readonly vsix?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly theme?: Theme;
  /** In CSS pixels. */
  readonly size?: { readonly width: number; readonly height: number };
  /** False: the workspace opens restricted, as an unknown one does on a person's machine. */
  readonly trusted?: boolean;
  /** Built test suite to run inside the extension host, with the lines it prints. */
  readonly suite?: { readonly path: string; readonly onLine: (line: string) => void };
  /** Seen by the server, its extension host and the extension's own processes. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A machine that runs other things besides takes ten times as long as a quiet one. */
const patience = 60_000;
/** What is tried again is not waited for so long. */
const glance = 3_000;
/** Within it the file that a click opens is revealed in the explorer. */
const revealMilliseconds = 500;
/** Pixels that the explorer is scrolled at once. */
const scrollStep = 200;
/** Times that files are selected. */
const attempts = 4;
const defaultSize = { width: 1280, height: 800 };
const control = process.platform === 'darwin' ? 'Meta' : 'Control';

/** Everything that would start on its own, open a dialog or move while a picture is taken. */
const quiet = {
  'chat.disableAIFeatures': true,
  'explorer.compactFolders': false,
  'extensions.ignoreRecommendations': true,
  'git.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'workbench.enableExperiments': false,
  'workbench.reduceMotion': 'on',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
};

/**
 * Starts a server with data of its own, opens a copy of the workspace in a headless browser and
 * waits for the explorer. `close` ends the browser and the server and removes what they wrote.
 */
export async function openWorkbench(options: WorkbenchOptions = {}): Promise<Workbench> {
  endOnSignals();
  const root = await mkdtemp(join(tmpdir(), 'vitrine-workbench-'));
  process.once('exit', () => rmSync(root, { recursive: true, force: true })); // also where the run is interrupted
  const source = resolve(options.workspace ?? 'media/sample');
  const folder = join(root, basename(source));
  await cp(source, folder, { recursive: true });
  const dataFolder = join(root, 'server');
  const closing: (() => Promise<unknown>)[] = [
    () => rm(root, { recursive: true, force: true, maxRetries: 5 }),
  ];
  const close = async () => {
    for (const step of closing.reverse()) await step();
  };
  try {
    const settings = new Settings(join(dataFolder, 'data', 'Machine'));
    await settings.write({
      ...quiet,
      'workbench.colorTheme': themes[options.theme ?? 'dark'],
      ...options.settings,
    });
    const server = {
      dataFolder,
      driven: options.suite !== undefined,
      trusted: options.trusted ?? true,
      environment: options.environment,
    };
    if (options.vsix) await installExtension(resolve(options.vsix), server);
    else if (!options.suite) await linkExtension(resolve('.'), server);
    const { address, stop } = await startServer(server);
    closing.push(stop);
    const browser = await launchBrowser();
    closing.push(() => browser.close());
    const page = await browser.newPage({ viewport: options.size ?? defaultSize });
    const { onLine } = options.suite ?? {};
    if (onLine) page.on('console', (message) => message.text().split('\n').forEach(onLine));
    await page.goto(address(folder, payloadOf(options)));
    const workbench = new Workbench(page, folder, settings, close);
    if (!options.suite) await workbench.ready();
    return workbench;
  } catch (error) {
    await close();
    throw error;
  }
}

async function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: await provideChromium(), args: [...chromiumArguments] });
}

/** A suite needs the extension under development; a person's workbench has it installed. */
function payloadOf({ suite }: WorkbenchOptions): [string, string][] {
  if (!suite) return [];
  return [
    ['extensionDevelopmentPath', resolve('.')],
    ['extensionTestsPath', resolve(suite.path)],
  ];
}

/** The settings file that the workbench watches. */
class Settings {
  private values: Readonly<Record<string, unknown>> = {};

  constructor(private readonly folder: string) {}

  async write(changes: Readonly<Record<string, unknown>>): Promise<void> {
    this.values = { ...this.values, ...changes };
    await mkdir(this.folder, { recursive: true });
    await writeFile(join(this.folder, 'settings.json'), JSON.stringify(this.values, undefined, 2));
  }
}

export class Workbench {
  constructor(
    readonly page: Page,
    /** The copy of the workspace, on disk. */
    readonly folder: string,
    private readonly settings: Settings,
    readonly close: () => Promise<void>,
  ) {}

  /**
   * Waits until the explorer lists the workspace and the extension's contributions are known: a
   * file that is opened before goes to the text editor, and stays there.
   */
  async ready(): Promise<void> {
    await this.listed();
    const title = 'Vitrine: Get Started';
    await this.untilListed(() => this.listCommands(title), title, 'the command palette');
    await this.page.keyboard.press('Escape');
    await this.page.locator('.quick-input-widget').waitFor({ state: 'hidden', timeout: patience });
  }

  private async listed(): Promise<void> {
    await this.page.locator('.explorer-folders-view .monaco-list-row').first().waitFor({ timeout: patience });
  }

  /** Expands the folders above a file and gives its row in the explorer. */
  async explorerRow(path: string): Promise<Locator> {
    const names = path.split('/');
    for (const [depth, name] of names.slice(0, -1).entries()) {
      const folder = await this.rowAt(depth + 1, name);
      if ((await folder.getAttribute('aria-expanded')) !== 'true') await folder.click();
    }
    return this.rowAt(names.length, names.at(-1) ?? path);
  }

  /**
   * Names repeat at other depths (config.json), so the level belongs to the question. Rows that are
   * scrolled out of the explorer are not in the document: the list is gone through for them.
   */
  private async rowAt(level: number, name: string): Promise<Locator> {
    const label = this.page.locator('.monaco-icon-label', {
      has: this.page.getByText(name, { exact: true }),
    });
    const list = this.page.locator('.explorer-folders-view');
    const row = list.locator(`.monaco-list-row[aria-level="${level}"]`, { has: label });
    const isThere = (timeout: number): Promise<boolean> =>
      row.waitFor({ timeout }).then(
        () => true,
        () => false,
      );
    const deadline = Date.now() + patience;
    for (let steps = 0; !(await isThere(glance)) && Date.now() < deadline; steps++) {
      await list.hover();
      // Up to the top first, then down by less than the list is high.
      await this.page.mouse.wheel(0, steps === 0 ? -1e5 : scrollStep);
    }
    await row.waitFor({ timeout: glance });
    return row;
  }

  /**
   * Opens a file by a double click in the explorer; again, where the tree moved under the pointer.
   */
  async openFile(path: string): Promise<void> {
    // Its label names the folder as well, if the file has a name that many have.
    const tab = this.page.locator(`.tabs-container .tab[data-resource-name="${basename(path)}"]`);
    for (let left = 3; left > 0; left--) {
      await (await this.explorerRow(path)).dblclick();
      const opened = await tab
        .first()
        .waitFor({ timeout: patience / 3 })
        .then(
          () => true,
          () => false,
        );
      if (opened) return;
    }
    throw new Error(`${path} does not open; ${await this.describe()}`);
  }

  /**
   * Selects several files in the explorer, as with Ctrl and clicks; again, where the first one,
   * which opens with its click, is revealed and takes the selection from those that came after it.
   */
  async selectFiles(paths: readonly string[]): Promise<void> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      for (const [index, path] of paths.entries())
        await (await this.explorerRow(path)).click(index === 0 ? {} : { modifiers: [control] });
      await this.page.waitForTimeout(revealMilliseconds);
      const rows = await Promise.all(paths.map((path) => this.explorerRow(path)));
      const selected = await Promise.all(rows.map((row) => row.getAttribute('aria-selected')));
      if (selected.every((state) => state === 'true')) return;
    }
    throw new Error(`${paths.join(', ')} do not stay selected; ${await this.describe()}`);
  }

  /** Right-clicks a file in the explorer and gives the titles of its menu. */
  async openContextMenu(path: string): Promise<string[]> {
    await (await this.explorerRow(path)).click({ button: 'right' });
    const items = this.page.locator('.monaco-menu .action-item:not(.disabled) .action-label:not(.separator)');
    await items.first().waitFor({ timeout: patience });
    return (await items.allInnerTexts()).map((text) => text.trim());
  }

  /**
   * Right-clicks a file in the explorer and picks an item of its menu. A menu does not change while
   * it is open, so one that was opened before the extension's items were known is opened again.
   */
  async pickFromContextMenu(path: string, title: string): Promise<void> {
    await this.untilListed(() => this.openContextMenu(path), title, `the menu of ${path}`);
    const item = this.page.locator('.monaco-menu .action-item').filter({ hasText: title }).first();
    await item.hover(); // an item acts on the button's release only after the pointer has moved over it
    await item.click();
  }

  /**
   * Types a command's title into the command palette and runs it; the palette is reopened like the
   * menu above.
   */
  async runCommand(title: string): Promise<void> {
    await this.untilListed(() => this.listCommands(title), title, 'the command palette');
    await this.quickPickRow(title).click();
  }

  private async untilListed(list: () => Promise<string[]>, title: string, where: string): Promise<void> {
    const deadline = Date.now() + patience;
    for (;;) {
      const titles = await list().catch(() => []); // a panel that is being restored takes the focus, which closes a palette
      if (titles.some((text) => text.includes(title))) return;
      await this.page.keyboard.press('Escape');
      if (Date.now() > deadline) throw new Error(`${where} has no "${title}"; it has ${titles.join(', ')}`);
      await this.page.waitForTimeout(300);
    }
  }

  /** The titles that the command palette offers for a text. */
  async listCommands(text: string): Promise<string[]> {
    await this.page.keyboard.press('F1');
    const input = this.page.locator('.quick-input-widget input');
    await input.waitFor({ timeout: glance });
    await input.fill(`>${text}`, { timeout: glance });
    const first = this.page.locator('.quick-input-list .monaco-list-row').first();
    await first.waitFor({ timeout: glance });
    return this.quickPickTitles();
  }

  /** The rows of the quick pick that is open. */
  async quickPickTitles(): Promise<string[]> {
    const rows = this.page.locator('.quick-input-list .monaco-list-row .quick-input-list-label');
    await rows.first().waitFor({ timeout: patience });
    return (await rows.allInnerTexts()).map((text) => text.trim());
  }

  /** Picks a row of the quick pick that is open. */
  async pick(label: string): Promise<void> {
    const row = this.quickPickRow(label);
    await row.waitFor({ timeout: patience });
    await row.click();
  }

  /** A row by its whole label: names begin alike (vitrine-sample, vitrine-sample-64). */
  private quickPickRow(label: string): Locator {
    const exact = new RegExp(`^\\s*${escapePattern(label)}\\s*$`);
    const name = this.page.locator('.label-name').filter({ hasText: exact });
    return this.page.locator('.quick-input-list .monaco-list-row').filter({ has: name }).first();
  }

  /** Types a line into the input box that is open. */
  async typeLine(text: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget input');
    await input.waitFor({ timeout: patience });
    await input.fill(text);
    await input.press('Enter');
  }

  /**
   * The inner frame of the visible webview that shows what a selector names. Webviews are frames in
   * frames (`fake.html` holds the extension's own page), and hidden ones stay in the page.
   */
  async webview(selector: string, timeout = patience): Promise<Frame> {
    const deadline = Date.now() + timeout;
    while (Date.now() < deadline) {
      for (const frame of this.page.frames()) {
        if (frame.url().includes('fake.html') && (await isShown(frame, selector))) return frame;
      }
      await this.page.waitForTimeout(100);
    }
    throw new Error(`no webview shows ${selector} after ${timeout} ms; ${await this.describe()}`);
  }

  /** What is on the screen, for the message of a failed wait. */
  private async describe(): Promise<string> {
    const tabs = await this.page.locator('.tabs-container .tab').allInnerTexts();
    const frames = this.page.frames().filter((frame) => frame.url().includes('fake.html'));
    const texts = await Promise.all(frames.map((frame) => textOf(frame)));
    const notes = await this.notifications();
    return `tabs: ${tabs.join(', ') || 'none'}; webviews: ${texts.join(' | ') || 'none'}; notifications: ${notes.join(' | ') || 'none'}`;
  }

  /**
   * The messages of all notifications. The pop-ups go after some seconds; then they are read in the
   * notification centre.
   */
  async notifications(): Promise<string[]> {
    const messages = this.page.locator('.notification-list-item-message');
    if ((await messages.count()) === 0 && (await this.page.locator('.codicon-bell-dot').count()) > 0) {
      await this.page.locator('.statusbar-item', { has: this.page.locator('.codicon-bell-dot') }).click();
    }
    return messages.allInnerTexts();
  }

  /** Waits for a notification and gives its whole message. */
  async notification(text: string | RegExp, timeout = patience): Promise<string> {
    const deadline = Date.now() + timeout;
    while (Date.now() < deadline) {
      const found = (await this.notifications()).find((message) => message.match(text));
      if (found) return found;
      await this.page.waitForTimeout(100);
    }
    throw new Error(`no notification says ${text} after ${timeout} ms; ${await this.describe()}`);
  }

  /** Presses a button of the notification that says a text. */
  async answerNotification(text: string | RegExp, button: string): Promise<void> {
    await this.notification(text);
    const item = this.page.locator('.notification-list-item').filter({ hasText: text }).first();
    await item.hover();
    await item.getByRole('button', { name: button }).click();
  }

  async clearNotifications(): Promise<void> {
    await this.runCommand('Notifications: Clear All Notifications');
  }

  /** The text of the status bar's items. */
  async statusBar(): Promise<string[]> {
    return this.page.locator('.statusbar-item-label').allInnerTexts();
  }

  /** Titles of the open editors' tabs. */
  async tabs(): Promise<string[]> {
    const labels = await this.page
      .locator('.tabs-container .tab .monaco-icon-label-container')
      .allInnerTexts();
    return labels.map((label) => label.replaceAll('\n', ''));
  }

  /** Shows the extension's output channel, and gives its last lines once one says a text. */
  async logged(text: RegExp): Promise<string> {
    await this.runCommand('Vitrine: Show Log');
    const lines = this.page.locator('.output-view .view-lines');
    const deadline = Date.now() + patience;
    let said = '';
    while (Date.now() < deadline) {
      // Wrapped and indented by the editor that shows it.
      said = (await lines.innerText().catch(() => '')).replaceAll(/\s+/g, ' ');
      if (text.test(said)) {
        await this.runCommand('View: Toggle Panel Visibility');
        return said;
      }
      await this.page.waitForTimeout(100);
    }
    throw new Error(`the log does not say ${text}; it says ${said || 'nothing'}`);
  }

  async closeEditors(): Promise<void> {
    await this.runCommand('View: Close All Editors');
    await this.page.locator('.tabs-container .tab').first().waitFor({ state: 'detached', timeout: patience });
  }

  async setSettings(changes: Readonly<Record<string, unknown>>): Promise<void> {
    await this.settings.write(changes);
  }

  /** Changes the colour theme and waits until the workbench wears it. */
  async setTheme(theme: Theme): Promise<void> {
    await this.settings.write({ 'workbench.colorTheme': themes[theme] });
    const kind = { light: '.vs', dark: '.vs-dark', contrast: '.hc-black', contrastLight: '.hc-light' }[theme];
    await this.page.locator(`.monaco-workbench${kind}`).first().waitFor({ timeout: patience });
  }

  async setSize(width: number, height: number): Promise<void> {
    await this.page.setViewportSize({ width, height });
  }

  /** Writes a picture of the window to test/output/screenshots. */
  async screenshot(name: string): Promise<string> {
    const path = join('test', 'output', 'screenshots', `${name}.png`);
    await this.page.screenshot({ path });
    return path;
  }

  /**
   * Reloads the window by VS Code's own command, which saves what is open; a reload by the browser
   * does not wait for that.
   */
  async reload(): Promise<void> {
    const loaded = this.page.waitForEvent('load', { timeout: patience });
    await this.runCommand('Developer: Reload Window');
    await loaded;
    await this.listed();
  }
}

const escapePattern = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

async function isShown(frame: Frame, selector: string): Promise<boolean> {
  try {
    const holder = await frame.parentFrame()?.frameElement();
    if (holder && !(await holder.isVisible())) return false;
    return await frame.locator(selector).first().isVisible();
  } catch {
    return false; // the frame went away while it was asked
  }
}

async function textOf(frame: Frame): Promise<string> {
  const text = await frame
    .locator('body')
    .innerText({ timeout: 1000 })
    .catch(() => '(gone)');
  return text.replaceAll(/\s+/g, ' ').slice(0, 300);
}
