import type { TaskName } from '../architectures/family';
import type { Model } from '../models/model';
import type { Answer } from './answer';
import { classify } from './classify/classify';
import { features } from './features/features';
import { outputs } from './outputs/outputs';
import type { Task } from './task';

/** Every task, in the order in which a model is asked whether it serves one. */
export const tasks = { classify, outputs, features } satisfies Record<TaskName, Task>;

/** Returns the first task that a model serves. Throws if it serves none. */
export function taskOf(model: Model): Task {
  const rows: readonly Task[] = Object.values(tasks);
  const reasons = rows.map((task) => task.serves(model));
  const found = rows.find((_, index) => reasons[index] === undefined);
  if (!found) throw new Error(`${model.checkpoint.path}: ${[...new Set(reasons)].join('; ')}`);
  return found;
}

/** Returns the keys of an answer in the command line's JSON. */
export function answerJson(answer: Answer): object {
  switch (answer.kind) {
    case 'classes':
      return tasks.classify.json(answer);
    case 'outputs':
      return tasks.outputs.json(answer);
    case 'features':
      return tasks.features.json(answer);
  }
}
