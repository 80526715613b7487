import { escapeMarkup } from '../../domain/markup';

/** Bundles in dist/webview. */
export type PageName = 'inspector' | 'complexity' | 'image' | 'batch' | 'text';

/** A page's state that must outlive a reload: which file it is about. */
export type Subject = Readonly<Record<string, unknown>>;

export interface PageParts {
  readonly nonce: string;
  readonly source: string;
  readonly address: (file: string) => string;
  readonly name: PageName;
  /** What the page's script imports; asked for along with it. */
  readonly chunks: readonly string[];
  readonly title: string;
  readonly subject: Subject;
}

/**
 * The shell of a page. Nothing is loaded but the page's own script, style sheet and the icon font;
 * inline styles are allowed because the component kit and the charts set them.
 */
export function pageHtml({ nonce, source, address, name, chunks, title, subject }: PageParts): string {
  const policy = [
    `default-src 'none'`,
    `img-src ${source} data: blob:`,
    `font-src ${source}`,
    `style-src ${source} 'unsafe-inline'`,
    `script-src 'nonce-${nonce}'`,
  ].join('; ');
  const preloads = chunks.map(
    (chunk) => `<link rel="modulepreload" nonce="${nonce}" href="${address(chunk)}">\n`,
  );
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(title)}</title>
<link rel="stylesheet" href="${address('codicon.css')}" id="vscode-codicon-stylesheet">
<link rel="stylesheet" href="${address(`${name}.css`)}">
${preloads.join('')}</head>
<body data-subject="${escapeMarkup(JSON.stringify(subject))}">
<div id="root"></div>
<script type="module" nonce="${nonce}" src="${address(`${name}.js`)}"></script>
</body>
</html>`;
}
