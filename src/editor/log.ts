import { window, type LogOutputChannel } from 'vscode';

/**
 * The output channel `Vitrine`; its level is chosen in the Output view or by
 * `Developer: Set Log Level`.
 */
export type Log = LogOutputChannel;

export function createLog(): Log {
  return window.createOutputChannel('Vitrine', { log: true });
}
