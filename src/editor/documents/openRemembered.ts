import { headerKey } from '../../checkpoint/header';
import type { OpenedCheckpoint, OpenedModel } from '../../models/openedModels';
import { valuesOf, type Assumptions, type WorkspaceMemory } from './memory';

export { openOnce } from '../../models/openedModels';

/**
 * Settles a checkpoint with hyper-parameters as the user typed them, without reading it. Throws if
 * one of them, or the state dict, does not fit the file.
 */
export function settleAssuming(
  opened: OpenedCheckpoint,
  stateDict: string | undefined,
  assumptions: Assumptions,
): OpenedModel {
  return opened.settle({ stateDict, assume: valuesOf(assumptions) });
}

/**
 * Settles a checkpoint as the user left it: the state dict that was chosen, with what was set for
 * its header. What no longer fits the file is forgotten, because a file that cannot be opened
 * offers no place to take it back.
 */
export async function settleRemembered(
  opened: OpenedCheckpoint,
  memory: WorkspaceMemory,
): Promise<OpenedModel> {
  const chosen = await settleChosen(opened, memory);
  const header = headerKey(chosen.model.checkpoint.selected.tensors);
  const assumptions = memory.assumptions(header);
  if (Object.keys(assumptions).length === 0) return chosen;
  try {
    return settleAssuming(opened, memory.stateDict(opened.path), assumptions);
  } catch {
    await memory.setAssumptions(header, {});
    return chosen;
  }
}

async function settleChosen(opened: OpenedCheckpoint, memory: WorkspaceMemory): Promise<OpenedModel> {
  const stateDict = memory.stateDict(opened.path);
  if (stateDict === undefined) return opened.settle();
  try {
    return opened.settle({ stateDict });
  } catch {
    await memory.chooseStateDict(opened.path, undefined);
    return opened.settle();
  }
}
