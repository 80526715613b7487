import type { Given } from '../../src/tasks/run';

/** The template that CLIP's authors score classes with (Radford et al. 2021, §3.1.4). */
const usualTemplate = 'a photo of a {}';

/** Texts and template as they are typed in. */
export interface TypedPrompts {
  readonly text: string;
  readonly template: string;
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');

/** What was given, to be typed on: labels in a template, or whole prompts, which need none. */
export function promptsOf(given: Given | undefined): TypedPrompts {
  const { labels, prompts, template } = given ?? {};
  if (isTexts(prompts)) return { text: prompts.join('\n'), template: '' };
  if (!isTexts(labels)) return { text: '', template: usualTemplate };
  return { text: labels.join('\n'), template: typeof template === 'string' ? template : '' };
}

/** Lines that say something, each once: a text twice would share its score. */
export const linesOf = (text: string): readonly string[] => [
  ...new Set(
    text
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== ''),
  ),
];

/** What is wrong with a template; undefined if nothing is. */
export const templateError = (template: string): string | undefined =>
  template.trim() === '' || template.includes('{}')
    ? undefined
    : 'The template needs {} where a line is put.';

/** What the model is given: the lines, in the template if there is one. */
export const givenOf = (text: string, template: string): Given => ({
  labels: linesOf(text),
  ...(template.trim() !== '' && { template: template.trim() }),
});
