import { formatPercent } from '../../domain/units';
import type { Text, WrittenText } from '../answer';
import { cannotRun, type Prepared, type Task } from '../task';
import { generationsOf, readerOf, textAnswer, writes, writingSteps, type Generations } from '../writing';
import type { TextReader } from '../writing';

/** What a text is written with. */
interface PreparedText extends Prepared, Generations {
  readonly reader: TextReader;
}

const isPreparedText = (given: Prepared | undefined): given is PreparedText =>
  given !== undefined && 'generations' in given;

/** Describes an image, or reads what is written on it: what the model was trained to. */
export const caption: Task<Text> = {
  answerName: 'text',
  serves(model) {
    const reason = cannotRun(model);
    if (reason !== undefined) return reason;
    const { recognition } = model;
    const reading = recognition.family === null ? undefined : recognition.reading;
    return reading?.task === 'caption' && writes(model) ? undefined : 'it writes no text of an image';
  },
  async prepare(model, given): Promise<PreparedText> {
    const { recognition } = model;
    const reading = recognition.family === null ? undefined : recognition.reading;
    if (reading?.task !== 'caption') throw new Error('the model writes no text of an image');
    const { reader, tokenizer } = await readerOf(model);
    const settled = await generationsOf(model, reading.writing, given, tokenizer);
    return { tensors: {}, ...settled, reader, textOf: reader.text };
  },
  program(model, size, given) {
    if (!isPreparedText(given)) throw new Error('the text was not prepared');
    return { steps: writingSteps(model, size, given, given.generations) };
  },
  read(_outputs, _seen, { given, written = [] }) {
    if (!isPreparedText(given)) throw new Error('the text was not prepared');
    return textAnswer(written, { ...given, asks: 'prompt' });
  },
  json: textJson,
  lines: textLines,
  answers: textFiles,
};

/** The keys of a text in the command line's JSON. */
export function textJson({ question, searches, missing }: Text): object {
  return {
    ...(missing !== undefined && { missing }),
    ...(question !== undefined && { question }),
    texts: searches.flatMap(({ name, texts }) =>
      texts.map(({ ids, text, withSpecial, score, ending, tokens }) => ({
        ...{ name, ids, text, text_with_special: withSpecial, ending },
        ...(score !== undefined && { score }),
        tokens: tokens.map(({ id, text: word, score: own }) => ({ id, text: word, log_probability: own })),
      })),
    ),
  };
}

/** What is printed of a text for people: the text, and how sure the model was of its tokens. */
export function textLines({ question, searches, missing }: Text): readonly string[] {
  return [
    ...(question === undefined ? [] : [question]),
    ...(missing === undefined ? [] : [missing]),
    ...searches.flatMap(({ name, texts }) =>
      texts.flatMap((each) => [
        searches.length > 1 ? `${name}: ${each.text}` : each.text,
        `  ${each.tokens.map(({ text, score }) => `${text} ${formatPercent(Math.exp(score))}`).join(' · ')}`,
        ...(endings[each.ending] === undefined ? [] : [`  ${endings[each.ending] ?? ''}`]),
      ]),
    ),
  ];
}

const endings: Readonly<Partial<Record<WrittenText['ending'], string>>> = {
  length: 'cut off: no end before the most tokens that are written',
  stopped: 'stopped before its end',
};

/** A text in the form that all tasks share. */
export function textFiles({ searches }: Text): ReturnType<Task<Text>['answers']> {
  return {
    generation: searches.map(({ name, texts }) => ({
      name,
      ids: texts[0]?.ids ?? [],
      text: texts.map(({ text }) => text),
      text_with_special: texts.map(({ withSpecial }) => withSpecial),
      ...(texts[0]?.score !== undefined && { score: texts.map(({ score }) => score) }),
    })),
  };
}
