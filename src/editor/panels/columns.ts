import { TabInputWebview, ViewColumn, window } from 'vscode';
import { viewTypes } from '../../contributions';

/** Whether a tab is an answer about images: a panel of one, or a table of many. */
export function isAnswer(input: unknown): boolean {
  if (!(input instanceof TabInputWebview)) return false;
  // VS Code puts a prefix before the view types of webview tabs.
  return [viewTypes.image, viewTypes.batch].some((own) => input.viewType.endsWith(own));
}

/**
 * Answers gather in one column beside what they are about, so that a second image does not split
 * the window again.
 */
export function columnForAnswers(): ViewColumn {
  const group = window.tabGroups.all.find(({ tabs }) => tabs.some(({ input }) => isAnswer(input)));
  return group?.viewColumn ?? ViewColumn.Beside;
}
