// Small files that ask for work without end: every kind that was once found, in the networks that
// it was found in. Each is answered by a budget, long before the process that reads it would be
// ended.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Trials } from '../../fuzz/watched';
import { shapesIn, writeSparse, type Shapes } from '../../support/sparse';

/** One network for each way of counting blocks, or of computing tables. */
const networks = [
  'deit-transformers-safetensors',
  'beit-shared-transformers5-safetensors',
  'cait-timm-safetensors',
  'coat-timm-safetensors',
  'convit-features-timm-hub-safetensors',
  'crossvit-timm-hub-safetensors',
  'davit-timm-safetensors',
  'efficientvit-m-features-timm-hub-safetensors',
  'mvitv2-cls-timm-safetensors',
  'rope-mixed-timm-hub-safetensors',
  'swin-transformers5-safetensors',
  'swinv2-transformers-safetensors',
  'tiny-vit-features-timm-hub-safetensors',
  'twins-svt-features-timm-hub-safetensors',
  'videomae-video-transformers-safetensors',
  'vitdet-transformers-safetensors',
  'volo-odd-timm-safetensors',
];
const folderOf = (network: string): string => `test/fixtures/cases/${network}`;

const most = { milliseconds: 1000, growthBytes: 128e6 };
const side = 2 ** 31 - 1;

/** The tensors, and each again in the member 99,999,999 of every list that it is in. */
function withFarMembers(shapes: Shapes): Shapes {
  const far = Object.entries(shapes).flatMap(([name, shape]) =>
    [...name.matchAll(/(?<=\.)\d+(?=\.)/g)].map(
      ({ index, 0: number }) =>
        [`${name.slice(0, index)}99999999${name.slice(index + number.length)}`, shape] as const,
    ),
  );
  return { ...Object.fromEntries(far), ...shapes };
}

const configOf = (network: string): object => {
  const file = join(folderOf(network), 'config.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as object) : {};
};

/** Every number of a config at its worst. */
const atWorst = (config: unknown): unknown =>
  typeof config === 'number'
    ? side
    : Array.isArray(config)
      ? config.map(atWorst)
      : typeof config === 'object' && config !== null
        ? Object.fromEntries(Object.entries(config).map(([key, value]) => [key, atWorst(value)]))
        : config;

describe('bombs among networks', function () {
  this.timeout(120_000);
  const trials = new Trials();
  let room: string;

  before(() => void (room = mkdtempSync(join(tmpdir(), 'vitrine-bombs-'))));
  after(async () => {
    await trials.stop();
    rmSync(room, { recursive: true, force: true });
  });

  async function verify(file: string, mentions = ''): Promise<void> {
    const { outcome, text, milliseconds, growthBytes } = await trials.try(file);
    assert.equal(outcome, 'opens', text);
    assert.ok(text.includes(mentions), text);
    const [time, memory] = [Math.round(milliseconds), Math.round(growthBytes / 1e6)];
    assert.ok(milliseconds <= most.milliseconds, `${time} ms of the processor`);
    assert.ok(growthBytes <= most.growthBytes, `${memory} MB`);
  }

  for (const network of networks) {
    const shapes = shapesIn(join(folderOf(network), 'model.safetensors'));

    it(`${network} with lists up to a hundred million opens as its tensors`, () =>
      verify(writeSparse(join(room, 'names'), withFarMembers(shapes))));

    it(`${network} with images of 2³¹ − 1 pixels a side passes them over`, () => {
      const sizes = { image_size: side, img_size: side, input_size: [3, side, side] };
      // timm's own sections are asked before what stands around them.
      const config = { ...configOf(network), ...sizes, model_args: sizes };
      const file = writeSparse(join(room, 'sizes'), shapes, { 'config.json': config });
      return verify(file, 'which no image is');
    });

    it(`${network} with all numbers of its config at 2³¹ − 1 opens as its tensors`, () => {
      const config = atWorst({ image_size: 1, ...configOf(network) });
      return verify(writeSparse(join(room, 'config'), shapes, { 'config.json': config }));
    });
  }
});
