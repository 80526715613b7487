/** Classes of errors that JavaScript throws by itself: one that is shown is a fault of ours. */
const internal = [TypeError, RangeError, ReferenceError, SyntaxError, URIError, EvalError];

/** Words of such errors, should one have been wrapped into another or into a warning. */
const internalWords =
  /Maximum call stack|Invalid (array|string|typed array|count) ?(length|value)?|Array buffer allocation|cannot be converted to a BigInt|Cannot (mix|read prop|set prop|convert|destructure|access)|is not (a function|iterable|defined|a constructor)|\bundefined\b|\bNaN\b|\[object |Assertion|out of range\. It must|Unexpected (token|end of JSON)/;

/** Errors of the file system have a code; ours say what it means for the file. */
const isOfSystem = (error: Error): boolean => 'code' in error && error.name !== 'CheckpointError';

/**
 * Where the inside of the program shows through an answer: an error of a class that is not ours, or
 * its words in a text for people.
 */
export function seamsOf(value: unknown): readonly string[] {
  if (value instanceof Error) {
    if (internal.some((kind) => value instanceof kind) || isOfSystem(value))
      return [`${value.name}: ${value.message}\n${stackOf(value)}`];
    const found = seamsOf(value.message);
    return found.map((line) => `${value.name}: ${line}\n${stackOf(value)}`);
  }
  if (typeof value !== 'string') return [];
  return value
    .split('\n')
    .filter((line) => internalWords.test(line))
    .slice(0, 3);
}

/** The innermost places of a stack, enough to know the same fault again. */
const stackOf = (error: Error): string =>
  (error.stack ?? '')
    .split('\n')
    .filter((line) => line.trimStart().startsWith('at '))
    .slice(0, 4)
    .join('\n');
