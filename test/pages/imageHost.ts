import { cocoBones, cocoKeypointNames } from '../../src/labels/cocoKeypoints';
import type { Answer } from '../../src/tasks/answer';
import { readOutputs, spreadOf, vectorOf } from '../../src/tasks/outputs/reading';
import type { Region, Run, RunOptions } from '../../src/tasks/run';
import type { OutputValues } from '../../src/tasks/task';
import type { Pixels } from '../../src/domain/pixels';
import type { AttentionRows, Query } from '../../src/domain/query';
import type { CallContext } from '../../src/protocol/channel';
import type { ImagePanelApi, ImagePanelEvents, RunProgress } from '../../src/protocol/image';
import { tokenCount, type Probe } from '../../src/domain/probes';
import { seeded } from '../support/random';
import recorded from '../fixtures/pages/cat-on-grass.json';
import crossed from '../fixtures/pages/crossed.json';
import gates from '../fixtures/pages/gates.json';
import staged from '../fixtures/pages/staged.json';
import { clipRows, clipView } from './clip';
import { captionerRegion, captionerRows, captionerView } from './captioner';
import { detectorRegion, detectorRows, detectorView, finderRows, finderView } from './detector';
import { promptedRegion, promptedView } from './prompter';
import { failure, never, serveDemo, shownCase } from './host';
import { vitB16, vitrineSample } from './vit';
import { indexOfSample, placesRegion, slowly as slowlyBeside, whyApi } from './why';

const config = shownCase === 'large' ? { ...vitB16, depth: 32, heads: 16 } : vitrineSample;
const wide = shownCase === 'wide';
const grid: readonly [number, number] = wide
  ? [8, 24]
  : [config.image[0] / config.patch, config.image[1] / config.patch];
const channels = shownCase === 'channels';
/** Everything as the sample model answers it. */
const sample = shownCase === 'sample';

/** A detector with a decoder, as `detector.ts` has it. */
const detector = shownCase === 'boxes';

/** A captioner, as `captioner.ts` has it. */
const captioner = shownCase === 'text';

const special = sample ? ['cls'] : ['cls', 'reg0', 'reg1'];
const layout = channels ? { channels: 40 } : { special, grid };
const probes: readonly Probe[] = Array.from({ length: config.depth }, (_, index) => ({
  value: `blocks.${index}.attn/Softmax`,
  layer: `blocks.${index}`,
  kind: channels ? 'channel' : 'self',
  heads: config.heads,
  queries: layout,
  keys: layout,
}));

/**
 * A small network of another kind as it answered: its part of the view, and the rows of two
 * queries.
 */
interface Recorded {
  readonly view: Pick<Run, 'probes' | 'inputSize' | 'answer'> & { readonly region: Region };
  readonly mean: readonly (readonly (number | null)[])[];
  readonly patch: readonly (readonly (number | null)[])[];
}
const networks: Readonly<Record<string, unknown>> = {
  staged: staged.attention,
  gates: gates.attention,
  crossed: crossed.attention,
};
const network = networks[shownCase] as Recorded | undefined;

/**
 * Not awaited here: the component kit takes its theme at the page's load event, which waits for no
 * module that does.
 */
const image = pixelsOf('cat-on-grass.jpg');

async function pixelsOf(name: string): Promise<Pixels> {
  const bitmap = await createImageBitmap(await (await fetch(name)).blob());
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d') as OffscreenCanvasRenderingContext2D;
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3)
    rgb.set(data.subarray(from, from + 3), to);
  return { width, height, rgb };
}

/** A softmax over the keys with a hill that moves with the head and narrows with the layer. */
function weights(layer: number, head: number, query: Query): Float32Array {
  const keys = tokenCount(layout);
  const special = keys - (channels ? 40 : grid[0] * grid[1]);
  const random = seeded(1000 * layer + head);
  const [y, x] =
    query.kind === 'patch'
      ? [query.row, query.column]
      : [grid[0] * (0.3 + 0.4 * random()), grid[1] * (0.3 + 0.4 * random())];
  const spread = grid[0] * (0.7 - (0.5 * layer) / config.depth);
  const row = Float32Array.from({ length: keys }, (_, key) => {
    if (key < special) return 6 * random();
    const [dy, dx] = [Math.floor((key - special) / grid[1]) - y, ((key - special) % grid[1]) - x];
    return Math.exp((-(dy * dy) - dx * dx) / (2 * spread * spread)) + 0.1 * random();
  });
  const sum = row.reduce((whole, value) => whole + value, 0);
  return row.map((value) => value / sum);
}

