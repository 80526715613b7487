import type { Memento } from 'vscode';
import type { ConfigValue } from '../../architectures/family';
import type { Mapping } from '../../architectures/recognise/structure/mapping';
import type { Given } from '../../tasks/run';
import { parseValue } from '../../architectures/valueText';

/** Assumed hyper-parameters by key, as the user typed them: `heads` `6`. */
export type Assumptions = Readonly<Record<string, string>>;

/** What the user added to a checkpoint: paths of a LoRA adapter and of what names its classes. */
export interface Added {
  readonly adapter?: string;
  readonly classes?: string;
}

/** Returns what was typed as values. Throws if one cannot be read. */
export const valuesOf = (assumptions: Assumptions): Readonly<Record<string, ConfigValue>> =>
  Object.fromEntries(Object.entries(assumptions).map(([key, text]) => [key, parseValue(text)]));

/** What is remembered for this workspace. */
export class WorkspaceMemory {
  constructor(private readonly state: Memento) {}

  /** What the user set for files with this header; retrained weights of the same model share it. */
  assumptions(header: string): Assumptions {
    return this.state.get<Assumptions>(`assumptions.${header}`, {});
  }

  /** The same as values, as the readers take them. */
  values(header: string): Readonly<Record<string, ConfigValue>> {
    return valuesOf(this.assumptions(header));
  }

  async setAssumptions(header: string, assumptions: Assumptions): Promise<void> {
    const isEmpty = Object.keys(assumptions).length === 0;
    await this.state.update(`assumptions.${header}`, isEmpty ? undefined : assumptions);
  }

  /** What the user confirmed that tensors are read as, for files with this header. */
  mapping(header: string): Mapping | undefined {
    return this.state.get<Mapping>(`mapping.${header}`);
  }

  async setMapping(header: string, mapping: Mapping | undefined): Promise<void> {
    await this.state.update(`mapping.${header}`, mapping);
  }

  /** What the user added to a checkpoint, by the path of its weights. */
  added(file: string): Added {
    return this.state.get<Added>(`added.${file}`, {});
  }

  async setAdded(file: string, { adapter, classes }: Added): Promise<void> {
    const added = { ...(adapter !== undefined && { adapter }), ...(classes !== undefined && { classes }) };
    const isEmpty = Object.keys(added).length === 0;
    await this.state.update(`added.${file}`, isEmpty ? undefined : added);
  }

  /** What the user gave a checkpoint beside its images, by its path: texts and their template. */
  given(path: string): Given | undefined {
    return this.state.get<Given>(`given.${path}`);
  }

  async setGiven(path: string, given: Given | undefined): Promise<void> {
    await this.state.update(`given.${path}`, given);
  }

  /**
   * What a checkpoint is for if that is something else than classes, as far as it was looked at.
   */
  otherTask(path: string): string | undefined {
    return this.state.get<string>(`task.${path}`);
  }

  async setOtherTask(path: string, task: string | undefined): Promise<void> {
    await this.state.update(`task.${path}`, task);
  }

  /** Whether a checkpoint reads texts and no images, as far as it was looked at. */
  readsTexts(path: string): boolean {
    return this.state.get<boolean>(`readsTexts.${path}`, false);
  }

  async setReadsTexts(path: string, reads: boolean): Promise<void> {
    await this.state.update(`readsTexts.${path}`, reads ? true : undefined);
  }

  /** The state dict the user chose in a file that holds several. */
  stateDict(path: string): string | undefined {
    return this.state.get<string>(`stateDict.${path}`);
  }

  async chooseStateDict(path: string, name: string | undefined): Promise<void> {
    await this.state.update(`stateDict.${path}`, name);
  }

  /** The checkpoint that images are classified with. */
  get checkpoint(): string | undefined {
    return this.state.get<string>('checkpoint');
  }

  async chooseCheckpoint(path: string | undefined): Promise<void> {
    await this.state.update('checkpoint', path);
  }
}
