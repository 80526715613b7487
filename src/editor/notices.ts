import { commands, window, workspace } from 'vscode';
import { Cancelled, messageOf, Untrusted, UserError, type NextStep } from './errors';
import type { Log } from './log';

const steps: Readonly<Record<NextStep, { readonly title: string; readonly command: readonly string[] }>> = {
  showLog: { title: 'Show Log', command: ['vitrine.showLog'] },
  chooseCheckpoint: { title: 'Choose Another Checkpoint', command: ['vitrine.chooseCheckpoint'] },
  manageTrust: { title: 'Manage Trust', command: ['workbench.trust.manage'] },
  openSettings: { title: 'Open Settings', command: ['workbench.action.openSettings', 'vitrine.'] },
  openWalkthrough: { title: 'Get Started', command: ['vitrine.getStarted'] },
};

/** Does the work of a next step. */
export async function perform(step: NextStep): Promise<void> {
  const [command, ...values] = steps[step].command;
  if (command) await commands.executeCommand(command, ...values);
}

/** Logs an error and shows it with its next steps; cancelling is neither. */
export async function report(log: Log, error: unknown): Promise<void> {
  if (error instanceof Cancelled) return;
  log.error(error instanceof Error ? error : String(error));
  const wanted = error instanceof UserError ? error.next : [];
  const next: readonly NextStep[] = wanted.includes('showLog') ? wanted : [...wanted, 'showLog'];
  const titles = next.map((step) => steps[step].title);
  const chosen = await window.showErrorMessage(messageOf(error), ...titles);
  const step = next.find((candidate) => steps[candidate].title === chosen);
  if (step) await perform(step);
}

/** Running needs trust: a checkpoint's graph is executed by native code that a restricted workspace must not start. */
export const restricted =
  'This workspace is restricted. Inspecting checkpoints works; running a model on pictures needs trust.';

/** Throws unless the workspace is trusted. */
export function requireTrust(): void {
  if (!workspace.isTrusted) throw new Untrusted(restricted, ['manageTrust']);
}
