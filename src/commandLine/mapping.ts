import { readFile, stat } from 'node:fs/promises';
import { parseMapping, type Mapping } from '../architectures/recognise/structure/mapping';

/** Bytes of a mapping: ten thousand names of a hundred letters have two million. */
const mostBytes = 20_000_000;

/** Reads what tensors are taken for. Throws if the file is no such list. */
export async function readMapping(file: string): Promise<Mapping> {
  const { size } = await stat(file);
  if (size > mostBytes) throw new Error(`${file}: ${size} bytes found; a mapping has ${mostBytes} at most`);
  return parseMapping(parse(await readFile(file, 'utf8'), file), file);
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${file}: is no JSON: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
