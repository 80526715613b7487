import type { ByPath, PathRunner } from '../../src/useCases/run';
import { guessesOf } from '../../src/tasks/answer';
import type { ClassifyRequest } from '../../src/inference/service';
import type { NotFound, OtherWay } from './findPeers';
import { startInference } from './inference';
import { ownProgram, Peer } from './processes';
import { agreement, measurePairs, spreadOf, type Paired } from './statistics';
import { formatTime, missingRow, ratioRow, type Row } from './table';
import { image, type Workload } from './workload';

/** Many, because the target is nearer to 1 than two runs on a busy machine are to each other. */
const turns = 60;
/** Turns against peers whose runs take longer; those of small models scatter. */
const peerTurns = 15;
/**
 * Runs before measuring: by then the session with packed weights is in place, and peers have warmed
 * up.
 */
const warmUps = 4;

/** Milliseconds of one request by its parts. */
interface Parts {
  readonly run: number;
  readonly decode: number;
  readonly preprocess: number;
  /** All that is left: both ends of the channel, the images that are sent back, the softmax. */
  readonly messages: number;
}

/** Classifies one image again and again, and keeps what each request spent its time on. */
class Warm {
  readonly parts: Parts[] = [];

  constructor(
    private readonly inference: PathRunner,
    private readonly request: ByPath<ClassifyRequest>,
  ) {}

  /** Classifies once; milliseconds that the runtime took. */
  async run(): Promise<number> {
    const started = performance.now();
    const { times } = await this.inference.classify(this.request);
    const { run, decode, preprocess, load } = times;
    const messages = performance.now() - started - run - decode - preprocess - load;
    this.parts.push({ run, decode, preprocess, messages });
    return run;
  }

  async warmUp(): Promise<void> {
    for (let run = 0; run < warmUps; run++) await this.run();
    this.parts.length = 0;
  }

  /** Median of a part, and of the whole request. */
  median(part: keyof Parts | 'whole'): number {
    const whole = (parts: Parts): number => parts.run + parts.decode + parts.preprocess + parts.messages;
    return spreadOf(this.parts.map((parts) => (part === 'whole' ? whole(parts) : parts[part]))).median;
  }
}

/** Further images on a loaded model, against the runtime alone on the same graph. */
export async function measureWarm(workload: Workload): Promise<readonly Row[]> {
  const inference = startInference();
  const bare = await Peer.start(ownProgram('peers/bareRuntime', workload.graph));
  const lastLayer = await Peer.start(ownProgram('peers/bareRuntime', workload.graphWithLastLayer));
  const peer = 'bare onnxruntime-node on the same graph';
  const request = { checkpoint: workload.weights, image, options: { provider: 'cpu' } };
  try {
    for (const each of [bare, lastLayer]) for (let run = 0; run < warmUps; run++) await each.run();
    const plain = await measureRequests(new Warm(inference, request), bare);
    const one = await measurePairs(
      turns,
      () => lastLayer.run(),
      () => bare.run(),
    );
    const all = await measureRequests(new Warm(inference, { ...request, attention: true }), bare);
    return [
      ratioRow('warm run', peer, plain.paired, 1.05),
      ...apart(plain.warm),
      ratioRow('warm run with attention of one layer', `${peer}; in the bare runtime`, one, 1.15),
      ratioRow('warm run with attention of all layers', peer, all.paired, 1.15),
    ];
  } finally {
    await Promise.all([bare.end(), lastLayer.end(), inference.dispose()]);
  }
}

async function measureRequests(warm: Warm, bare: Peer): Promise<{ paired: Paired; warm: Warm }> {
  await warm.warmUp();
  const paired = await measurePairs(
    turns,
    () => warm.run(),
    () => bare.run(),
  );
  return { paired, warm };
}

/** What a request costs besides the run; these rows have no target of their own. */
function apart(warm: Warm): readonly Row[] {
  const titles = {
    decode: 'decoding',
    preprocess: 'resizing and normalising',
    messages: 'messages and the rest',
  };
  return Object.entries(titles).map(([part, title]) => ({
    what: `  apart: ${title}`,
    value: spreadOf(warm.parts.map((parts) => parts[part as keyof Parts])),
    unit: 'ms',
    detail: `of ${formatTime(warm.median('whole'))} per image`,
  }));
}

/** Further images from file to answer, against another way. */
export async function measureWarmPeer(
  weights: string,
  other: OtherWay | NotFound,
  { what, target }: Pick<Row, 'what' | 'target'>,
): Promise<readonly Row[]> {
  if ('notFound' in other) return [missingRow(what, other.notFound)];
  // First the other: it may make the weights.
  const peer = await Peer.start(other.command);
  const inference = startInference();
  // Labels alone, as the other gives them: no image to draw.
  const request = { checkpoint: weights, image, options: { provider: 'cpu' }, displaySide: 0 };
  try {
    const { answer } = await inference.classify(request);
    const same = agreement(
      guessesOf(answer).map(({ index }) => index),
      (peer.first as { top: readonly number[] }).top,
    );
    const warm = new Warm(inference, request);
    await warm.warmUp();
    for (let run = 0; run < warmUps; run++) await peer.run();
    const whole = async (): Promise<number> => {
      const started = performance.now();
      await warm.run();
      return performance.now() - started;
    };
    const paired = await measurePairs(peerTurns, whole, () => peer.run());
    return [ratioRow(what, `${other.title}; ${same}`, paired, target)];
  } finally {
    await Promise.all([peer.end(), inference.dispose()]);
  }
}
