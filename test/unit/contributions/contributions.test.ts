import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { colourMaps } from '../../../src/attention/colourMaps';
import * as contributions from '../../../src/contributions';
import { taskWords, type TaskWords } from '../../../src/domain/taskWords';
import { imageExtensions } from '../../../src/inference/imageFormats';
import { videoExtensions } from '../../../src/inference/videoFormats';
import { providers } from '../../../src/inference/providers';

interface MenuItem {
  readonly command: string;
  readonly when?: string;
}
interface Manifest {
  readonly icon: string;
  readonly activationEvents: readonly string[];
  readonly capabilities: {
    readonly untrustedWorkspaces: { readonly restrictedConfigurations: readonly string[] };
  };
  readonly contributes: {
    readonly commands: readonly {
      readonly command: string;
      readonly title: string;
      readonly category: string;
    }[];
    readonly menus: Readonly<Record<string, readonly MenuItem[]>>;
    readonly customEditors: readonly {
      readonly viewType: string;
      readonly priority: string;
      readonly selector: readonly { readonly filenamePattern: string }[];
    }[];
    readonly configuration: {
      readonly properties: Readonly<
        Record<
          string,
          {
            readonly default: unknown;
            readonly enum?: readonly string[];
            readonly markdownDescription: string;
          }
        >
      >;
    };
    readonly walkthroughs: readonly {
      readonly steps: readonly {
        readonly media: Readonly<Record<string, string>>;
        readonly description: string;
      }[];
    }[];
  };
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
const { contributes } = manifest;
const properties = Object.entries(contributes.configuration.properties);
const menuItems = Object.values(contributes.menus).flat();
const sorted = (items: Iterable<string>): string[] => [...items].sort();

/** The first regular expression of a `when` clause that looks at `key`. */
function patternOf(when: string, key: string): RegExp {
  const [, source, flags] = new RegExp(`${key} =~ /(.+?)/([a-z]*)(?: |$)`).exec(when) ?? [];
  assert.ok(source, `no pattern for ${key} in ${when}`);
  return new RegExp(source, flags);
}

describe('package.json and contributions.ts', () => {
  it('name the same commands', () => {
    assert.deepEqual(
      sorted(contributes.commands.map(({ command }) => command)),
      sorted(contributions.commandIds),
    );
  });

  it('name the same settings with the same defaults', () => {
    assert.deepEqual(
      Object.fromEntries(properties.map(([id, { default: value }]) => [id, value])),
      contributions.defaultSettings,
    );
  });

  it('offer the same values', () => {
    const choices = Object.fromEntries(properties.map(([id, property]) => [id, property.enum]));
    assert.deepEqual(choices['vitrine.provider'], contributions.providerChoices);
    assert.deepEqual(choices['vitrine.colourMap'], colourMaps);
  });

  it('offer every provider there is', () => {
    assert.deepEqual(
      sorted(contributions.providerChoices),
      sorted(['auto', ...providers.map(({ name }) => name)]),
    );
  });

  it('describe every setting', () => {
    for (const [id, { markdownDescription }] of properties) assert.ok(markdownDescription.length > 20, id);
  });

  it('restrict only settings that exist', () => {
    const { restrictedConfigurations } = manifest.capabilities.untrustedWorkspaces;
    for (const id of restrictedConfigurations) assert.ok(id in contributions.defaultSettings, id);
  });

  it('open the same files as checkpoints', () => {
    const selectors = Object.fromEntries(
      contributes.customEditors.map(({ priority, selector }) => [
        priority,
        sorted(selector.map(({ filenamePattern }) => filenamePattern)),
      ]),
    );
    assert.deepEqual(selectors, {
      default: sorted([
        ...contributions.checkpointExtensions.map((extension) => `*.${extension}`),
        ...contributions.checkpointNames,
      ]),
      option: sorted(contributions.checkpointOptions),
    });
  });

  it('name the same editors, and wake up for every panel that is restored', () => {
    const { checkpoint, checkpointOption, ...panels } = contributions.viewTypes;
    assert.deepEqual(
      contributes.customEditors.map(({ viewType }) => viewType),
      [checkpoint, checkpointOption],
    );
    assert.deepEqual(
      sorted(manifest.activationEvents),
      sorted(Object.values(panels).map((panel) => `onWebviewPanel:${panel}`)),
    );
  });

  it('have no menu item without a command', () => {
    for (const { command } of menuItems)
      assert.ok((contributions.commandIds as readonly string[]).includes(command), command);
  });

  it('read only context keys that are set', () => {
    const known: readonly string[] = Object.values(contributions.contextKeys);
    const read = menuItems.flatMap(({ when = '' }) => when.match(/(?<!\/\^)vitrine\.\w+/g) ?? []);
    assert.ok(read.length > 0);
    for (const key of read) assert.ok(known.includes(key), key);
  });

  it('name a run by what the checkpoint is for, one name at a time', () => {
    const tasks = Object.entries<TaskWords>(taskWords);
    const own = menuItems.filter(({ command }) => /\.classify(Image|Folder)$/.test(command));
    const other = menuItems.filter(({ command }) => /\.runOn(Image|Folder)$/.test(command));
    assert.equal(own.length, 6);
    for (const { when } of own) assert.match(when ?? '', /!vitrine\.otherTask$|^false$/);
    const onOther =
      /(^|&& )vitrine\.otherTask && (!vitrine\.task|vitrine\.task != 'video') && !vitrine\.readsTexts$|^false$/;
    for (const { when } of other) assert.match(when ?? '', onOther);
    const shownIn = (items: readonly MenuItem[]): number =>
      items.filter(({ command }) => /Image$/.test(command)).length;
    assert.equal(shownIn(own), shownIn(other));
    for (const [task, { command, title }] of tasks) {
      const items = menuItems.filter((item) => item.command === `vitrine.${command}`);
      const onFolder = items.filter(({ when = '' }) => /&& explorerResourceIsFolder/.test(when));
      assert.equal(items.length - onFolder.length, shownIn(other), command);
      for (const { when = '' } of items) assert.ok(when.endsWith(`vitrine.task == '${task}'`), when);
      const listed = contributes.commands.find((each) => each.command === `vitrine.${command}`);
      assert.equal(listed?.title, title);
    }
  });

  it('offer to run exactly the images that decode, and videos as clips', () => {
    const items = menuItems.filter(({ when = '' }) => when.includes('resourceExtname'));
    const clips = items.filter(({ command }) => command === `vitrine.${taskWords.video.command}`);
    assert.equal(items.length, 8 + 3 * Object.keys(taskWords).length);
    const others = ['.svg', '.heic', '.psd', '.pdf', '.jp', '.pngx', '.safetensors'];
    for (const item of items) {
      const pattern = patternOf(item.when ?? '', 'resourceExtname');
      const offered = pattern.source
        .slice(4, -2)
        .split('|')
        .map((extension) => `.${extension}`);
      const expected = clips.includes(item) ? [...imageExtensions, ...videoExtensions] : imageExtensions;
      assert.deepEqual(sorted(offered), sorted(expected));
      for (const extension of expected) assert.match(extension.toUpperCase(), pattern);
      for (const extension of others) assert.doesNotMatch(extension, pattern);
    }
  });

  it('offer to inspect exactly the files that the editors take', () => {
    const item = contributes.menus['explorer/context']?.find(
      ({ command }) => command === 'vitrine.inspectCheckpoint',
    );
    const pattern = patternOf(item?.when ?? '', 'resourceFilename');
    for (const extension of contributions.checkpointExtensions) assert.match(`model.${extension}`, pattern);
    for (const option of contributions.checkpointOptions) assert.match(option.replace('*', 'model'), pattern);
    for (const name of ['config.json', 'model.txt', 'onnx', 'a.bins']) assert.doesNotMatch(name, pattern);
  });

  it('name pictures and pages that exist', () => {
    const media = contributes.walkthroughs.flatMap(({ steps }) => steps.map((step) => step.media));
    const files = media.map(({ image, svg, markdown }) => image ?? svg ?? markdown ?? '');
    for (const file of [manifest.icon, ...files]) assert.ok(existsSync(file), file);
  });

  it('link only to commands that exist', () => {
    const links = contributes.walkthroughs
      .flatMap(({ steps }) => steps)
      .flatMap(({ description }) => description.match(/(?<=command:)vitrine\.\w+/g) ?? []);
    assert.ok(links.length > 0);
    for (const link of links) assert.ok((contributions.commandIds as readonly string[]).includes(link), link);
  });
});