function recordedRows({ mean, patch }: Recorded, query: Query): readonly Float32Array[] {
  return (query.kind === 'patch' ? patch : mean).map((row) =>
    Float32Array.from(row, (value) => value ?? NaN),
  );
}

function rolloutOf(query: Query): readonly Float32Array[] {
  if (network ?? (detector || captioner)) return probes.map(() => new Float32Array(0));
  if (sample && query.kind === 'special') return recorded.rollout.map((row) => Float32Array.from(row));
  return probes.map((_, layer) => (channels ? new Float32Array(0) : weights(layer, 99, query)));
}

/** The encoder answers patches, the decoder its own tokens: each has a hill of its own. */
function promptedRows(query: Query): readonly Float32Array[] {
  const rows = (seed: number): Float32Array => {
    const [y, x] = [10 + ((7 * seed) % 30), 10 + ((11 * seed) % 40)];
    const values = Float32Array.from({ length: 2 * 64 * 64 }, (_, at) => {
      const [row, column] = [Math.floor(at / 64) % 64, at % 64];
      return Math.exp(-((row - y) ** 2 + (column - x) ** 2) / 80);
    });
    return values;
  };
  const isToken = query.kind === 'special' || query.kind === 'query';
  return [
    isToken ? new Float32Array(0) : rows(3),
    query.kind === 'patch' ? new Float32Array(0) : rows(query.kind === 'special' ? query.name.length : 5),
  ];
}

function rowsOf(query: Query): readonly Float32Array[] {
  if (shownCase.startsWith('prompts')) return promptedRows(query);
  if (shownCase === 'clip') return clipRows();
  if (detector) return detectorRows(query);
  if (captioner) return captionerRows(query);
  if (network) return recordedRows(network, query);
  if (sample && query.kind === 'special') return recorded.rows.map((row) => Float32Array.from(row));
  const heads = (layer: number): Float32Array => {
    const all = Array.from({ length: config.heads }, (_, head) => weights(layer, head, query));
    return Float32Array.from(all.flatMap((row) => [...row]));
  };
  return probes.map((_, layer) => heads(layer));
}

const IMAGE = '/home/you/pictures/cat-on-grass.jpg';
const CHECKPOINT = '/home/you/models/vitrine-sample/model.safetensors';

const labels: readonly (readonly [label: string, score: number])[] = [
  ['cat', 0.973],
  ['dog', 0.011],
  ['horse', 0.004],
  ['rabbit', 0.0021],
  ['turtle', 0.0009],
];

const regions: Readonly<Record<string, Region>> = {
  sample: recorded.region,
  why: placesRegion,
  'why-slow': placesRegion,
  'why-sample': recorded.region,
  boxes: detectorRegion,
  prompts: promptedRegion,
  'prompts-given': promptedRegion,
  text: captionerRegion,
  found: detectorRegion,
  padded: { x: 0, y: -80, width: 640, height: 640 },
  wide: { x: 0, y: 133, width: 640, height: 213 },
};

const native: readonly [number, number] = config.image;

/** What the recorded network answered instead; its region is a part of what was seen. */
const { region: _, ...fromRecord } = network?.view ?? { region: undefined };

const classes: Answer = {
  kind: 'classes',
  top: labels.map(([label, score], index) => ({
    index: shownCase === 'why-sample' ? indexOfSample(label) : index,
    label,
    score,
  })),
  classes: 29,
  scoreKind: 'softmax',
  labelSource: 'config.json: label_names',
};

/** The same of the model of known places. */
const ofPlaces: Answer = {
  kind: 'classes',
  top: [
    { index: 0, label: 'corner', score: 0.845 },
    { index: 1, label: 'floor', score: 0.155 },
    { index: 2, label: 'never', score: 0.0001 },
  ],
  classes: 3,
  scoreKind: 'softmax',
  labelSource: 'classes.txt',
};

/** A hill at the middle of each channel's own quarter. */
function hills(channels: number, rows: number, columns: number): Float32Array {
  const values = new Float32Array(channels * rows * columns);
  return values.map((_, at) => {
    const channel = Math.floor(at / (rows * columns));
    const [row, column] = [Math.floor(at / columns) % rows, at % columns];
    const [y, x] = [(row + 0.5) / rows - 0.3 - 0.2 * channel, (column + 0.5) / columns - 0.7];
    return Math.exp(-20 * (y * y + x * x));
  });
}

