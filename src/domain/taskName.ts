/** What can be asked of a model, by its outputs: a folder of `tasks/` each. */
export type TaskName = 'detect' | 'zero-shot' | 'classify' | 'outputs' | 'features';
