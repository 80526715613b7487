import { startInference, withIdleProcess } from './inference';
import { childProcesses, peakBytes } from './processes';
import { spreadOf } from './statistics';
import { missingRow, type Row } from './table';
import { image, type Workload } from './workload';

/** After the third run the session with packed weights is in place. */
const runs = 5;
/** Processes that are looked at. */
const repeats = 3;

/** Bytes of one inference process: its peak at the first answer, and after further ones. */
interface Peaks {
  readonly idle: number;
  readonly first: number;
  readonly later: number;
}

/** The inference process's peak above that of an idle one, as a multiple of the weights' bytes. */
export async function measureMemory(workload: Workload): Promise<readonly Row[]> {
  if (process.platform !== 'linux') return [missingRow('peak memory', 'it is only read on Linux')];
  const peaks: Peaks[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) peaks.push(await peaksOf(workload));
  const row = (what: string, key: 'first' | 'later'): Row => ({
    what: `peak memory ${what}, above an idle process`,
    value: spreadOf(peaks.map((peak) => (peak[key] - peak.idle) / workload.weightBytes)),
    unit: '×',
    target: 1.3,
    detail: describe(peaks[0]!, key, workload),
  });
  return [row('at the first answer', 'first'), row('after warm runs', 'later')];
}

async function peaksOf({ weights }: Workload): Promise<Peaks> {
  const idle = await withIdleProcess(peakBytes);
  const inference = startInference();
  try {
    const others = childProcesses();
    const classify = () => inference.classify({ checkpoint: weights, image, options: { provider: 'cpu' } });
    await classify();
    const own = childProcesses().find((id) => !others.includes(id))!;
    const first = peakBytes(own);
    for (let run = 1; run < runs; run++) await classify();
    return { idle, first, later: peakBytes(own) };
  } finally {
    await inference.dispose();
  }
}

const describe = (peaks: Peaks, key: keyof Peaks, { weightBytes }: Workload): string =>
  `${megabytes(peaks[key])} resident, idle ${megabytes(peaks.idle)}, weights ${megabytes(weightBytes)}`;

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
