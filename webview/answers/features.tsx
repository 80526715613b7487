import type { Features } from '../../src/tasks/answer';
import { Banner } from '../kit/status';
import type { AnswerView } from './answerView';

/** A model without a head has nothing to read. */
export const features: AnswerView<Features> = {
  spoken: () => 'Features are ready; the model has no labels.',
  leads: false,
  View: () => <Banner icon="info">This checkpoint has no classifier: it gives features, no labels.</Banner>,
};
