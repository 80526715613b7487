import type { WorkspaceMemory } from '../../../../src/editor/documents/memory';

type Store = ConstructorParameters<typeof WorkspaceMemory>[0];

/** VS Code's store of a workspace, as far as it is used. */
export function createStore(): Store {
  const values = new Map<string, unknown>();
  return {
    keys: () => [...values.keys()],
    get: <T>(key: string, otherwise?: T) => (values.get(key) as T | undefined) ?? otherwise,
    update: async (key: string, value: unknown) =>
      void (value === undefined ? values.delete(key) : values.set(key, value)),
  } as Store;
}