const outputValues = (
  name: string,
  means: OutputValues['means'],
  shape: readonly number[],
  values: Float32Array,
): OutputValues => ({ name, means, shape, values });
const wave = Float32Array.from({ length: 384 }, (_, at) => Math.sin(0.2 * at) * Math.cos(0.031 * at));
const saliency = outputValues('focus', 'maps', [1, 128, 128], hills(1, 128, 128));
const vector = outputValues('image_embeds', 'features', [1, 384], wave);

/** Stripes of ground, wall and sky, as a segmenter would tell them. */
const stripes = Int16Array.from(
  { length: 480 * 640 },
  (_, at) => [2, 0, 12][Math.floor(at / (160 * 640))] ?? -1,
);
const far = Float32Array.from({ length: 480 * 640 }, (_, at) => 1.2 + 7 * (1 - Math.floor(at / 640) / 480));

const side = 128;
const inside = (place: number): readonly [row: number, column: number] => [
  Math.floor((place % (side * side)) / side),
  place % side,
];
/** Patches of 16 pixels of which three of four are hidden. */
const hidden = Float32Array.from({ length: side * side }, (_, at) => {
  const [row, column] = inside(at).map((place) => Math.floor(place / 16)) as [number, number];
  return (row * 7 + column * 3) % 4 === 0 ? 0 : 1;
});
const drawn = Float32Array.from({ length: 3 * side * side }, (_, at) => {
  const [row, column] = inside(at);
  return 90 + 60 * Math.sin(row / 19) + 40 * Math.cos(column / 13) + 20 * Math.floor(at / (side * side));
});
const rebuilt: Answer = {
  kind: 'pixels',
  grid: [side, side],
  reconstruction: drawn,
  pasted: drawn,
  hidden,
  patches: 64,
  hiddenPatches: hidden.reduce((sum, value) => sum + value, 0) / 256,
  seed: 0,
  error: 23.4,
  normalised: true,
};

/** The same drawing as if it was enlarged from half of it. */
const restored: Answer = {
  kind: 'restored',
  grid: [2 * side, 2 * side],
  scale: 2,
  planes: Uint8Array.from({ length: 12 * side * side }, (_, at) => {
    const [row, column] = [Math.floor((at % (4 * side * side)) / (2 * side)), at % (2 * side)];
    return (
      100 + 50 * Math.sin(row / 38) + 40 * Math.cos(column / 26) + 20 * Math.floor(at / (4 * side * side))
    );
  }),
};

/** A person of COCO's keypoints, standing on the grass; the left wrist is not sure. */
const bodyPlaces: readonly (readonly [x: number, y: number])[] = [
  ...([
    [320, 110],
    [332, 98],
    [308, 98],
    [348, 106],
    [292, 106],
    [374, 170],
    [266, 170],
  ] as const),
  ...([
    [400, 232],
    [240, 236],
    [412, 290],
    [228, 160],
    [352, 292],
    [288, 292],
  ] as const),
  ...([
    [362, 366],
    [280, 368],
    [368, 440],
    [274, 442],
  ] as const),
];
const posed: Answer = {
  kind: 'keypoints',
  points: bodyPlaces.map((point, label) => ({
    label,
    name: cocoKeypointNames(17)?.[label] ?? '',
    score: label === 9 ? 0.12 : 0.96 - 0.03 * label,
    point,
    place: [Math.floor((point[1] / 480) * 64), Math.floor(((point[0] - 80) / 480) * 48)],
  })),
  threshold: 0.3,
  bones: cocoBones(17),
  grid: [64, 48],
  labelSource: 'assumed: COCO, because there are 17 keypoints; no names are stored',
  warnings: [],
};

/** Sky above, grass below, and a square cat in the middle. */
const kinds = Float32Array.from({ length: 96 * 96 }, (_, at) => {
  const [row, column] = [Math.floor(at / 96), at % 96];
  const isCat = Math.abs(row - 48) < 16 && Math.abs(column - 48) < 16;
  return isCat ? 1 : row < 48 ? 3 : 2;
});

