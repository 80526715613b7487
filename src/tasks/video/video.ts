import type { Classes } from '../answer';
import { classify } from '../classify/classify';
import type { Task } from '../task';

/** Names the classes of a clip, whose frames are the images that are given. */
export const video: Task<Classes> = {
  ...classify,
  serves(model) {
    const reason = classify.serves(model);
    if (reason !== undefined) return reason;
    const { recognition } = model;
    const task = recognition.family === null ? undefined : recognition.reading?.task;
    return task === 'video' ? undefined : 'it reads no clips';
  },
};
