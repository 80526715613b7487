import type { Session } from './session';

/** `vitrine inspect` */
export async function inspect(session: Session, paths: readonly string[]): Promise<void> {
  const { inspectionJson, inspectionText } = await import('../analysis/inspection');
  await session.each(paths, {}, async (path) => {
    const model = await session.open(path);
    return { json: { path, ...inspectionJson(model) }, text: inspectionText(model) };
  });
}

/** `vitrine complexity` */
export async function complexity(session: Session, paths: readonly string[]): Promise<void> {
  const { inspectionJson } = await import('../analysis/inspection');
  const { reportOf } = await import('../analysis/report');
  const { batch } = session.options;
  await session.each(paths, {}, async (path) => {
    const model = await session.open(path);
    const report = reportOf(model, { batch });
    return { json: { path, ...inspectionJson(model), ...reportJson(report) }, text: '' };
  });
}
