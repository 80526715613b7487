import { ExtensionMode, type ExtensionContext } from 'vscode';
import { registerCheckpointEditor } from './editor/panels/inspectorPanels';
import { registerCommands } from './editor/commands';
import { Disposables } from './editor/disposables';
import { readSetting } from './editor/registration';
import { createServices, type Services } from './editor/services';
import { createStatusBar } from './editor/dialogue/statusBar';

/** What the host tests look at; nobody else gets it. */
export interface TestApi {
  readonly services: Services;
  readonly readSetting: typeof readSetting;
  /** Milliseconds that `activate` took. */
  readonly activation: number;
}

/**
 * Called on the first use of a command, editor or panel. Readers, families and the runtime are
 * loaded when they are needed.
 */
export function activate(context: ExtensionContext): TestApi | undefined {
  const started = performance.now();
  const owned = new Disposables();
  context.subscriptions.push(owned);
  const services = createServices(context, owned);
  registerCheckpointEditor(services).forEach((item) => owned.add(item));
  registerCommands(services).forEach((item) => owned.add(item));
  owned.add(createStatusBar(services.checkpoints));
  const activation = performance.now() - started;
  services.log.debug(`activated in ${activation.toFixed(1)} ms`);
  return context.extensionMode === ExtensionMode.Test ? { services, readSetting, activation } : undefined;
}
