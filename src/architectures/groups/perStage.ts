import { at } from '../../domain/lists';
import type { Evidence } from '../family';
import { numbersIn } from '../evidence';
import { decide, type Question, type Sources } from '../decide';

interface PerStageQuestion extends Omit<Question<number | readonly number[]>, 'is' | 'needed'> {
  /** Whether the number of one stage is one that the family can compute with. */
  readonly is: (number: number) => boolean;
  /** `whole number above 1` */
  readonly needed: string;
}

/**
 * A hyper-parameter that has a number for each of `count` stages; a single number stands for all.
 */
export function decidePerStage(
  sources: Sources,
  key: string,
  count: number,
  { is, needed, ...question }: PerStageQuestion,
): Evidence<readonly number[]> {
  const each = (value: Parameters<typeof numbersIn>[0]): readonly number[] => {
    const numbers = numbersIn(value);
    return numbers.length === 1 ? Array<number>(count).fill(at(numbers, 0)) : numbers;
  };
  const evidence = decide(sources, key, {
    ...question,
    is: (value) => each(value).length === count && each(value).every(is),
    needed: `one ${needed}, or ${count} of them`,
  });
  return { ...evidence, value: each(evidence.value) };
}
