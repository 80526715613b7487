import type { Outcome, Session } from './session';

/** `vitrine inspect` */
export async function inspect(session: Session, paths: readonly string[]): Promise<void> {
  const { inspection } = await import('../useCases/inspect');
  await session.each(paths, async (path) => {
    return withPath(path, inspection(await session.open(path), session.options.lengths));
  });
}

/** An answer whose JSON says of which file it is. */
const withPath = (path: string, answer: Outcome): Outcome => ({
  get json() {
    return { path, ...answer.json };
  },
  get text() {
    return answer.text;
  },
});

/** `vitrine complexity` */
export async function complexity(session: Session, paths: readonly string[]): Promise<void> {
  const { inspection } = await import('../useCases/inspect');
  const { report, reportFile, reportJson } = await import('../useCases/report');
  const { hasGraph } = await import('../models/model');
  const { batch, format, lengths } = session.options;
  await session.each(paths, async (path) => {
    const model = await session.open(path);
    const found = withPath(path, inspection(model, lengths));
    // Without a graph there is nothing to count but the tensors: the file is shown as what it is.
    if (!hasGraph(model)) return found;
    const counted = report(model, { imageSize: null, batch, lengths });
    return {
      get json() {
        return { ...found.json, ...reportJson(counted) };
      },
      get text() {
        return reportFile(model, format, counted).content;
      },
    };
  });
}
