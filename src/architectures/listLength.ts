import { ParameterError } from '../graph/builder';
import { largest } from '../domain/lists';
import { modelLimits } from './limits';

/**
 * Returns how many modules a numbered list has whose members go by these numbers: one more than the
 * greatest. Throws `ParameterError` if no network has as many; what is done for each member would
 * be done for every number that a name states.
 */
export function listLength(path: string, numbers: Iterable<number>): number {
  const most = Math.max(-1, largest(numbers));
  if (most < modelLimits.listMembers) return most + 1;
  throw new ParameterError(
    `${path}.${most}`,
    `the list would have ${most + 1} modules, no network has more than ${modelLimits.listMembers}`,
  );
}
