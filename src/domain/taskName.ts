/** What can be asked of a model, by its outputs: a folder of `tasks/` each. */
export type TaskName =
  | 'detect'
  | 'segment'
  | 'depth'
  | 'keypoints'
  | 'zero-shot'
  | 'ask'
  | 'caption'
  | 'translate'
  | 'reconstruct'
  | 'restore'
  | 'video'
  | 'classify'
  | 'outputs'
  | 'features';