/** What models answer that are no classifiers. */
const answers: Readonly<Record<string, Answer>> = {
  masks: {
    kind: 'masks',
    of: 'classes',
    grid: [480, 640],
    ids: stripes,
    segments: [
      { id: 2, label: 2, name: 'sky', area: 102_400 },
      { id: 0, label: 0, name: 'wall', area: 102_400 },
      { id: 12, label: 12, name: 'grass, lawn', area: 102_400 },
    ],
    labelSource: 'config.json: id2label',
  },
  depth: { kind: 'depth', grid: [480, 640], values: far, unit: 'metres', spread: spreadOf(far) },
  keypoints: posed,
  restored,
  pixels: rebuilt,
  categories: {
    kind: 'outputs',
    outputs: readOutputs(
      [{ ...outputValues('classes', 'maps', [1, 96, 96], kinds), integers: true }],
      native,
      () => (value) => ['background', 'cat', 'grass', 'sky'][value] ?? String(value),
    ),
  },
  features: { kind: 'features', vector: vectorOf(vector) },
  saliency: { kind: 'outputs', outputs: readOutputs([saliency], native) },
  outputs: {
    kind: 'outputs',
    outputs: readOutputs(
      [
        saliency,
        outputValues('parts', 'maps', [1, 3, 16, 16], hills(3, 16, 16)),
        vector,
        outputValues('table', 'maps', [1, 1, 4, 24], hills(1, 4, 24)),
        outputValues('scores', 'features', [1, 4], Float32Array.from([0.5, -0.25, NaN, 2])),
        outputValues('tokens', 'tokens', [1, 257, 160], new Float32Array(257 * 160).fill(0.5)),
      ],
      native,
    ),
  },
};

/** Every so many pixels of the middle of an image. */
function reducedTo({ width, height, rgb }: Pixels, to: number): Pixels {
  const whole = Math.min(width, height);
  const colour = (at: number): number => {
    const [row, column] = inside(Math.floor(at / 3)).map((place) => Math.floor((place * whole) / to));
    return rgb[3 * ((row ?? 0) * width + (column ?? 0) + Math.floor((width - whole) / 2)) + (at % 3)] ?? 0;
  };
  return { width: to, height: to, rgb: Uint8Array.from({ length: 3 * to * to }, (_, at) => colour(at)) };
}

const viewOf = (pixels: Pixels, { asStored = false, imageSize = native }: RunOptions): Run => ({
  run: 1,
  checkpoint: CHECKPOINT,
  task: 'classify',
  answers: {},
  modelTitle: 'vitrine-sample',
  seen: {
    image: IMAGE,
    pixels,
    size: [pixels.width, pixels.height],
    seen: shownCase === 'pixels' || shownCase === 'restored' ? reducedTo(pixels, side) : pixels,
    region: network?.view.region ?? regions[shownCase] ?? { x: 80, y: 0, width: 480, height: 480 },
    orientation: { exif: shownCase === 'turned' ? 6 : 1, applied: !asStored },
  },
  answer: answers[shownCase] ?? (shownCase === 'why' || shownCase === 'why-slow' ? ofPlaces : classes),
  preprocessing: [
    {
      key: 'resize',
      label: 'Resize',
      text: '640×480 → 170×128 bicubic',
      summary: '640×480 → 170×128 bicubic',
      source: 'config.json: interpolation',
      assumed: false,
      choices: ['bicubic', 'bilinear', 'lanczos', 'nearest'],
      value: 'bicubic',
    },
    {
      key: 'crop',
      label: 'Crop',
      text: 'centre 128×128',
      summary: 'centre 128×128',
      source: 'config.json: crop_pct 1.0',
      assumed: false,
      choices: ['0.875', '0.9', '1.0'],
      value: '1.0',
    },
    {
      key: 'mean',
      label: 'Mean',
      text: 'mean 0.5, 0.5, 0.5',
      summary: 'mean 0.5, 0.5, 0.5',
      source: 'default of timm’s ViT: not stored beside the file',
      assumed: true,
      choices: ['0.5', 'ImageNet', 'CLIP'],
      value: '0.5',
    },
    {
      key: 'std',
      label: 'Deviation',
      text: 'deviation 0.5, 0.5, 0.5',
      summary: 'deviation 0.5, 0.5, 0.5',
      source: 'default of timm’s ViT: not stored beside the file',
      assumed: true,
      choices: ['0.5', 'ImageNet', 'CLIP'],
      value: '0.5',
    },
  ],
  inputSize: { current: imageSize, native, step: [config.patch, config.patch] },
  provider: {
    used: 'cpu',
    all: [
      { name: 'cpu', title: 'CPU', state: 'used', reason: '' },
      {
        name: 'webgpu',
        title: 'WebGPU',
        state: 'refused',
        reason: 'agrees with the CPU: largest difference 1e-6; 3.1× slower',
      },
      {
        name: 'cuda',
        title: 'CUDA',
        state: 'missing',
        reason: 'The library that the runtime needs for CUDA is not installed.',
        next: 'Use the CPU or WebGPU: they need no further library.',
      },
    ],
  },
  times: { decode: 6.1, preprocess: 2.4, run: 14.2, load: 85 },
  probes: shownCase === 'silent' ? [] : probes,
  warnings: [],
  ...fromRecord,
  ...(detector && detectorView),
  ...(captioner && captionerView),
  layers: (
    network?.view.probes ??
    (detector ? detectorView.probes : captioner ? captionerView.probes : undefined) ??
    (shownCase === 'silent' ? [] : probes)
  ).map(({ layer }) => layer),
});

