import type { TaskName } from './taskName';

/** What running a model of a task is called. */
export interface TaskWords {
  /** Its command's id after `vitrine.`. */
  readonly command: string;
  /** Of the command on an image: `Detect Objects in Image`. */
  readonly title: string;
  /** Of the inspector's button, which asks for an image: `Detect Objects…`. */
  readonly button: string;
}

/** Tasks that have a command of their own; a model of any other is run by "Run on Image". */
export const taskWords = {
  detect: { command: 'detectObjects', title: 'Detect Objects in Image', button: 'Detect Objects…' },
  segment: { command: 'segmentImage', title: 'Segment Image', button: 'Segment an Image…' },
  depth: { command: 'estimateDepth', title: 'Estimate Depth in Image', button: 'Estimate Depth…' },
  keypoints: {
    command: 'findKeypoints',
    title: 'Find Keypoints in Image',
    button: 'Find Keypoints…',
  },
  'zero-shot': { command: 'scoreTexts', title: 'Score Texts for Image', button: 'Score Texts…' },
  caption: { command: 'captionImage', title: 'Read or Describe Image', button: 'Read or Describe…' },
  ask: { command: 'askAboutImage', title: 'Ask About Image', button: 'Ask About an Image…' },
  reconstruct: {
    command: 'rebuildImage',
    title: 'Rebuild Hidden Patches of Image',
    button: 'Rebuild an Image…',
  },
  restore: {
    command: 'restoreImage',
    title: 'Enlarge or Mend Image',
    button: 'Enlarge or Mend an Image…',
  },
  video: { command: 'classifyClip', title: 'Classify Clip', button: 'Classify a Clip…' },
} as const satisfies Partial<Record<TaskName, TaskWords>>;

/** Ids of the commands that a task has of its own. */
export type TaskCommandId = `vitrine.${(typeof taskWords)[keyof typeof taskWords]['command']}`;

const words: Partial<Readonly<Record<TaskName, TaskWords>>> = taskWords;

/** The words of a task; undefined if it has no command of its own. */
export const wordsOf = (task: TaskName): TaskWords | undefined => words[task];

export const taskCommandIds = Object.values(taskWords).map(
  ({ command }): TaskCommandId => `vitrine.${command}`,
);
