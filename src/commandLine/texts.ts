import { join } from 'node:path';
import { writeSafetensors } from '../checkpoint/formats/safetensorsWriter';
import { formatMilliseconds } from '../domain/units';
import type { Given } from '../tasks/run';
import { answerJson, answerLines } from '../tasks/tasks';
import type { TextRun } from '../tasks/textRun';
import type { Outcome, Session } from './session';

/** What is given to a model that reads texts, and the texts, one line of answers each. */
export interface TextsGiven {
  readonly texts: readonly string[];
  readonly given: Given;
}

/** Asks a model that reads no image about each text by itself. */
export async function predictTexts(
  session: Session,
  checkpoint: string,
  { texts, given }: TextsGiven,
): Promise<void> {
  const { out } = session.options;
  let count = 0;
  const answer = async (text: string): Promise<Outcome> => {
    const runner = await session.runner();
    const run = await runner.write({
      checkpoint,
      model: await session.settings(),
      given: { ...given, text },
      maps: out !== '',
      onText: (written) => session.progress(written),
    });
    const index = count++;
    const files = out === '' ? [] : await session.heeding(() => writeMaps(out, index, run));
    const json = {
      path: checkpoint,
      images: [],
      text,
      task: run.task,
      provider: run.provider,
      milliseconds: run.times,
      answers: {},
      ...answerJson(run.answer),
      generation: generationOf(run),
      ...(files.length > 0 && { files }),
      warnings: run.warnings,
    };
    return { json, text: textOf(text, run) };
  };
  await session.each(texts, answer, (text) => ({ path: checkpoint, text }));
}

/** Generated texts in the form of `generation` of a case. */
function generationOf({ answer }: TextRun): readonly object[] {
  if (answer.kind !== 'translation') return [];
  return answer.texts.map(({ name, ids, text, textWithSpecial, tokens, ending, score }) => ({
    name,
    ids,
    text: [text],
    text_with_special: [textWithSpecial],
    tokens: tokens.map((token) => ({ id: token.id, token: token.text, log_probability: token.score })),
    ending,
    ...(score !== undefined && { score }),
  }));
}

/** Writes what every token looked at, `[heads, queries, keys]` by the names of the layers. */
async function writeMaps(folder: string, index: number, { maps }: TextRun): Promise<readonly string[]> {
  if (maps.length === 0) return [];
  const file = join(folder, `${index}.safetensors`);
  const tensors = maps.map(({ layer, heads, queries, keys, values }) => ({
    name: layer,
    dtype: 'F32' as const,
    shape: [heads, queries, keys],
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  }));
  await writeSafetensors(file, tensors);
  return [file];
}

function textOf(text: string, run: TextRun): string {
  const { modelTitle, provider, times, answer, warnings } = run;
  return [
    `${text}: ${modelTitle}, ${provider}, ${formatMilliseconds(times.run)} (loading ${formatMilliseconds(times.load)})`,
    ...answerLines(answer).map((line) => `  ${line}`),
    ...warnings.map((warning) => `  warning: ${warning}`),
    '',
  ].join('\n');
}
