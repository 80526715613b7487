// npm run pictures [-- NAME...]: the pictures of README, of the sample as it is now, in
// media/pictures.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { openWorkbench, type Workbench } from './workbench';

interface Picture {
  readonly name: string;
  /** Brings what is to be seen onto the screen of a workbench without editors. */
  readonly show: (workbench: Workbench) => Promise<void>;
}

const size = { width: 1440, height: 900 };
/** Colours of a picture: more are not told apart, and every user loads them with the package. */
const colours = 128;
/** For charts and late bars to come to rest. */
const settleMilliseconds = 1500;

/** Runs a model of the sample on one of its images. */
async function run(workbench: Workbench, model: string, image: string, title: string): Promise<void> {
  await workbench.runCommand('Vitrine: Choose Checkpoint…');
  await workbench.pick(model);
  await workbench.page.waitForTimeout(settleMilliseconds); // the menu is that of the model's task
  await workbench.pickFromContextMenu(join('images', image), title);
  await workbench.webview('.result[aria-busy=false]');
}

const pictures: readonly Picture[] = [
  {
    name: 'inspector',
    show: async (workbench) => {
      await workbench.openFile(join('vitrine-sample', 'model.safetensors'));
      await workbench.webview('[role=treegrid]');
    },
  },
  {
    name: 'attention',
    show: (workbench) => run(workbench, 'vitrine-sample', 'cat-on-grass.jpg', 'Classify Image'),
  },
  {
    name: 'why',
    show: async (workbench) => {
      await run(workbench, 'vitrine-sample', 'cat-and-dog.jpg', 'Classify Image');
      const frame = await workbench.webview('.image-stack');
      await frame.getByRole('tab', { name: 'Why' }).click();
      await frame.getByRole('button', { name: 'Compare Class' }).click();
      await workbench.page.waitForTimeout(4 * settleMilliseconds);
    },
  },
  {
    name: 'boxes',
    show: async (workbench) => {
      await run(workbench, 'vitrine-detector', 'cat-and-dog.jpg', 'Detect Objects in Image');
      const frame = await workbench.webview('.image-stack');
      const texts = frame.getByRole('textbox', { name: 'What to find' });
      await texts.fill('cat\ndog');
      await texts.press('Control+Enter');
      await frame.locator('.result[aria-busy=false] .box-list li').first().click();
    },
  },
  {
    name: 'masks',
    show: (workbench) => run(workbench, 'vitrine-segmenter', 'elephant-in-savanna.webp', 'Segment Image'),
  },
  {
    name: 'complexity',
    show: async (workbench) => {
      await workbench.runCommand('Vitrine: Complexity Report');
      await workbench.pick('vitrine-sample');
      await workbench.webview('.complexity');
    },
  },
];

async function main(names: readonly string[]): Promise<void> {
  const workbench = await openWorkbench({ size, settings: { 'explorer.autoReveal': false } });
  try {
    for (const { name, show } of pictures) {
      if (names.length > 0 && !names.includes(name)) continue;
      await workbench.closeEditors();
      await show(workbench);
      await workbench.page.mouse.move(size.width / 2, size.height - 5);
      await workbench.page.waitForTimeout(settleMilliseconds);
      const shot = await workbench.page.screenshot();
      const file = join('media', 'pictures', `${name}.png`);
      await writeFile(file, await sharp(shot).png({ palette: true, colours, effort: 10 }).toBuffer());
      console.log(file);
    }
  } finally {
    await workbench.close();
  }
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
