import type { Features } from '../../src/tasks/answer';
import { Banner } from '../kit/status';
import type { AnswerView } from './answerView';
import { Output } from './outputs';

/** A model without a head has nothing to read but a vector. */
export const features: AnswerView<Features> = {
  spoken: () => 'Features are ready; the model has no labels.',
  leads: false,
  View: ({ answer: { vector }, seen, onCopy }) => (
    <>
      <Banner icon="info">This checkpoint has no classifier: it gives features, no labels.</Banner>
      {vector && <Output output={vector} seen={seen} onCopy={onCopy} />}
    </>
  ),
};
