import { basename, dirname, join } from 'node:path';
import { commands, env, Uri, window, workspace } from 'vscode';

const dataUrl = /^data:[\w/+.-]+;base64,/;

/** Images come from a page as data URLs, everything else as text. */
function bytesOf(content: string): Uint8Array {
  const head = dataUrl.exec(content)?.[0];
  return head ? Buffer.from(content.slice(head.length), 'base64') : Buffer.from(content, 'utf8');
}

/**
 * Asks where to write a file; proposes the folder of `near`. Undefined when the user closes the
 * dialog.
 */
export async function askWhereToSave(near: string, suggestedName: string): Promise<Uri | undefined> {
  const extension = suggestedName.split('.').at(-1) ?? '*';
  return window.showSaveDialog({
    // A page suggests the name; it must not lead to another folder.
    defaultUri: Uri.file(join(dirname(near), basename(suggestedName))),
    filters: { [extension.toUpperCase()]: [extension] },
  });
}

/** Writes a file where the user says and opens it. Resolves to whether one was written. */
export async function saveAndOpen(
  near: string,
  suggestedName: string,
  content: string | Uint8Array,
): Promise<boolean> {
  const target = await askWhereToSave(near, suggestedName);
  if (!target) return false;
  await workspace.fs.writeFile(target, typeof content === 'string' ? bytesOf(content) : content);
  await commands.executeCommand('vscode.open', target, { preview: false });
  return true;
}

/**
 * Puts text on the clipboard of the user's own machine, which may be another one than the host's.
 */
export async function copyText(text: string): Promise<void> {
  await env.clipboard.writeText(text);
}
