import type { Session } from './session';

/** `vitrine inspect` */
export async function inspect(session: Session, paths: readonly string[]): Promise<void> {
  const { inspection } = await import('../useCases/inspect');
  await session.each(paths, async (path) => {
    const { json, text } = inspection(await session.open(path));
    return { json: { path, ...json }, text };
  });
}

/** `vitrine complexity` */
export async function complexity(session: Session, paths: readonly string[]): Promise<void> {
  const { inspection } = await import('../useCases/inspect');
  const { report, reportFile, reportJson } = await import('../useCases/report');
  const { batch, format } = session.options;
  await session.each(paths, async (path) => {
    const model = await session.open(path);
    const { json, text } = inspection(model);
    // Without a graph there is nothing to count but the tensors: the file is shown as what it is.
    if (!model.imageSize) return { json: { path, ...json }, text };
    const counted = report(model, null, batch);
    return {
      json: { path, ...json, ...reportJson(counted) },
      text: reportFile(model, format, counted).content,
    };
  });
}