/** Scores of texts as a model of images and words gives them: the one that is there, the others. */
function scoresOf({ given }: RunOptions): Answer {
  const labels = (given?.['labels'] ?? []) as readonly string[];
  const raw = labels.map((label) => (label === 'cat' ? 9 : 3 + (label.length % 3)));
  const sum = raw.reduce((whole, value) => whole + Math.exp(value), 0);
  const scores = labels
    .map((label, index) => ({ index, label, score: Math.exp(raw[index] ?? 0) / sum }))
    .sort((one, other) => other.score - one.score);
  const missing = labels.length === 0 ? { missing: 'no text is given: say what the image may show' } : {};
  const own = { vector: vectorOf(vector), embedding: wave };
  return { kind: 'scores', scores, scoreKind: 'softmax', ...missing, ...own };
}

const scored = async (options: RunOptions): Promise<Run> => {
  const { given } = options;
  if (JSON.stringify(given ?? {}).includes('no tokenizer'))
    throw failure('/home/you/models/clip has no tokenizer.json, nor vocab.json with merges.txt.', 'refused');
  return { ...viewOf(await image, {}), answer: scoresOf(options), ...(given && { given }) };
};

/** What a detector finds of texts. */
const foundBy = async ({ given }: RunOptions): Promise<Run> => {
  const view = finderView((given?.['labels'] ?? []) as readonly string[]);
  const layers = view.probes.map(({ layer }) => layer);
  return { ...viewOf(await image, {}), ...view, layers, ...(given && { given }) };
};

/** Milliseconds that a prompt takes: long enough to give another one meanwhile. */
const promptTime = 150;

/** Runs of a model of prompts: each is another one, whose maps are asked for anew. */
let prompted = 0;

async function promptedRun({ given = shownCase === 'prompts' ? {} : asGiven }: RunOptions): Promise<Run> {
  if (given['points']) await new Promise((resolve) => setTimeout(resolve, promptTime));
  return { ...viewOf(await image, {}), ...promptedView(given), run: ++prompted, given };
}

/** Two points and a box around the cat. */
const asGiven = {
  points: [
    [300, 200],
    [330, 330],
    [440, 300],
  ],
  labels: [1, 1, 0],
  box: [214, 132, 420, 436],
};

/** Replies as a model gives them that has learned some: none until it is asked. */
async function asked({ given }: RunOptions): Promise<Run> {
  const question = given?.['question'];
  const replies = [
    { index: 3, label: 'sitting', score: 0.81 },
    { index: 0, label: 'sleeping', score: 0.12 },
    { index: 7, label: 'eating', score: 0.03 },
  ];
  const common = { kind: 'replies', scoreKind: 'sigmoid', labelSource: 'config.json: id2label' } as const;
  const answer: Answer =
    typeof question === 'string'
      ? { ...common, replies, question }
      : { ...common, replies: [], missing: 'no question is asked: say what is to be known of the image' };
  return { ...viewOf(await image, {}), answer, ...(given && { given }) };
}

