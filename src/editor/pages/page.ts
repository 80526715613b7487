import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Uri, type Webview, type WebviewPanel } from 'vscode';
import { pageHtml, type PageName, type Subject } from './pageHtml';

/** Shows a page in a webview. The webview may read the bundles, and no other file. */
export function showPage(
  webview: Webview,
  extensionUri: Uri,
  name: PageName,
  title: string,
  subject: Subject,
): void {
  const folder = Uri.joinPath(extensionUri, 'dist', 'webview');
  webview.options = { enableScripts: true, localResourceRoots: [folder] };
  webview.html = pageHtml({
    nonce: randomBytes(16).toString('base64'),
    source: webview.cspSource,
    address: (file) => webview.asWebviewUri(Uri.joinPath(folder, file)).toString(),
    name,
    chunks: chunksOf(folder)[name] ?? [],
    title,
    subject,
  });
}

type Chunks = Readonly<Partial<Record<PageName, readonly string[]>>>;
let known: Chunks | undefined;

/** What each page's script imports, as the build wrote it. */
const chunksOf = (folder: Uri): Chunks =>
  (known ??= JSON.parse(readFileSync(Uri.joinPath(folder, 'preloads.json').fsPath, 'utf8')) as Chunks);

/** A panel's tab looks like the extension, as an editor's looks like its file. */
export function showIcon(panel: WebviewPanel, extensionUri: Uri): void {
  panel.iconPath = Uri.joinPath(extensionUri, 'media', 'icon.svg');
}
