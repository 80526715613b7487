import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import fileSystem, { appendFile, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { commands, extensions, TabInputCustom, TabInputWebview, Uri, window, workspace } from 'vscode';
import { commandIds, defaultSettings, type Classified, type SettingId } from '../../src/contributions';
import type { TestApi } from '../../src/extension';

const extensionId = 'vitrine.vitrine';

function sample(...parts: string[]): Uri {
  const [folder] = workspace.workspaceFolders ?? [];
  assert.ok(folder, 'the sample workspace is open');
  return Uri.joinPath(folder.uri, ...parts);
}

async function activated(): Promise<TestApi> {
  const extension = extensions.getExtension<TestApi | undefined>(extensionId);
  const api = await extension?.activate();
  assert.ok(api, 'the extension answers its test interface');
  return api;
}

/** Waits until a condition holds; the workbench tells its changes in its own time. */
async function until(what: string, holds: () => boolean, milliseconds = 20_000): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`${what}: not within ${milliseconds / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const tabs = () => window.tabGroups.all.flatMap((group) => group.tabs);
const panels = (viewType: string) =>
  tabs().filter(({ input }) => input instanceof TabInputWebview && input.viewType.endsWith(viewType));

async function closeAll(): Promise<void> {
  await commands.executeCommand('workbench.action.closeAllEditors');
  await until('all editors are closed', () => tabs().length === 0);
}

const classify = (...values: unknown[]): Thenable<readonly Classified[]> =>
  commands.executeCommand('vitrine.classifyImage', ...values);

describe('the extension', () => {
  let api: TestApi;
  before(async () => {
    api = await activated();
  });
  afterEach(closeAll);

  it('is active within 20 ms', () => {
    assert.ok(api.activation <= 20, `activate() took ${api.activation.toFixed(1)} ms`);
  });

  it('loads no reader, family or runtime before it is used', () => {
    const loaded = new Set<string>();
    const load = (file: string): void => {
      if (loaded.has(file)) return;
      loaded.add(file);
      const code = readFileSync(file, 'utf8');
      // What is imported later stands in a call of its own: `then(() => __toESM(require(…)))`.
      for (const [, chunk = ''] of code.matchAll(/(?<!__toESM\()\brequire\("(\.\/[^"]+)"\)/g))
        load(join(dirname(file), chunk));
    };
    load(join(extensions.getExtension(extensionId)?.extensionPath ?? '', 'dist', 'extension.js'));
    const bytes = [...loaded].reduce((sum, file) => sum + statSync(file).size, 0);
    assert.ok(bytes < 150_000, `${bytes} bytes in ${[...loaded].join(', ')}`);
  });

  it('writes what it does to a log with levels', async () => {
    const { log, documents } = api.services;
    const lines: string[] = [];
    const { info } = log;
    log.info = (line, ...values) => {
      lines.push(line);
      info.call(log, line, ...values);
    };
    const { document, dispose } = documents.acquire(sample('vitrine-sample').fsPath);
    try {
      await document.model();
      assert.match(lines.join('\n'), /vitrine-sample: opened in \d+ ms as .*, 1,624,669 parameters/);
      assert.equal(log.name, 'Vitrine');
      await commands.executeCommand('vitrine.showLog');
      assert.equal(typeof log.logLevel, 'number');
    } finally {
      log.info = info;
      dispose();
    }
  });

  it('registers every command', async () => {
    const registered = new Set(await commands.getCommands(true));
    for (const id of commandIds) assert.ok(registered.has(id), id);
  });

  it('has every setting with its default', () => {
    const configuration = workspace.getConfiguration();
    for (const id of Object.keys(defaultSettings) as SettingId[])
      assert.deepEqual(configuration.inspect(id)?.defaultValue, defaultSettings[id], id);
  });

  it('opens a checkpoint in the inspector by default, once for several editors', async () => {
    const uri = sample('vitrine-sample', 'model.safetensors');
    await commands.executeCommand('vscode.open', uri);
    await commands.executeCommand('workbench.action.splitEditor');
    await until('two inspectors are open', () => tabs().length === 2);
    for (const { input } of tabs()) {
      assert.ok(input instanceof TabInputCustom);
      assert.equal(input.viewType, 'vitrine.checkpoint');
    }
    assert.equal(api.services.documents.size, 1);
    await closeAll();
    await until('the document is closed', () => api.services.documents.size === 0);
  });

  it('offers the inspector for .bin, and opens it from the command', async () => {
    await commands.executeCommand('vitrine.inspectCheckpoint', sample('vitrine-sample-64'));
    await until('an inspector is open', () => tabs().length === 1);
    const input = tabs()[0]?.input;
    assert.ok(input instanceof TabInputCustom);
    assert.match(input.uri.path, /pytorch_model\.bin$/);
  });

  it('finds the checkpoints of the workspace by their folders', async () => {
    const found = await api.services.checkpoints.list();
    assert.deepEqual(
      found.map(({ label }) => label),
      ['vitrine-detector', 'vitrine-sample', 'vitrine-sample-64', 'vitrine-segmenter', 'vitrine-words'],
    );
  });

  it('remembers what was assumed for files of the same header, and forgets it on reset', async () => {
    const { documents } = api.services;
    const { document, dispose } = documents.acquire(sample('vitrine-sample-64').fsPath);
    try {
      const own = await document.model();
      const headsOf = (model: typeof own): unknown =>
        model.recognition.family === null ? undefined : model.recognition.evidence['heads']?.value;
      const before = headsOf(own);
      assert.equal(typeof before, 'number');
      assert.equal(headsOf(await document.assume('heads', '1')), 1);
      assert.equal(headsOf(await document.reload()), 1);
      await assert.rejects(document.assume('heads', '7'), /7/);
      assert.equal(headsOf(await document.model()), 1);
      assert.equal(headsOf(await document.assume('heads', null)), before);
    } finally {
      dispose();
    }
  });

  it('gives up a header that a slow disk does not deliver, and reads it when asked again', async () => {
    const file = sample('vitrine-sample', 'model.safetensors').fsPath;
    const { document, dispose } = api.services.documents.acquire(file);
    const { open } = fileSystem;
    let asked = 0;
    fileSystem.open = (...values) => {
      asked++;
      return new Promise((resolve) => setTimeout(resolve, 2000)).then(() => open(...values));
    };
    try {
      const abort = new AbortController();
      const reading = document.model(abort.signal);
      await until('the file is being opened', () => asked > 0);
      abort.abort();
      await assert.rejects(reading, { name: 'Cancelled' });
      fileSystem.open = open;
      assert.equal((await document.model()).checkpoint.file, file);
    } finally {
      fileSystem.open = open;
      dispose();
    }
  });

  // What lies beside the weights is read with them: open_clip_config.json is no exception.
  for (const changed of ['model [1].safetensors', 'open_clip_config.json'])
    it(`tells that ${changed} changed on disk`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'vitrine-stale-'));
      const file = join(folder, 'model [1].safetensors');
      await copyFile(sample('vitrine-sample', 'model.safetensors').fsPath, file);
      const { document, dispose } = api.services.documents.acquire(file);
      try {
        await document.model();
        let stale = 0;
        document.onDidGoStale(() => stale++);
        // The watcher starts in its own time: the file is written until it is heard.
        const writing = setInterval(() => void appendFile(join(folder, changed), '\0'), 500);
        await until('the document is stale', () => stale > 0).finally(() => clearInterval(writing));
      } finally {
        dispose();
        await rm(folder, { recursive: true, force: true });
      }
    });

  it('opens one report per checkpoint, and leaves nothing when it is closed', async () => {
    const uri = sample('vitrine-sample', 'model.safetensors');
    await commands.executeCommand('vitrine.complexityReport', uri);
    await commands.executeCommand('vitrine.complexityReport', uri);
    await until('one report is open', () => panels('vitrine.complexity').length === 1);
    assert.equal(api.services.reports.size, 1);
    await closeAll();
    await until('nothing is left', () => api.services.reports.size + api.services.documents.size === 0);
  });

  it('classifies an image and answers the label', async () => {
    await api.services.checkpoints.choose(sample('vitrine-sample').fsPath);
    const image = sample('images', 'cat-on-grass.jpg');
    const [answer] = await classify(image);
    assert.equal(answer?.top[0]?.label, 'cat');
    assert.ok((answer?.top[0]?.score ?? 0) > 0.5);
    assert.equal(answer?.image, image.fsPath);
    await classify(image);
    assert.equal(api.services.images.size, 1);
    await closeAll();
    await until('nothing is left', () => api.services.images.size + api.services.documents.size === 0);
  });

  it('classifies the image in front when the command comes from the palette', async () => {
    await api.services.checkpoints.choose(sample('vitrine-sample').fsPath);
    const image = sample('images', 'dog-on-a-path.jpg');
    await commands.executeCommand('vscode.open', image);
    await until('the image is open', () => tabs().some(({ isActive }) => isActive));
    const [answer] = await classify();
    assert.equal(answer?.image, image.fsPath);
    assert.equal(answer?.top[0]?.label, 'dog');
  });

  it('classifies several images into a table', async () => {
    await api.services.checkpoints.choose(sample('vitrine-sample').fsPath);
    const images = ['cat-on-grass.jpg', 'dog-on-a-path.jpg'].map((name) => sample('images', name));
    const answers = await classify(images[0], images);
    assert.deepEqual(
      answers.map(({ top }) => top[0]?.label),
      ['cat', 'dog'],
    );
    assert.equal(panels('vitrine.batch').length, 1);
    await closeAll();
    await until('nothing is left', () => api.services.batches.size + api.services.documents.size === 0);
  });

  it('says of a file on no disk why it cannot be opened, and keeps no document of it', async () => {
    const source = workspace.registerTextDocumentContentProvider('vitrine-test', {
      provideTextDocumentContent: () => 'weights',
    });
    try {
      const uri = Uri.parse('vitrine-test:/model.safetensors');
      await commands.executeCommand('vscode.openWith', uri, 'vitrine.checkpoint');
      await until('an editor is open', () => tabs().length === 1);
      assert.equal(api.services.documents.size, 0);
      await commands.executeCommand('vitrine.complexityReport', uri);
      assert.equal(api.services.reports.size, 0);
    } finally {
      source.dispose();
    }
  });

  it('looks for checkpoints in the folders of the settings as well', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vitrine-models-'));
    const file = join(folder, 'runs', 'best.pth');
    await mkdir(join(folder, 'runs'));
    await writeFile(file, 'weights');
    const configuration = workspace.getConfiguration();
    try {
      for (const place of [folder, join(folder, '*', 'best.pth')]) {
        await configuration.update('vitrine.modelFolders', [place], true);
        const found = await api.services.checkpoints.list();
        assert.ok(
          found.some(({ path }) => path === file),
          place,
        );
      }
    } finally {
      await configuration.update('vitrine.modelFolders', undefined, true);
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('leaves out of a folder what is no image', async () => {
    const images = sample('images');
    await api.services.checkpoints.choose(sample('vitrine-sample-64').fsPath);
    const answers = await commands.executeCommand<readonly Classified[]>('vitrine.classifyFolder', images);
    assert.equal(answers.length, 16);
    assert.ok(answers.every(({ image }) => !/NOTICE|LICENSE/.test(image)));
  });

  it('falls back to the default where a setting has another type', async () => {
    const configuration = workspace.getConfiguration();
    const { readSetting } = api;
    await configuration.update('vitrine.topK', 'many', true);
    try {
      await until('the setting arrives', () => workspace.getConfiguration().get('vitrine.topK') === 'many');
      assert.equal(readSetting('vitrine.topK'), defaultSettings['vitrine.topK']);
    } finally {
      await configuration.update('vitrine.topK', undefined, true);
    }
  });
});
