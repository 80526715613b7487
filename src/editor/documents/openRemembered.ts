import { headerKey } from '../../checkpoint/header';
import type { Mapping } from '../../architectures/recognise/structure/mapping';
import type { Model } from '../../models/model';
import type { OpenedCheckpoint, OpenedModel } from '../../models/openedModels';
import { ownTensors } from '../../models/ownTensors';
import { valuesOf, type Assumptions, type WorkspaceMemory } from './memory';

export { openOnce } from '../../models/openedModels';

/** What is remembered of a model is remembered under its header, with the file's own names. */
export const headerOf = (model: Model): string => headerKey(ownTensors(model));

/** What a person told of a checkpoint. */
interface Told {
  readonly stateDict?: string;
  readonly assumptions?: Assumptions;
  readonly mapping?: Mapping;
}

/**
 * Settles a checkpoint with what a person told of it, without reading it. Throws if a
 * hyper-parameter, the state dict or the mapping does not fit the file.
 */
export function settleAs(
  opened: OpenedCheckpoint,
  { stateDict, assumptions = {}, mapping }: Told,
): OpenedModel {
  const named = { ...(stateDict !== undefined && { stateDict }), ...(mapping && { mapping }) };
  const isEmpty = Object.keys(assumptions).length === 0;
  return opened.settle(isEmpty ? named : { ...named, assume: valuesOf(assumptions) });
}

/**
 * Settles a checkpoint under names that a person confirmed. Throws with what does not fit if no
 * family has such a model.
 */
export function settleMapped(opened: OpenedCheckpoint, told: Told): OpenedModel {
  const settled = settleAs(opened, told);
  const { recognition } = settled.model;
  if (recognition.family === null)
    throw new Error(`Under these names the file is not known: ${recognition.reason}.`);
  return settled;
}

/**
 * Settles a checkpoint as the user left it: the state dict that was chosen, with the names that
 * were confirmed and what was set for its header. What no longer fits the file is forgotten,
 * because a file that cannot be opened offers no place to take it back.
 */
export async function settleRemembered(
  opened: OpenedCheckpoint,
  memory: WorkspaceMemory,
): Promise<OpenedModel> {
  const chosen = await settleChosen(opened, memory);
  const header = headerOf(chosen.model);
  const stateDict = memory.stateDict(opened.path);
  const [mapping, assumptions] = [memory.mapping(header), memory.assumptions(header)];
  const named = await attempt(
    () => (mapping ? settleMapped(opened, { stateDict, mapping }) : chosen),
    async () => {
      await memory.setMapping(header, undefined);
      return chosen;
    },
  );
  return attempt(
    () =>
      Object.keys(assumptions).length === 0
        ? named
        : settleAs(opened, { stateDict, assumptions, ...(named !== chosen && { mapping }) }),
    async () => {
      await memory.setAssumptions(header, {});
      return named;
    },
  );
}

async function attempt<T>(settle: () => T, otherwise: () => Promise<T>): Promise<T> {
  try {
    return settle();
  } catch {
    return otherwise();
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
