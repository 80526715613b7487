// npm run screenshots [-- VIEW...]: pictures of every view in every theme, wide and narrow, for a
// person to look at.
import { mkdir, rm } from 'node:fs/promises';
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

/** With the explorer beside it, the narrow one leaves about 600 pixels to the view. */
const sizes = { wide: [1440, 900], narrow: [900, 900] } as const;
/** For charts and late bars to come to rest. */
const settleMilliseconds = 800;

async function main(chosen: readonly string[]): Promise<void> {
  await rm('test/output/screenshots', { recursive: true, force: true });
  await mkdir('test/output/screenshots', { recursive: true });
  const workbench = await openWorkbench({ settings: { 'explorer.autoReveal': false } });
  try {
    await chooseModel(workbench);
    for (const view of views) {
      if (chosen.length === 0 || chosen.includes(view.name)) await shootView(workbench, view);
    }
  } finally {
    await workbench.close();
  }
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
  for (const [size, [width, height]] of Object.entries(sizes)) {
    await workbench.setSize(width, height);
    for (const theme of Object.keys(themes) as Theme[]) {
      await workbench.setTheme(theme);
      await workbench.page.waitForTimeout(settleMilliseconds);
      console.log(await workbench.screenshot(`${view.name}-${theme}-${size}`));
    }
  }
  await workbench.setSize(...sizes.wide);
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
