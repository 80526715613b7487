// Loads the built extension and activates it in plain Node, where everything of `vscode` is a
// stand-in that answers anything at once: activate.js EXTENSION prints the milliseconds of our own
// code. What VS Code adds is seen by the tests in a real extension host.
import Module from 'node:module';
import type { ExtensionContext } from 'vscode';

interface Extension {
  activate(context: ExtensionContext): unknown;
}

/** A function and not an arrow, so that it can be constructed. */
function nothing(): unknown {
  return standIn;
}
const standIn: unknown = new Proxy(nothing, {
  get: (target, key) => {
    if (key === Symbol.iterator) return () => [][Symbol.iterator]();
    if (key === Symbol.toPrimitive) return () => '';
    // A function's own name and prototype, and nothing that makes `await` wait for ever.
    return key === 'prototype' ? Reflect.get(target, key) : key === 'then' ? undefined : standIn;
  },
  set: () => true,
  construct: () => standIn as object,
});

const loader = Module as unknown as { _load(request: string, ...rest: unknown[]): unknown };
const load = loader._load;
loader._load = (request, ...rest) => (request === 'vscode' ? standIn : load(request, ...rest));

const context = {
  subscriptions: [],
  globalState: { get: nothing, update: nothing, keys: () => [] },
  workspaceState: { get: () => undefined, update: nothing, keys: () => [] },
  extensionUri: standIn,
  globalStorageUri: standIn,
} as unknown as ExtensionContext;

const started = performance.now();
const { activate } = Module.createRequire(__filename)(process.argv[2]!) as Extension;
const loaded = performance.now();
activate(context);
const activated = performance.now();
console.log(JSON.stringify({ load: loaded - started, activate: activated - loaded }));
process.exit(0);
