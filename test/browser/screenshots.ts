// npm run screenshots [-- VIEW...]: pictures of every view in every theme, wide and narrow, for a
// person to look at. With --workspace FOLDER, of the views of every model in a folder of one's own;
// they run on the first image of its `images`.
import { readFileSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointLabel } from '../../src/editor/documents/checkpointEntries';
import { openWorkbench, themes, type Theme, type Workbench } from './workbench';

interface View {
  readonly name: string;
  /** Opens the view in a workbench whose editors are closed. */
  readonly open: (workbench: Workbench) => Promise<void>;
  /** What must be on the screen before the picture is taken. */
  readonly selector: string;
}

const image = 'images/cat-on-grass.jpg';
const checkpoint = 'vitrine-sample/model.safetensors';

const inspectorTab =
  (title: string) =>
  async (workbench: Workbench): Promise<void> => {
    await workbench.openFile(checkpoint);
    const frame = await workbench.webview('[role=tablist]');
    await frame.getByRole('tab', { name: title }).click();
  };

const views: readonly View[] = [
  { name: 'inspector', open: inspectorTab('Architecture'), selector: '[role=treegrid]' },
  { name: 'tensors', open: inspectorTab('Tensors'), selector: '[role=row]' },
  {
    name: 'image',
    open: (workbench) => workbench.pickFromContextMenu(image, 'Classify Image'),
    selector: '.guesses',
  },
  {
    name: 'attention',
    open: (workbench) => workbench.pickFromContextMenu('images/frog-exif-rotated.jpg', 'Show Attention'),
    selector: '.image-stack',
  },
  {
    name: 'complexity',
    open: async (workbench) => {
      await workbench.runCommand('Vitrine: Complexity Report');
      await workbench.pick('vitrine-sample');
    },
    selector: '.complexity',
  },
  {
    name: 'batch',
    open: (workbench) => workbench.pickFromContextMenu('images', 'Classify Images in Folder'),
    selector: 'text=umbrella-in-the-rain.jpg',
  },
];

const { contributes } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly contributes: { readonly commands: readonly { readonly title: string }[] };
};
const commands = new Set(contributes.commands.map(({ title }) => title));

/** Widths of the view itself: the side bar is closed, the activity bar stands. */
const widths = [450, 1100, 1440, 1920] as const;
const activityBar = 48;
const height = 950;
/** For charts and late bars to come to rest. */
const settleMilliseconds = 800;

async function main(words: readonly string[]): Promise<void> {
  const at = words.indexOf('--workspace');
  const workspace = at < 0 ? undefined : words[at + 1];
  const chosen = at < 0 ? words : words.filter((_, index) => index !== at && index !== at + 1);
  const isChosen = ({ name }: View): boolean =>
    chosen.length === 0 || chosen.some((word) => name.startsWith(word));
  await rm('test/output/screenshots', { recursive: true, force: true });
  await mkdir('test/output/screenshots', { recursive: true });
  const workbench = await openWorkbench({ workspace, settings: { 'explorer.autoReveal': false } });
  try {
    if (workspace === undefined) await chooseModel(workbench);
    for (const view of workspace === undefined ? views : await viewsOf(workspace))
      if (isChosen(view))
        await shootView(workbench, view).catch((error: unknown) => console.error(view.name, error));
  } finally {
    await workbench.close();
  }
}

/** What the menu of an image calls a run of the chosen model. */
async function runTitle(workbench: Workbench, image: string): Promise<string> {
  const titles = await workbench.openContextMenu(join('images', image));
  await workbench.page.keyboard.press('Escape');
  const title = titles.find((text) => commands.has(text));
  if (!title) throw new Error(`the menu of ${image} has no command of ours; it has ${titles.join(', ')}`);
  return title;
}

/** Views of each model: `MODEL-image`, `MODEL-inspector`, `MODEL-complexity`. */
async function viewsOf(workspace: string): Promise<readonly View[]> {
  const [first = ''] = (await readdir(join(workspace, 'images'))).sort();
  const folders = (await readdir(workspace, { withFileTypes: true })).filter(
    (entry) => entry.isDirectory() && entry.name !== 'images',
  );
  const fileOf = async (name: string): Promise<string> =>
    (await readdir(join(workspace, name))).find((file) => file.startsWith('model.')) ?? '';
  const labelOf = async (name: string): Promise<string> =>
    checkpointLabel(join(workspace, name, await fileOf(name)));
  return folders.flatMap(({ name }): View[] => [
    {
      name: `${name}-image`,
      open: async (workbench) => {
        await workbench.runCommand('Vitrine: Choose Checkpoint…');
        await workbench.pick(await labelOf(name));
        await workbench.page.waitForTimeout(settleMilliseconds); // the menu is that of the model's task
        await workbench.pickFromContextMenu(join('images', first), await runTitle(workbench, first));
      },
      selector: '.result[aria-busy=false]',
    },
    {
      name: `${name}-inspector`,
      open: async (workbench) => workbench.openFile(join(name, await fileOf(name))),
      selector: '[role=treegrid]',
    },
    {
      name: `${name}-complexity`,
      open: async (workbench) => {
        await workbench.runCommand('Vitrine: Complexity Report');
        await workbench.pick(await labelOf(name));
      },
      selector: '.complexity',
    },
  ]);
}

/** The first image asks for the checkpoint; after it the views open without a question. */
async function chooseModel(workbench: Workbench): Promise<void> {
  await workbench.pickFromContextMenu(image, 'Classify Image');
  await workbench.pick('vitrine-sample');
  await workbench.webview('.guesses');
}

async function shootView(workbench: Workbench, view: View): Promise<void> {
  await workbench.closeEditors();
  await view.open(workbench);
  await workbench.webview(view.selector);
  await workbench.runCommand('View: Toggle Primary Side Bar Visibility');
  for (const width of widths) {
    await workbench.setSize(width + activityBar, height);
    for (const theme of Object.keys(themes) as Theme[]) {
      await workbench.setTheme(theme);
      await workbench.page.waitForTimeout(settleMilliseconds);
      console.log(await workbench.screenshot(`${view.name}-${theme}-${width}`));
    }
  }
  await workbench.setSize(1440, height);
  await workbench.runCommand('View: Toggle Primary Side Bar Visibility');
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
