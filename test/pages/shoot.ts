// Takes pictures of the pages for looking at them:
//   node dist/test/pages/shoot.js OUTPUT [page[:case][:tab]@width[x height]/theme …]
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Demo, type PageName } from './browse';
import type { ThemeName } from './themes';

const SHOT = /^(\w+)(?::(\w*))?(?::(\w+))?@(\d+)(?:x(\d+))?\/(\w+)$/;

async function main(): Promise<void> {
  const [output = 'test/output/pages', ...shots] = process.argv.slice(2);
  await mkdir(output, { recursive: true });
  const demo = await Demo.start();
  for (const shot of shots) {
    const [, name, shownCase, tab, width, height, theme] = SHOT.exec(shot) ?? [];
    if (!name) throw new Error(`not a shot: ${shot}`);
    const { page, complaints } = await demo.open({
      name: name as PageName,
      shownCase: shownCase ?? '',
      theme: theme as ThemeName,
      width: Number(width),
      height: Number(height ?? 900),
    });
    if (tab) await page.locator(`#tab-${tab}`).click();
    await page.waitForTimeout(400);
    await page.screenshot({ path: join(output, `${shot.replace(/[:/@]/g, '-')}.png`) });
    for (const complaint of complaints) console.log(`${shot}: ${complaint}`);
    await page.close();
  }
  await demo.close();
}

await main();
