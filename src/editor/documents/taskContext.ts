import type { Disposable } from 'vscode';
import { contextKeys } from '../../contributions';
import { messageOf } from '../dialogue/errors';
import type { Log } from '../log';
import { setContext } from '../registration';
import type { Checkpoints } from './checkpoints';
import type { Documents } from './documents';
import type { WorkspaceMemory } from './memory';

interface TaskServices {
  readonly memory: Pick<WorkspaceMemory, 'checkpoint' | 'isOtherTask' | 'setOtherTask'>;
  readonly checkpoints: Pick<Checkpoints, 'onDidChoose' | 'chosen'>;
  readonly documents: Pick<Documents, 'acquire'>;
  readonly log: Log;
}

/**
 * Lets menus say "Run on Image" if the chosen checkpoint is for something else than classes: read
 * off its header when it is chosen, and remembered, so that a start of the window reads no file.
 */
export function followTask(services: TaskServices): Disposable {
  const { memory, checkpoints } = services;
  setContext(contextKeys.otherTask, memory.checkpoint !== undefined && memory.isOtherTask(memory.checkpoint));
  return checkpoints.onDidChoose((path) => void (path !== undefined && look(services, path)));
}

async function look({ memory, checkpoints, documents, log }: TaskServices, path: string): Promise<void> {
  const { document, dispose } = documents.acquire(path);
  try {
    const model = await document.model();
    const { isOtherTask, taskOf } = await import('../../tasks/tasks');
    const isOther = isOtherTask(taskOf(model).name);
    await memory.setOtherTask(path, isOther);
    if (checkpoints.chosen === path) setContext(contextKeys.otherTask, isOther);
  } catch (error) {
    // Whoever opens it is told why it cannot be read.
    log.debug(`${path}: its task is not known: ${messageOf(error)}`);
  } finally {
    dispose();
  }
}
