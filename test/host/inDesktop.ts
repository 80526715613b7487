// Runs the host tests in a desktop VS Code, which is downloaded: npm run test:desktop
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runTests } from '@vscode/test-electron';

async function main(): Promise<number> {
  const root = await mkdtemp(join(tmpdir(), 'vitrine-desktop-'));
  const workspace = join(root, 'sample');
  await cp(resolve('media/sample'), workspace, { recursive: true });
  try {
    return await runTests({
      extensionDevelopmentPath: resolve('.'),
      extensionTestsPath: resolve('dist/test/host'),
      launchArgs: [
        workspace,
        '--disable-extensions',
        '--disable-workspace-trust',
        `--user-data-dir=${root}/data`,
      ],
    });
  } finally {
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  }
}

main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    console.error(`The desktop VS Code could not be run: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  },
);
