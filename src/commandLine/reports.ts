import type { ComplexityReport } from '../domain/report';
import type { Session } from './session';

/** `vitrine inspect` */
export async function inspect(session: Session, paths: readonly string[]): Promise<void> {
  const { inspectionJson, inspectionText } = await import('../analysis/inspection');
  await session.each(paths, async (path) => {
    const model = await session.open(path);
    return { json: { path, ...inspectionJson(model) }, text: inspectionText(model) };
  });
}

/** `vitrine complexity` */
export async function complexity(session: Session, paths: readonly string[]): Promise<void> {
  const { inspectionJson, inspectionText } = await import('../analysis/inspection');
  const { reportOf, reportSubject } = await import('../analysis/report');
  const { reportText } = await import('../analysis/reportText');
  const { batch, format } = session.options;
  await session.each(paths, async (path) => {
    const model = await session.open(path);
    // Without a graph there is nothing to count but the tensors: the file is shown as what it is.
    if (!model.imageSize) return { json: { path, ...inspectionJson(model) }, text: inspectionText(model) };
    const report = reportOf(model, { batch });
    return {
      json: { path, ...inspectionJson(model), ...reportJson(report) },
      text: reportText(format, report, reportSubject(model)),
    };
  });
}

/** The report in the command line's words; rows of folded groups are left out, their members stand for themselves. */
function reportJson({ modules, ...report }: ComplexityReport): object {
  const rows = modules.filter(({ kind }) => kind === 'module');
  return {
    batch: report.batch,
    macs: report.macs,
    flops: report.flops,
    weight_bytes: report.weightBytes,
    activation_bytes: report.activationBytes,
    peak_activation_bytes: report.peakActivationBytes,
    attention_bytes: report.attentionBytes,
    tokens: report.tokens,
    conventions: report.conventions,
    modules: rows.map(({ path, depth, params, macs, activationBytes }) => ({
      path,
      depth,
      params,
      macs,
      activation_bytes: activationBytes,
    })),
  };
}
