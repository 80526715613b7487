import type { TaskName } from '../domain/taskName';
import type { Model } from '../models/model';
import type { Answer } from './answer';
import { ask } from './ask/ask';
import { caption } from './caption/caption';
import { classify } from './classify/classify';
import { detect } from './detect/detect';
import { depth } from './depth/depth';
import { keypoints } from './keypoints/keypoints';
import { features } from './features/features';
import { outputs } from './outputs/outputs';
import { reconstruct } from './reconstruct/reconstruct';
import { restore } from './restore/restore';
import { segment } from './segment/segment';
import { translate } from './translate/translate';
import { video } from './video/video';
import { zeroShot } from './zeroShot/zeroShot';
import type { FileFormat } from './formats';
import type { AnswerFiles, Task } from './task';

/** Every task, in the order in which a model is asked whether it serves one. */
export const tasks = {
  detect,
  segment,
  depth,
  keypoints,
  'zero-shot': zeroShot,
  ask,
  caption,
  translate,
  reconstruct,
  restore,
  video,
  classify,
  outputs,
  features,
} satisfies Record<TaskName, Task>;

/** A task and what it is called. */
export interface NamedTask {
  readonly name: TaskName;
  readonly task: Task;
}

/** Returns the first task that a model serves. Throws if it serves none. */
export function taskOf(model: Model): NamedTask {
  const rows = Object.entries<unknown>(tasks) as readonly [TaskName, Task][];
  const reasons = rows.map(([, task]) => task.serves(model));
  const found = rows.find((_, index) => reasons[index] === undefined);
  if (!found) throw new Error(`${model.checkpoint.path}: ${[...new Set(reasons)].join('; ')}`);
  return { name: found[0], task: found[1] };
}

/** Tasks that images are said to be classified by: with classes, or nothing else to say. */
const ofClasses: readonly TaskName[] = ['classify', 'outputs', 'features'];

/** Whether a model of this task is run on images rather than said to classify them. */
export const isOtherTask = (name: TaskName): boolean => !ofClasses.includes(name);

/** What a task makes of an answer that is there. */
type OfAnswer = 'answerName' | 'json' | 'lines' | 'answers' | 'formats';

/** The task that gives each kind of answer. */
const byKind = {
  boxes: tasks.detect,
  scores: tasks['zero-shot'],
  replies: tasks.ask,
  text: tasks.caption,
  translation: tasks.translate,
  masks: tasks.segment,
  depth: tasks.depth,
  keypoints: tasks.keypoints,
  pixels: tasks.reconstruct,
  restored: tasks.restore,
  classes: tasks.classify,
  outputs: tasks.outputs,
  features: tasks.features,
} satisfies {
  readonly [K in Answer['kind']]: Pick<Task<Extract<Answer, { readonly kind: K }>>, OfAnswer>;
};

/** A kind's own task takes its answers, which a union cannot show. */
const taskFor = ({ kind }: Pick<Answer, 'kind'>): Task => byKind[kind] as unknown as Task;

/** What an answer goes by where several may stand. */
export const answerName = (answer: Answer): string => taskFor(answer).answerName;

/** What the answers of a task go by. */
export const answerNameOf = (name: TaskName): string => tasks[name].answerName;

/** Returns the keys of an answer in the command line's JSON. */
export const answerJson = (answer: Answer): object => taskFor(answer).json(answer);

/** Returns an answer for people, a line each. */
export const answerLines = (answer: Answer): readonly string[] => taskFor(answer).lines(answer);

/** Returns an answer in the form that all tasks share. */
export const answerFiles = (answer: Answer): AnswerFiles => taskFor(answer).answers(answer);

/** The format of an ending, whichever task has it. */
export const formatNamed = (ending: string): FileFormat<Answer> | undefined =>
  Object.values<unknown>(tasks)
    .flatMap((task) => (task as Task).formats ?? [])
    .find((format) => format.ending === ending);

/** Files of other tools that an answer can be written as. */
export const answerFormats = (answer: Pick<Answer, 'kind'>): readonly FileFormat<Answer>[] =>
  taskFor(answer).formats ?? [];

/** Returns why a model is not for a task, for people; undefined if it is. */
export const whyNot = (name: TaskName, model: Model): string | undefined => tasks[name].serves(model);
