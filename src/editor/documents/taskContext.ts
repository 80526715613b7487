import type { Disposable } from 'vscode';
import { contextKeys } from '../../contributions';
import type { TaskName } from '../../domain/taskName';
import { wordsOf } from '../../domain/taskWords';
import { messageOf } from '../dialogue/errors';
import type { Log } from '../log';
import { readsTexts } from '../../models/reads';
import { setContext } from '../registration';
import type { Checkpoints } from './checkpoints';
import type { Documents } from './documents';
import type { WorkspaceMemory } from './memory';

interface TaskServices {
  readonly memory: Pick<
    WorkspaceMemory,
    'checkpoint' | 'otherTask' | 'setOtherTask' | 'readsTexts' | 'setReadsTexts'
  >;
  readonly checkpoints: Pick<Checkpoints, 'onDidChoose' | 'chosen'>;
  readonly documents: Pick<Documents, 'acquire'>;
  readonly log: Log;
}

/**
 * Lets menus name a run by the task of the chosen checkpoint, if that is something else than
 * classes: read off its header when it is chosen, and remembered, so that a start of the window
 * reads no file.
 */
export function followTask(services: TaskServices): Disposable {
  const { memory, checkpoints } = services;
  setTask(memory.checkpoint === undefined ? undefined : memory.otherTask(memory.checkpoint));
  setContext(contextKeys.readsTexts, memory.checkpoint !== undefined && memory.readsTexts(memory.checkpoint));
  return checkpoints.onDidChoose((path) => void (path !== undefined && look(services, path)));
}

/** Undefined is a task that images are said to be classified by. */
function setTask(task: string | undefined): void {
  setContext(contextKeys.otherTask, task !== undefined);
  setContext(contextKeys.task, task !== undefined && wordsOf(task as TaskName) ? task : '');
}

async function look({ memory, checkpoints, documents, log }: TaskServices, path: string): Promise<void> {
  const { document, dispose } = documents.acquire(path);
  try {
    const model = await document.model();
    const { isOtherTask, taskOf } = await import('../../tasks/tasks');
    const { name } = taskOf(model);
    const task = isOtherTask(name) ? name : undefined;
    const isOfTexts = readsTexts(model);
    await memory.setOtherTask(path, task);
    await memory.setReadsTexts(path, isOfTexts);
    if (checkpoints.chosen !== path) return;
    setTask(task);
    setContext(contextKeys.readsTexts, isOfTexts);
  } catch (error) {
    // Whoever opens it is told why it cannot be read.
    log.debug(`${path}: its task is not known: ${messageOf(error)}`);
  } finally {
    dispose();
  }
}
