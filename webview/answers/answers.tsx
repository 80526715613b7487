import type { Answer } from '../../src/tasks/answer';
import type { AnswerView } from './answerView';
import { boxes } from './boxes';
import { classes } from './classes';
import { depth } from './depth';
import { keypoints } from './keypoints';
import { features } from './features';
import { masks } from './masks';
import { outputs } from './outputs';
import { pixels } from './pixels';
import { restored } from './restored';
import { replies } from './replies';
import { scores } from './scores';
import { text } from './text';
import { translation } from './translation';

/** One view per kind of answer. */
const views: { readonly [Kind in Answer['kind']]: AnswerView<Extract<Answer, { kind: Kind }>> } = {
  boxes,
  masks,
  depth,
  keypoints,
  pixels,
  restored,
  classes,
  scores,
  replies,
  text,
  translation,
  outputs,
  features,
};

/**
 * The view of an answer. The table pairs each kind with its own type, which a look-up by a union
 * cannot express.
 */
export const viewOf = ({ kind }: Answer): AnswerView<Answer> => views[kind] as AnswerView<Answer>;
