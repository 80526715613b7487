import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import sharp from 'sharp';
import { openCheckpoint } from '../../src/checkpoint/open';
import { writeSafetensors } from '../../src/checkpoint/formats/safetensorsWriter';
import { readTensor, toFloat32 } from '../../src/checkpoint/values';
import { writeSparseVit } from './support';

interface Ended {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

function vitrine(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['dist/cli.js', ...args], (error, output, errors) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, output, errors });
    });
  });
}

const lines = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const sample = 'media/sample/vitrine-sample';
const cat = 'media/sample/images/cat-on-grass.jpg';

interface Expected {
  readonly images: readonly {
    readonly image: string;
    readonly top5: readonly (readonly [string, number])[];
  }[];
}

describe('the command line', function () {
  this.timeout(60_000);
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'vitrine-test-'))));
  after(() => rm(folder, { recursive: true }));

  it('inspects: family, hyper-parameters with evidence, exact counts', async () => {
    const { status, output } = await vitrine('inspect', '--json', sample);
    const [answer] = lines(output);
    assert.equal(status, 0);
    const [n, d, mlp, depth, patch] = [257, 160, 480, 6, 8];
    const conv = (n - 1) * 3 * patch * patch * d;
    const linear = depth * (4 * n * d * d + 2 * n * d * mlp) + d * 29;
    assert.deepEqual(answer!['macs'], { conv, linear, attention: depth * 2 * n * n * d });
    assert.equal(answer!['params'], 1_624_669);
    assert.deepEqual(answer!['unused'], []);
    assert.equal((answer!['config'] as Record<string, unknown>)['heads'], 4);
    assert.match(JSON.stringify(answer!['evidence']), /config\.json/);
  });

  it('answers for the paths it can, names those it cannot, and ends with 1', async () => {
    const broken = join(folder, 'broken.safetensors');
    await writeFile(broken, 'no header here');
    const { status, output, errors } = await vitrine('inspect', '--json', broken, sample);
    const [refused, fine] = lines(output);
    assert.equal(status, 1);
    assert.equal(refused!['path'], broken);
    assert.equal((refused!['error'] as Record<string, unknown>)['kind'], 'malformed');
    assert.equal(fine!['path'], sample);
    assert.match(errors, /^error: .*broken\.safetensors/);
    assert.equal(errors.trim().split('\n').length, 1);
  });

  it('ends with 2 on wrong usage and names what is known', async () => {
    for (const args of [
      ['inspekt'],
      ['classify', sample],
      ['attention', sample, cat],
      ['inspect', sample, '--assume', 'heads'],
    ]) {
      const { status, errors } = await vitrine(...args);
      assert.equal(status, 2, args.join(' '));
      assert.match(errors, /^error: /);
    }
  });

  it('names the known keys where an assumption is not one', async () => {
    const { status, errors } = await vitrine('inspect', sample, '--assume', 'haeds=4');
    assert.equal(status, 1);
    assert.match(errors, /haeds.*heads/);
  });

  it('classifies the sample images as the reference does', async () => {
    const expected = JSON.parse(await readFile('media/sample/expected.json', 'utf8')) as Expected;
    const images = expected.images.map(({ image }) => `media/sample/images/${image}`);
    const { status, output } = await vitrine('classify', '--json', '--provider', 'cpu', sample, ...images);
    assert.equal(status, 0);
    const answers = lines(output);
    assert.equal(answers.length, images.length);
    answers.forEach((answer, index) => {
      const [label, probability] = expected.images[index]!.top5[0]!;
      const [top] = answer['top'] as readonly { label: string; probability: number }[];
      assert.equal(top!.label, label, images[index]);
      // The expected numbers are rounded to five digits; WebP and JPEG decode to the same bytes.
      assert.ok(
        Math.abs(top!.probability - probability) < 1e-3,
        `${images[index]}: ${top!.probability} for ${probability}`,
      );
      assert.equal(answer['provider'], 'cpu');
    });
  });

  it('draws attention in the size of the image', async () => {
    const out = join(folder, 'attention.png');
    const { status, output } = await vitrine(
      'attention',
      '--json',
      sample,
      cat,
      '--layer',
      '4',
      '--head',
      'max',
      '--out',
      out,
    );
    assert.equal(status, 0);
    const { width, height } = await sharp(out).metadata();
    assert.deepEqual([width, height], [640, 480]);
    const [answer] = lines(output);
    const [low, high] = answer!['range'] as [number, number];
    assert.ok(0 <= low && low < high && high <= 1);
    assert.equal(answer!['layer'], '4');
  });

  it('says why nothing is drawn of a model without a map', async () => {
    const convolutions = 'test/fixtures/cases/convformer-timm-safetensors/model.safetensors';
    const out = join(folder, 'never.png');
    const { status, errors } = await vitrine('attention', convolutions, cat, '--out', out);
    assert.equal(status, 1);
    assert.match(errors, /no attention to show: the model has none/);
    assert.ok(!existsSync(out));
  });

  it('refuses a layer that is not there as wrong usage', async () => {
    const out = join(folder, 'never.png');
    const { status, errors } = await vitrine('attention', sample, cat, '--layer', '6', '--out', out);
    assert.equal(status, 2);
    assert.match(errors, /0 … 5/);
  });

  it('preprocesses alike for a checkpoint and for its configuration alone, and runs the result to the same answer', async () => {
    const [one, two, answers] = ['one', 'two', 'answers'].map((name) => join(folder, `${name}.safetensors`));
    assert.equal((await vitrine('preprocess', sample, cat, '--out', one!)).status, 0);
    assert.equal((await vitrine('preprocess', `${sample}/config.json`, cat, '--out', two!)).status, 0);
    const [first, second] = await Promise.all([values(one!, 'pixel_values'), values(two!, 'pixel_values')]);
    assert.deepEqual(first, second);
    assert.equal(first.length, 3 * 128 * 128);
    const { status, output } = await vitrine('run', '--json', sample, '--inputs', one!, '--out', answers!);
    assert.equal(status, 0);
    const [{ tensors }] = lines(output) as [{ tensors: Record<string, number[]> }];
    assert.deepEqual(tensors['logits'], [1, 29]);
    assert.deepEqual(
      [tensors['features'], tensors['tokens']],
      [
        [1, 160],
        [1, 257, 160],
      ],
    );
    assert.deepEqual(tensors['attention.5'], [4, 257, 257]);
    const logits = await values(answers!, 'logits');
    assert.equal(logits.indexOf(Math.max(...logits)), 9, 'cat is class 9');
  });

  it('exports a file of its own that answers the same', async () => {
    const [model, input, here, there] = ['m.onnx', 'i.safetensors', 'h.safetensors', 't.safetensors'].map(
      (name) => join(folder, name),
    );
    assert.equal((await vitrine('export', sample, '--out', model!)).status, 0);
    assert.equal((await vitrine('preprocess', sample, cat, '--out', input!)).status, 0);
    assert.equal((await vitrine('run', sample, '--inputs', input!, '--out', here!)).status, 0);
    const { status, errors } = await vitrine('run', model!, '--inputs', input!, '--out', there!);
    assert.equal(status, 0, errors);
    const [own, exported] = await Promise.all([values(here!, 'logits'), values(there!, 'logits')]);
    // Both run the same operators on the same weights in float32; only the order of additions may
    // differ.
    own.forEach((value, index) => assert.ok(Math.abs(value - exported[index]!) < 1e-4));
  });

  it('names the image that failed, with its kind, and answers for the others', async () => {
    const { status, output } = await vitrine('classify', '--json', sample, join(folder, 'none.jpg'), cat);
    const [refused, fine] = lines(output);
    assert.equal(status, 1);
    assert.deepEqual([refused!['path'], refused!['image']], [sample, join(folder, 'none.jpg')]);
    assert.equal((refused!['error'] as Record<string, unknown>)['kind'], 'unreadable');
    assert.equal(fine!['image'], cat);
  });

  it('says what the answer rests on: a turned image, and what no file tells', async () => {
    const frog = 'media/sample/images/frog-exif-rotated.jpg';
    const turned = await vitrine('classify', sample, frog);
    assert.match(turned.output, /EXIF orientation 6 applied; --as-stored leaves it/);
    const stored = await vitrine('classify', '--json', '--as-stored', sample, frog);
    assert.deepEqual(lines(stored.output)[0]!['orientation'], { exif: 6, applied: false });
    const bare = join(folder, 'bare.safetensors');
    await copyFile(join(sample, 'model.safetensors'), bare);
    const { output } = await vitrine('classify', bare, frog, '--assume', 'heads=4');
    assert.match(output, /preprocessing .*bicubic.*: assumed: what vit models usually take/);
  });

  it('never overwrites what it reads, and asks for a folder that is there', async () => {
    const model = join(folder, 'own.safetensors');
    await copyFile(join(sample, 'model.safetensors'), model);
    const before = await readFile(model);
    for (const out of [model, join(folder, '.', 'own.safetensors')]) {
      const { status, errors } = await vitrine('export', model, '--out', out);
      assert.equal(status, 1);
      assert.match(errors, /overwrite/);
    }
    assert.ok(before.equals(await readFile(model)));
    const { errors } = await vitrine('export', model, '--out', join(folder, 'missing', 'm.onnx'));
    assert.match(errors, /missing does not exist/);
  });

  it('refuses a query that no layer has, and names those there are', async () => {
    const out = join(folder, 'never.png');
    for (const query of ['reg0', '99,0', 'left']) {
      const { status, errors } = await vitrine('attention', sample, cat, '--query', query, '--out', out);
      assert.equal(status, 2);
      assert.match(errors, /cls, 0,0 … 15,15, mean/);
    }
  });

  it('draws where an object query looks, and names the queries that a detector has', async () => {
    const detector = 'test/fixtures/cases/detr-transformers-safetensors';
    const ask = (query: string) =>
      vitrine('attention', detector, cat, '--json', '--query', query, '--out', join(folder, `${query}.png`));
    const [first, second] = [await ask('q0'), await ask('q1')];
    assert.deepEqual([first.status, second.status], [0, 0], first.errors + second.errors);
    assert.equal(lines(first.output)[0]!['query'], 'q0');
    const pictures = await Promise.all(['q0', 'q1'].map((name) => readFile(join(folder, `${name}.png`))));
    assert.ok(!pictures[0]!.equals(pictures[1]!), 'two queries look alike');
    const { status, errors } = await ask('q1000');
    assert.equal(status, 2);
    assert.match(errors, /--query q1000: q0 … q\d+, mean needed/);
  });

  it('finds objects above a threshold, and writes them as other tools have them', async () => {
    const detector = 'test/fixtures/cases/detr-transformers-safetensors';
    const detect = (...options: readonly string[]) =>
      vitrine('detect', detector, cat, '--json', '--out', folder, ...options);
    type Answers = { readonly detections: { readonly list: readonly (readonly { score: number }[])[] } };
    const all = lines((await detect('--threshold', '0.1')).output)[0]!;
    const scores = (all['answers'] as Answers).detections.list[0]!.map(({ score }) => score);
    assert.ok(scores.length > 1 && scores.every((score) => score > 0.1), scores.join());
    const files = all['files'] as readonly string[];
    assert.deepEqual(
      files,
      ['coco.json', 'csv', 'txt'].map((ending) => join(folder, `0-detections.${ending}`)),
    );
    const coco = JSON.parse(await readFile(files[0]!, 'utf8')) as {
      annotations: readonly { score: number }[];
    };
    assert.deepEqual(
      coco.annotations.map(({ score }) => score),
      scores,
    );
    // A score between two of them leaves some out.
    const middle = [...scores].sort((one, other) => one - other)[1]!;
    const some = lines((await detect('--threshold', String(middle))).output)[0]!;
    assert.equal((some['answers'] as Answers).detections.list[0]!.length, scores.length - 2);
  });

  it('asks a model for no other task than its own, and for texts where they are needed', async () => {
    const other = await vitrine('detect', sample, cat);
    assert.equal(other.status, 1);
    assert.match(other.errors, /is for another task, classify: it finds no boxes/);
    const without = await vitrine('zero-shot', sample, cat);
    assert.equal(without.status, 2);
    assert.match(without.errors, /--label is missing/);
  });

  it('counts what it can of a file whose architecture is not known', async () => {
    const other = join(folder, 'other.safetensors');
    const bytes = new Uint8Array(24);
    await writeSafetensors(other, [{ name: 'lm_head.weight', dtype: 'F32', shape: [2, 3], bytes }]);
    const { status, output } = await vitrine('complexity', '--json', other);
    const [answer] = lines(output);
    assert.equal(status, 0);
    assert.equal(answer!['family'], null);
    assert.equal(answer!['params'], 6);
    assert.deepEqual(answer!['tensors'], [{ name: 'lm_head.weight', dtype: 'F32', shape: [2, 3] }]);
  });

  it('asks for pixel_values where the inputs hold none', async () => {
    const out = join(folder, 'never.safetensors');
    const inputs = join(folder, 'ids.safetensors');
    await writeSafetensors(inputs, [{ name: 'ids', dtype: 'F32', shape: [1], bytes: new Uint8Array(4) }]);
    const { status, errors } = await vitrine('run', sample, '--inputs', inputs, '--out', out);
    assert.equal(status, 1);
    assert.match(errors, /pixel_values.*ids \[1\]/);
  });

  it('keeps every failure on one line', async () => {
    const { errors } = await vitrine('classify', sample, cat, '--top', '-1');
    assert.equal(errors.split('\n').filter((line) => line.startsWith('error: ')).length, 1);
    assert.equal(errors.trim().split('\n').length, 2, 'and the hint at --help');
    const text = join(folder, 'list.json');
    await writeFile(text, '[1]');
    const config = await vitrine('preprocess', text, cat, '--out', join(folder, 'never.safetensors'));
    assert.match(config.errors, /list\.json: holds a list/);
  });

  it('leaves no half of a file behind Ctrl-C', async () => {
    const [model, out] = [join(folder, 'wide.safetensors'), join(folder, 'wide.onnx')];
    writeSparseVit(model, { dim: 768, depth: 12, patch: 16, image: 32, classes: 10 });
    const exporting = spawn(process.execPath, ['dist/cli.js', 'export', model, '--out', out]);
    const ended = once(exporting, 'exit');
    while (!existsSync(`${out}.part`) && exporting.exitCode === null) await setTimeout(2);
    exporting.kill('SIGINT');
    assert.deepEqual(await ended, [130, null]);
    assert.deepEqual([existsSync(`${out}.part`), existsSync(out)], [false, false]);
  });

  it('ends at once by SIGTERM and Ctrl-C while it reads', async () => {
    const paths = Array<string>(50).fill(sample);
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const reading = spawn(process.execPath, ['dist/cli.js', 'inspect', ...paths]);
      const ended = once(reading, 'exit');
      reading.stdout.once('data', () => reading.kill(signal));
      assert.deepEqual(await ended, [null, signal], 'as the system ends a program that does not listen');
    }
  });

  it('ends quietly where nobody reads on', async () => {
    const paths = Array<string>(8).fill(sample);
    const report = spawn(process.execPath, ['dist/cli.js', 'complexity', '--csv', ...paths]);
    let errors = '';
    report.stderr.on('data', (text: Buffer) => (errors += text.toString()));
    report.stdout.once('data', () => report.stdout.destroy());
    await once(report, 'close');
    assert.equal(errors, '');
  });

  it('shows what it can do', async () => {
    const { status, output } = await vitrine('--help');
    assert.equal(status, 0);
    for (const word of ['inspect', 'complexity', 'classify', 'attention', 'preprocess', 'run', 'export'])
      assert.match(output, new RegExp(`vitrine ${word} `));
  });
});

async function values(path: string, name: string): Promise<Float32Array> {
  const { selected } = await openCheckpoint(path);
  const tensor = selected.tensors.find((own) => own.name === name);
  assert.ok(tensor, `${name} in ${path}`);
  return toFloat32(await readTensor(tensor), tensor.dtype);
}
