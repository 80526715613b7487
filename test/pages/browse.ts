// Opens a page in a headless browser with a host of its own inside it, under the strict policy of
// the extension.
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { build } from 'esbuild';
import { chromium, type Browser, type Page } from 'playwright-core';
import { chromiumArguments, provideChromium } from '../run/chromium.mjs';
import type { ThemeName } from './themes';

export type PageName = 'inspector' | 'complexity' | 'image' | 'batch' | 'text';
const pageNames: readonly PageName[] = ['inspector', 'complexity', 'image', 'batch', 'text'];

const ORIGIN = 'http://pages.test';
/**
 * As strict as the extension's own; the component kit writes its design tokens into a style
 * element.
 */
const POLICY = `default-src 'none'; script-src 'nonce-page'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data: blob:; connect-src 'self'`;
const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.ttf': 'font/ttf',
  '.jpg': 'image/jpeg',
};

export interface PageOptions {
  readonly name: PageName;
  readonly shownCase?: string;
  readonly theme?: ThemeName;
  readonly width?: number;
  readonly height?: number;
}

export interface OpenedPage {
  readonly page: Page;
  /** Errors and warnings of the page, blocked styles and scripts among them. */
  readonly complaints: readonly string[];
}

/** The pages, built in memory and served without a port. */
export class Demo {
  private constructor(
    private readonly browser: Browser,
    private readonly files: ReadonlyMap<string, Uint8Array>,
  ) {}

  static async start(): Promise<Demo> {
    const files = await bundle();
    const executablePath = await provideChromium();
    return new Demo(await chromium.launch({ executablePath, args: [...chromiumArguments] }), files);
  }

  async open({ name, shownCase, theme, width, height }: PageOptions): Promise<OpenedPage> {
    const page = await this.browser.newPage({
      viewport: { width: width ?? 1280, height: height ?? 900 },
      reducedMotion: 'reduce',
    });
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.route(`${ORIGIN}/**`, async (route) => {
      const path = new URL(route.request().url()).pathname.slice(1);
      const body = pageNames.includes(path as PageName)
        ? htmlOf(path)
        : (this.files.get(path) ?? (await sampleOf(path)));
      const contentType = TYPES[extname(path)] ?? 'text/html';
      await route.fulfill({
        body: Buffer.from(body),
        contentType,
        headers: { 'Content-Security-Policy': POLICY },
      });
    });
    await page.goto(`${ORIGIN}/${name}?case=${shownCase ?? ''}&theme=${theme ?? 'dark'}`);
    await page.locator('main > *').first().waitFor({ state: 'attached' });
    return { page, complaints };
  }

  close(): Promise<void> {
    return this.browser.close();
  }
}

const sampleOf = (path: string): Promise<Uint8Array> => readFile(join('media/sample/images', path));

async function bundle(): Promise<ReadonlyMap<string, Uint8Array>> {
  const { outputFiles } = await build({
    entryPoints: pageNames.map((name) => `test/pages/${name}.ts`),
    bundle: true,
    write: false,
    outdir: 'pages',
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    logLevel: 'warning',
  });
  const files = new Map(
    outputFiles.map(({ path, contents }) => [path.split('/').at(-1) as string, contents]),
  );
  for (const file of ['codicon.css', 'codicon.ttf'])
    files.set(file, await readFile(`node_modules/@vscode/codicons/dist/${file}`));
  return files;
}

const htmlOf = (name: string): string => `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name}</title>
<link rel="stylesheet" href="codicon.css">
<link rel="stylesheet" href="${name}.css">
</head>
<body data-subject="{}">
<div id="root"></div>
<script type="module" nonce="page" src="${name}.js"></script>
</body>
</html>`;
