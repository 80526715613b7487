import { stat } from 'node:fs/promises';
import { attempt } from '../../checkpoint/byteSource';
import { chooseInFolder } from '../../checkpoint/formats/folder';
import { selectStateDict } from '../../checkpoint/open';
import { headerKey } from '../../checkpoint/header';
import type { Mapping } from '../../architectures/recognise/structure/mapping';
import type { Model } from '../../models/model';
import { openOnce, type Company, type OpenedCheckpoint, type OpenedModel } from '../../models/openedModels';
import type { TrialRequest } from '../../useCases/trials';
import { ownTensors } from '../../models/ownTensors';
import { messageOf } from '../dialogue/errors';
import { valuesOf, type Added, type Assumptions, type WorkspaceMemory } from './memory';

/** A file that was read, and what was made of it with what is assumed. */
export interface Loaded {
  readonly file: OpenedCheckpoint;
  readonly opened: OpenedModel;
}

/** Tries a file elsewhere first; returns why it had to be stopped, if it had. */
export type TryFirst = (asked: TrialRequest) => Promise<string | undefined>;

/**
 * Opens checkpoints that were tried first. The one that was opened last need not be tried again as
 * long as it has not changed: each image that is clicked opens it anew.
 */
export class Opener {
  private last: { readonly key: string; readonly file: OpenedCheckpoint } | undefined;

  /** @param tryFirst without it files are opened at once */
  constructor(private readonly tryFirst: TryFirst = () => Promise.resolve(undefined)) {}

  /** Opens a checkpoint; of one that asks for too much the tensors alone. */
  async open(path: string, company: Company): Promise<OpenedCheckpoint> {
    const key = JSON.stringify([path, company]);
    const { last } = this;
    const isTried = last?.key === key && (await last.file.isCurrent());
    const stopped = isTried ? undefined : await this.tryFirst({ path, company });
    const file = await openOnce(path, company, { stopped });
    this.last = stopped === undefined ? { key, file } : undefined;
    return file;
  }
}

/**
 * Opens a checkpoint with what the user added to it, and settles it as the user left it; of one
 * that asks for too much the tensors alone. Throws if what was added does not fit, and forgets
 * nothing then.
 */
export async function openWith(
  path: string,
  added: Added,
  memory: WorkspaceMemory,
  opener = new Opener(),
): Promise<Loaded> {
  const stateDict = memory.stateDict(path);
  const company = {
    ...added,
    ...(added.adapter !== undefined && stateDict !== undefined && { stateDict }),
  };
  const file = await opener.open(path, company);
  return { file, opened: await settleRemembered(file, memory) };
}

/**
 * Opens a checkpoint as the user left it. What was added and no longer fits is forgotten and told:
 * without it the model is another.
 */
export async function openRemembered(
  path: string,
  memory: WorkspaceMemory,
  tell: (message: string) => void,
  opener = new Opener(),
): Promise<Loaded> {
  const key = await addedTo(path);
  const added = memory.added(key);
  if (Object.keys(added).length === 0) return openWith(path, {}, memory, opener);
  try {
    return await openWith(path, added, memory, opener);
  } catch (error) {
    const plain = await openWith(path, {}, memory, opener);
    await memory.setAdded(key, {});
    const what = Object.values(added).join(' and ');
    tell(`${path} is opened without ${what}: ${messageOf(error)}`);
    return plain;
  }
}

/** What was added is remembered for the weights, whether they or their folder are opened. */
async function addedTo(path: string): Promise<string> {
  const isFolder = (await attempt(path, () => stat(path))).isDirectory();
  return isFolder ? (await chooseInFolder(path)).chosen : path;
}

/** Throws with the known names if the checkpoint has no such state dict. */
export const requireStateDict = ({ checkpoint }: OpenedCheckpoint, name: string): void =>
  void selectStateDict(checkpoint, name);

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
  const named = await settleOr(
    () => (mapping ? settleMapped(opened, { stateDict, mapping }) : chosen),
    async () => {
      await memory.setMapping(header, undefined);
      return chosen;
    },
  );
  return settleOr(
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

async function settleOr<T>(settle: () => T, otherwise: () => Promise<T>): Promise<T> {
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
    requireStateDict(opened, stateDict);
  } catch {
    await memory.chooseStateDict(opened.path, undefined);
    return opened.settle();
  }
  return opened.settle({ stateDict });
}
