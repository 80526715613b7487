import { commands, workspace, type Disposable } from 'vscode';
import { colourMaps } from '../attention/colourMaps';
import {
  defaultSettings,
  providerChoices,
  type CommandId,
  type Commands,
  type ContextKeys,
  type SettingId,
  type Settings,
} from '../contributions';

/** Registers a command with the arguments and result that `Commands` states. */
export function registerCommand<Id extends CommandId>(id: Id, run: Commands[Id]): Disposable {
  return commands.registerCommand(id, run);
}

/** Sets a context key that `when` clauses read. */
export function setContext<Key extends keyof ContextKeys>(key: Key, value: ContextKeys[Key]): void {
  void commands.executeCommand('setContext', key, value);
}

const isNaturalNumber = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0;

/** settings.json is edited by hand, so a value may have any type. */
const valid: { readonly [Id in SettingId]: (value: unknown) => boolean } = {
  'vitrine.provider': (value) => providerChoices.some((choice) => choice === value),
  'vitrine.threads': isNaturalNumber,
  'vitrine.topK': (value) => isNaturalNumber(value) && Number(value) > 0,
  'vitrine.colourMap': (value) => colourMaps.some((choice) => choice === value),
  'vitrine.modelFolders': (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  'vitrine.memoryLimit': (value) => Number.isFinite(value) && Number(value) >= 0,
};

/** Value of a setting; its default if settings.json holds something of another type. */
export function readSetting<Id extends SettingId>(id: Id): Settings[Id] {
  const value: unknown = workspace.getConfiguration().get(id);
  return valid[id](value) ? (value as Settings[Id]) : defaultSettings[id];
}

/** Calls back when one of the settings changes. */
export function onSettingChange(ids: readonly SettingId[], changed: () => void): Disposable {
  return workspace.onDidChangeConfiguration((event) => {
    if (ids.some((id) => event.affectsConfiguration(id))) changed();
  });
}
