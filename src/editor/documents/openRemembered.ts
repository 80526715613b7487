import { openModel, type Model } from '../../models/model';
import { figuresOf, headerKey, type Assumptions, type WorkspaceMemory } from './memory';

/** Opens a checkpoint with figures as the user typed them. Throws where a figure or the state dict does not fit the file. */
export async function openAssuming(
  path: string,
  stateDict: string | undefined,
  assumptions: Assumptions,
): Promise<Model> {
  return openModel(path, { stateDict, assume: figuresOf(assumptions) });
}

/**
 * Opens a checkpoint as the user left it: the state dict that was chosen, with the figures that were set for its header. What no
 * longer fits the file is forgotten, because a file that cannot be opened offers no place to take it back.
 */
export async function openRemembered(path: string, memory: WorkspaceMemory): Promise<Model> {
  const model = await openSelected(path, memory);
  const header = headerKey(model.checkpoint.selected.tensors);
  const assumptions = memory.assumptions(header);
  if (Object.keys(assumptions).length === 0) return model;
  try {
    return await openAssuming(path, memory.stateDict(path), assumptions);
  } catch {
    await memory.setAssumptions(header, {});
    return model;
  }
}

async function openSelected(path: string, memory: WorkspaceMemory): Promise<Model> {
  const stateDict = memory.stateDict(path);
  if (stateDict === undefined) return openModel(path);
  try {
    return await openModel(path, { stateDict });
  } catch {
    await memory.chooseStateDict(path, undefined);
    return openModel(path);
  }
}
