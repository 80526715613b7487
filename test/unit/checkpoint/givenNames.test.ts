import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readGivenNames } from '../../../src/checkpoint/givenNames';

describe('class names that are pointed at', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vitrine-names-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function write(...files: readonly string[]): Promise<void> {
    for (const file of files) {
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), '');
    }
  }

  it('are sub-folders with images, by code point as ImageFolder sorts them', async () => {
    await write(
      'cat/a.JPG',
      'Dog/b.png',
      'class2/deep/c.webp',
      'class10/d.tif',
      '\u{1f600}/e.bmp',
      '\uff5e/f.pgm',
    );
    await write('readme.png');
    const [found] = await readGivenNames(folder);
    assert.deepEqual(found?.names, ['Dog', 'cat', 'class10', 'class2', '\uff5e', '\u{1f600}']);
    assert.match(found.source, /^given: sub-folders of vitrine-names-\w+, sorted as torchvision/);
    assert.match(found.note ?? '', /timm numbers these folders otherwise/);
  });

  it('say nothing more where all libraries number the folders alike', async () => {
    await write('ants/a.jpg', 'bees/b.jpg', 'bees 2/c.jpg');
    const [found] = await readGivenNames(folder);
    assert.deepEqual([found?.names, found?.note], [['ants', 'bees', 'bees 2'], undefined]);
  });

  it('leave out folders without images, and say so', async () => {
    await write('ants/a.jpg', 'bees/b.jpg', 'notes/c.txt');
    const [found] = await readGivenNames(folder);
    assert.deepEqual(found?.names, ['ants', 'bees']);
    assert.match(found.note ?? '', /no images lie in notes/);
  });

  it('may be links to folders, in a circle too', async () => {
    await write('ants/a.jpg');
    await mkdir(join(folder, 'round'));
    await symlink(folder, join(folder, 'round', 'up'));
    await symlink(join(folder, 'round'), join(folder, 'round', 'self'));
    const [found] = await readGivenNames(join(folder));
    assert.deepEqual(found?.names, ['ants', 'round']);
  });

  it('are not the parts of a data set, nor an empty folder', async () => {
    await assert.rejects(readGivenNames(folder), /a sub-folder with images for each class is needed/);
    await write('train/cat/a.jpg', 'val/cat/b.jpg');
    await assert.rejects(readGivenNames(folder), /train, val are parts of a data set; choose one/);
    assert.deepEqual((await readGivenNames(join(folder, 'train')))[0]?.names, ['cat']);
  });

  it('are lists in files of any name, each by its key', async () => {
    const file = join(folder, 'birds.csv');
    await writeFile(file, '\ufeffowl\r\njay\r\n');
    assert.deepEqual(await readGivenNames(file), [
      { source: 'given: birds.csv', names: ['owl', 'jay'], given: true },
    ]);
    const json = join(folder, 'x.json');
    await writeFile(json, JSON.stringify({ class_to_idx: { owl: 1, jay: 0 }, sizes: [1] }));
    assert.deepEqual(await readGivenNames(json), [
      { source: 'given: x.json: class_to_idx', names: ['jay', 'owl'], given: true },
    ]);
  });

  it('are refused where there are none', async () => {
    const file = join(folder, 'x.json');
    for (const [text, said] of [
      ['{"sizes": [1]}', /holds no class names/],
      ['{"sizes":', /JSON/],
    ] as const) {
      await writeFile(file, text);
      await assert.rejects(readGivenNames(file), said);
    }
    const bytes = join(folder, 'x.txt');
    await writeFile(bytes, Buffer.from([65, 0, 10, 66]));
    await assert.rejects(readGivenNames(bytes), /holds no class names/);
    await assert.rejects(readGivenNames(join(folder, 'gone')), /does not exist/);
  });
});