const cases: Readonly<Record<string, (call: CallContext<RunProgress>) => Promise<Run>>> = {
  writing: (call) => {
    call.progress({ text: 'a cat sitting' });
    return never();
  },
  loading: (call) => {
    call.progress('reading 346 MB');
    return never();
  },
  cancelled: () => Promise.reject(failure('cancelled', 'cancelled')),
  untrusted: () =>
    Promise.reject(failure('This workspace is restricted: running a model needs your trust.', 'untrusted')),
  error: () =>
    Promise.reject(
      failure('cat-on-grass.jpg: the JPEG ends after 20,480 of 61,233 bytes. Save it again.', 'malformed'),
    ),
};

/**
 * A query that the kept maps cannot answer, on a model that takes its time, or until a test lets it
 * go.
 */
async function slowly({ signal, progress }: CallContext): Promise<void> {
  progress('running the model again');
  await new Promise<void>((resolve, reject) => {
    const { held } = window.demo;
    held?.push(resolve);
    const timer = held ? undefined : setTimeout(resolve, 1500);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      window.demo.calls.push({ method: 'attention cancelled', values: [] });
      reject(failure('cancelled', 'cancelled'));
    });
  });
}

const api: ImagePanelApi = {
  open: async () => ({
    image: IMAGE,
    checkpoint: CHECKPOINT,
    checkpoints: [
      { path: CHECKPOINT, label: 'vitrine-sample' },
      { path: '/home/you/models/vitrine-sample-64/pytorch_model.bin', label: 'vitrine-sample-64' },
    ],
    focus: shownCase === 'focused' ? 'attention' : 'labels',
    colourMap: 'viridis',
    topK: 5,
  }),
  run: async (options, call) => {
    const [height, width] = options.imageSize ?? native;
    if (network) return viewOf(await image, {});
    if (shownCase === 'scores') return scored(options);
    if (shownCase === 'found') return foundBy(options);
    if (shownCase.startsWith('prompts')) return promptedRun(options);
    if (shownCase === 'asked') return asked(options);
    if (shownCase === 'clip') return clipView(viewOf(await image, options));
    if (detector || captioner) {
      const { given } = options;
      return { ...viewOf(await image, options), ...(given && { given }) };
    }
    if (height % config.patch !== 0 || width % config.patch !== 0)
      throw failure(
        `image size ${height}×${width}: multiples of the patch ${config.patch}×${config.patch} are needed.`,
        'refused',
      );
    return cases[shownCase]?.(call) ?? viewOf(await image, options);
  },
  runBeside: async (options, { image: path = IMAGE, checkpoint = CHECKPOINT }, call) => {
    if (shownCase === 'why-slow' && path.includes('dog')) await slowlyBeside(path, call);
    const own = viewOf(await pixelsOf(path.split('/').at(-1) ?? ''), options);
    return { ...own, checkpoint, modelTitle: checkpoint, seen: { ...own.seen, image: path } };
  },
  images: async () =>
    ['cat-and-dog.jpg', 'cat-on-grass.jpg', 'dog-on-a-path.jpg'].map((name) => ({
      path: `/home/you/pictures/${name}`,
      label: `pictures/${name}`,
    })),
  chooseImage: async () => null,
  stopText: async () => undefined,
  ...whyApi,
  attention: async (run, query, method, call): Promise<AttentionRows> => {
    if (shownCase === 'slow' && query.kind === 'patch') await slowly(call);
    if (shownCase === 'found') return { run, query, method, ...finderRows(query) };
    return { run, query, method, rows: method === 'rollout' ? rolloutOf(query) : rowsOf(query) };
  },
  distances: async (_, layer) => {
    if (shownCase.startsWith('prompts')) return layer === 0 ? [300, 500] : [];
    if (detector || captioner) return layer < 3 ? [120, 160, 200, 240, 90, 180, 220, 140] : [];
    const { heads, queries } = probes[layer]!;
    return queries.channels
      ? []
      : Array.from({ length: heads }, (__, head) => 20 + ((37 * head + 13 * layer) % 90));
  },
  picture: async () => ({
    bytes: new Uint8Array(await (await fetch('cat-on-grass.jpg')).arrayBuffer()),
    type: 'image/jpeg',
  }),
  similar: async () => [
    { image: '/home/you/pictures/cat-on-sofa.jpg', cosine: 0.912 },
    { image: '/home/you/pictures/dog.jpg', cosine: 0.604 },
    { image: '/home/you/pictures/receipt.png', cosine: -0.031 },
  ],
  chooseCheckpoint: async () => undefined,
  perform: async () => undefined,
  copy: async () => undefined,
  save: async () => true,
};

serveDemo<ImagePanelEvents>(api);
