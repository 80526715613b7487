import type { BatchApi, BatchRow, BatchState } from '../../src/protocol/batch';
import { seeded } from '../support/random';
import { failure, never, serveDemo, shownCase } from './host';

const labels = ['cat', 'dog', 'sailboat', 'pizza', 'umbrella', 'house', 'fish', 'guitar'];
const count = shownCase === 'many' ? 2000 : 16;
const running = shownCase === 'running';
const cancelled = shownCase === 'cancelled';
const random = seeded(7);

/** A small flat image; what it shows does not matter for the table. */
function thumbnail(hue: number): string {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [40, 30];
  const context = canvas.getContext('2d');
  if (context) {
    context.fillStyle = `hsl(${hue} 40% 50%)`;
    context.fillRect(0, 0, 40, 30);
  }
  return canvas.toDataURL();
}

const thumbnails = labels.map((_, index) => thumbnail(index * 45));

function rowOf(index: number): BatchRow {
  const image = `/home/you/pictures/${labels[index % 8]}-${index}.jpg`;
  if (index % 11 === 5)
    return { index, image, thumbnail: '', top: [], error: 'the JPEG ends after 20,480 of 61,233 bytes' };
  const first = 0.55 + 0.45 * random();
  return {
    index,
    image,
    thumbnail: thumbnails[index % 8] ?? '',
    ...(shownCase === 'segments' && {
      scoresAreAreas: true as const,
      files: [
        { ending: 'mask.png', title: 'PNG' },
        { ending: 'coco.json', title: 'COCO JSON' },
      ],
    }),
    top: [
      { index: 1, label: labels[index % 8] ?? '', score: first },
      { index: 2, label: labels[(index + 3) % 8] ?? '', score: (1 - first) * 0.7 },
    ],
  };
}

const rows = Array.from({ length: running || cancelled ? Math.floor(count / 2) : count }, (_, index) =>
  rowOf(index),
);
let state: BatchState = {
  checkpoint: '/home/you/models/vitrine-sample/model.safetensors',
  modelTitle: 'vitrine-sample',
  total: count,
  done: rows.length,
  running,
  rate: 21.4,
  provider: 'CPU',
  resumable: cancelled,
  rows,
};

const cases: Readonly<Record<string, () => Promise<BatchState>>> = {
  loading: never,
  error: () => Promise.reject(failure('model.safetensors was overwritten while it was open.', 'unreadable')),
  empty: async () => ({ ...state, rows: [], done: 0, rate: 0, running: true }),
};

const api: BatchApi = {
  open: cases[shownCase] ?? (async () => state),
  run: async (known, { signal, progress }) => {
    if (running)
      return new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          state = { ...state, running: false, resumable: true };
          reject(failure('cancelled', 'cancelled'));
        }),
      );
    const rest = Array.from({ length: count - known }, (_, index) => rowOf(known + index));
    progress({ ...state, done: count, resumable: false, rows: rest });
  },
  openRow: async () => undefined,
  export: async () => {
    if (shownCase === 'readonly')
      throw failure('results.csv: the folder is read-only. Choose another.', 'unreadable');
    return true;
  },
  exportFiles: async () => true,
  perform: async () => undefined,
};

serveDemo<object>(api);
