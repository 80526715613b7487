import { commands, window, workspace } from 'vscode';
import { CheckpointError } from '../../checkpoint/errors';
import { Cancelled, messageOf, Untrusted, UserError, type NextStep } from './errors';
import type { Log } from '../log';

interface Step {
  readonly title: string;
  readonly command: string;
  readonly values?: readonly unknown[];
}

const steps: Readonly<Record<NextStep, Step>> = {
  showLog: { title: 'Show Log', command: 'vitrine.showLog' },
  chooseCheckpoint: { title: 'Choose Another Checkpoint', command: 'vitrine.chooseCheckpoint' },
  manageTrust: { title: 'Manage Trust', command: 'workbench.trust.manage' },
  openSettings: {
    title: 'Open Settings',
    // The user's own settings leave out what belongs to a remote machine; the workspace's show all.
    get command() {
      const scope = workspace.workspaceFolders ? 'Workspace' : '';
      return `workbench.action.open${scope}Settings`;
    },
    values: ['@ext:vitrine.vitrine'],
  },
};

/** Does the work of a next step. */
export async function perform(step: NextStep): Promise<void> {
  const { command, values = [] } = steps[step];
  await commands.executeCommand(command, ...values);
}

/** Logs an error and shows it with its next steps; cancelling is neither. */
export async function report(log: Log, error: unknown): Promise<void> {
  if (error instanceof Cancelled) return;
  const isExpected = error instanceof UserError;
  if (isExpected) log.warn(error.message);
  else log.error(error instanceof Error ? error : String(error));
  const next = nextSteps(error);
  const titles = next.map((step) => steps[step].title);
  const show = isExpected ? window.showWarningMessage : window.showErrorMessage;
  const chosen = await show(messageOf(error), ...titles);
  const step = next.find((candidate) => steps[candidate].title === chosen);
  if (step) await perform(step);
}

/** What the user can mend needs no log; a checkpoint that is refused leaves others to choose. */
function nextSteps(error: unknown): readonly NextStep[] {
  if (error instanceof UserError && error.next.length > 0) return error.next;
  return error instanceof CheckpointError ? ['chooseCheckpoint', 'showLog'] : ['showLog'];
}

/**
 * Running needs trust: a checkpoint's graph is executed by native code that a restricted workspace
 * must not start.
 */
export const restricted =
  'This workspace is restricted. Inspecting checkpoints works; running a model on images needs trust.';

/** Throws unless the workspace is trusted. */
export function requireTrust(): void {
  if (!workspace.isTrusted) throw new Untrusted(restricted, ['manageTrust']);
}
