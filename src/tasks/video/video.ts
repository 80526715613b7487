import type { Classes } from '../answer';
import { classify } from '../classify/classify';
import type { Model } from '../../models/model';
import type { Task } from '../task';

/** Whether a model reads the frames of a clip in place of an image. */
export const readsClips = ({ recognition }: Pick<Model, 'recognition'>): boolean =>
  recognition.family !== null && recognition.reading?.task === 'video';

/** Names the classes of a clip, whose frames are the images that are given. */
export const video: Task<Classes> = {
  ...classify,
  serves(model) {
    const reason = classify.serves(model);
    if (reason !== undefined) return reason;
    return readsClips(model) ? undefined : 'it reads no clips';
  },
};
