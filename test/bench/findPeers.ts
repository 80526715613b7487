import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { provideFolder } from '../run/cache.mjs';
import { capture } from '../run/processes.mjs';
import type { Command } from './processes';
import { image, type Workload } from './workload';

/** A way to the same answer that is not ours. */
export interface OtherWay {
  readonly title: string;
  readonly command: Command;
}

/** Something that this machine does not have, and what would give it. */
export interface NotFound {
  readonly notFound: string;
}

const packageName = '@huggingface/transformers';
const packageVersion = '4.3.1';

/** transformers.js, installed into the cache at the first run. */
export async function findTransformersJs({ hub, hubName }: Workload): Promise<OtherWay | NotFound> {
  try {
    const packages = await provideFolder(`transformers.js-${packageVersion}`, async (folder) => {
      await writeFile(join(folder, 'package.json'), '{"private": true}');
      const options = ['--ignore-scripts', '--no-audit', '--no-fund'];
      await capture('npm', ['install', ...options, `${packageName}@${packageVersion}`], { cwd: folder });
    });
    const manifest = await readFile(join(packages, 'node_modules', packageName, 'package.json'), 'utf8');
    const { version } = JSON.parse(manifest) as { version: string };
    const program = resolve('test/bench/peers/transformersJs.mjs');
    return {
      title: `transformers.js ${version}`,
      command: [process.execPath, program, packages, hub, hubName, image],
    };
  } catch (error) {
    return { notFound: `${packageName} could not be installed: ${(error as Error).message.split('\n')[0]}` };
  }
}

/** timm that classifies the image. Weights that are not there are made, at random. */
export const findTimm = (weights: string, architecture: string): Promise<OtherWay | NotFound> =>
  findInPython('timmEager', [architecture, weights, image]);

/** timm that makes models and what they give. */
export const findTimmOutputs = (): Promise<OtherWay | NotFound> => findInPython('timmOutputs', []);

/** timm that lists its models and makes their headers. */
export const findTimmHeaders = (): Promise<OtherWay | NotFound> => findInPython('timmHeaders', []);

/** transformers that answers about the image. A folder without a model gets one, at random. */
export const findTransformers = (
  task: string,
  folder: string,
  words: readonly string[],
): Promise<OtherWay | NotFound> =>
  findInPython('transformersEager', [task, folder, image, ...words], 'transformers');

/**
 * A program of the bench in the Python that VITRINE_PYTHON names, else in the first on the path,
 * where that has torch and the library.
 */
async function findInPython(
  name: string,
  args: readonly string[],
  library = 'timm',
): Promise<OtherWay | NotFound> {
  const python = process.env.VITRINE_PYTHON ?? 'python3';
  const facts = `import torch, ${library} as l; print(f"${library} {l.__version__}, torch {torch.__version__}")`;
  try {
    const title = (await capture(python, ['-c', facts])).trim();
    return { title, command: [python, resolve(`test/bench/peers/${name}.py`), ...args] };
  } catch {
    return {
      notFound: `no torch and ${library} in ${python}; VITRINE_PYTHON may name a Python that has them`,
    };
  }
}
