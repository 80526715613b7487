import { inspection } from '../../src/useCases/inspect';
import { report, reportFile, reportJson, scale } from '../../src/useCases/report';
import { hasGraph, graphsOfParts, type Model } from '../../src/models/model';
import { openModel } from '../../src/models/openedModels';
import { readTensor } from '../../src/checkpoint/values';

/** What one question came to: a text for people, or the error that refused it. */
export interface AnswerOrError {
  readonly about: string;
  readonly value: string | Error;
}

/** Elements of tensors whose values are read: what is read of larger ones is read by page. */
const readElements = 4096;

/** Asks a file all that views and commands ask without running it, or what its first view asks. */
export async function askEverything(file: string, isFirst = false): Promise<readonly AnswerOrError[]> {
  const opened = await caught('open', () => openModel(file));
  if (opened instanceof Error) return [{ about: 'open', value: opened }];
  const answers: AnswerOrError[] = [{ about: 'open', value: opened.checkpoint.warnings.join('\n') }];
  for (const [about, ask] of Object.entries(questions)) {
    if (isFirst && !firstQuestions.has(about)) continue;
    const value = await caught(about, () => ask(opened));
    answers.push({ about, value });
  }
  return answers;
}

const questions: Readonly<Record<string, (model: Model) => string | Promise<string>>> = {
  text: (model) => inspection(model).text,
  json: (model) => warningsIn(inspection(model).json),
  counts: (model) => (hasGraph(model) ? countsOf(model) : ''),
  graphs: (model) => (hasGraph(model) ? String(graphsOfParts(model).length) : ''),
  ...(process.env['SIZES']
    ? { otherSizes: (model) => (hasGraph(model) ? String(scale(model)?.points.length) : '') }
    : {}),
  values: async ({ checkpoint }) => {
    const small = checkpoint.selected.tensors.find(
      ({ shape }) => shape.reduce((product, size) => product * size, 1) <= readElements,
    );
    if (small) await readTensor(small);
    return '';
  },
};

/** What a document's first view asks. */
const firstQuestions: ReadonlySet<string> = new Set(['text', 'json']);

function countsOf(model: Model): string {
  const counted = report(model, { imageSize: null, batch: 1, lengths: {} });
  JSON.stringify(reportJson(counted));
  return (['markdown', 'csv'] as const)
    .map((format) => reportFile(model, format, counted).content)
    .join('\n');
}

/** What JSON says for people: figures that are not finite are null there. */
function warningsIn(json: Readonly<Record<string, unknown>>): string {
  JSON.stringify(json);
  return JSON.stringify([json['warnings'], json['nearest']]);
}

async function caught<T>(about: string, ask: () => T | Promise<T>): Promise<T | Error> {
  try {
    return await ask();
  } catch (error) {
    return error instanceof Error
      ? error
      : new TypeError(`${about} threw what is no error: ${String(error)}`);
  }
}
