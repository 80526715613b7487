import { pushAll } from '../../domain/lists';
import type { TensorTable } from '../format';
import { basename } from 'node:path';
import { openFile, type ByteSource } from '../byteSource';
import { confinedPath } from '../confine';
import { CheckpointError } from '../errors';
import { JsonError, parseJsonObject } from '../containers/json';
import { limits } from '../limits';
import { shown } from '../shape';
import type { Tensor } from '../tensors';
import { unwrapNames } from '../unwrap';

/**
 * `model.safetensors.index.json`, `pytorch_model.bin.index.json`,
 * `diffusion_pytorch_model.safetensors.index.fp16.json`.
 */
export function isShardIndex(path: string): boolean {
  return /\.index(\.[\w-]+)?\.json$/i.test(path);
}

/**
 * Reads a sharded checkpoint through its index: `weight_map` sends each tensor to a file of the
 * same folder. `readTable` reads one shard. Throws `CheckpointError`; a name that points out of the
 * folder is of kind `unsafe`, and nothing is opened for it.
 */
export async function readShards(
  source: ByteSource,
  readTable: (source: ByteSource) => Promise<TensorTable>,
): Promise<TensorTable> {
  const weightMap = await readWeightMap(source);
  const names = [...new Set(weightMap.values())].sort();
  if (names.length > limits.shards)
    throw refuse(source, `weight_map names ${names.length} shards, at most ${limits.shards} are allowed`);
  const paths = new Map(names.map((name) => [name, shardPath(source, name)]));
  const tables = new Map<string, TensorTable>();
  for (const [name, path] of paths) tables.set(name, await readShard(path, readTable));
  return merge(source, weightMap, tables);
}

function shardPath(source: ByteSource, name: string): string {
  const path = confinedPath(source.path, 'weight_map', name);
  if (isShardIndex(path)) throw refuse(source, `weight_map names ${basename(name)}, an index, as a shard`);
  return path;
}

async function readWeightMap(source: ByteSource): Promise<Map<string, string>> {
  if (source.size > limits.sidecarBytes)
    throw refuse(source, `the index has ${source.size} bytes, at most ${limits.sidecarBytes} are allowed`);
  let index: Readonly<Record<string, unknown>>;
  try {
    index = parseJsonObject(Buffer.from(await source.read(0, source.size)).toString('utf8'));
  } catch (error) {
    if (error instanceof JsonError) throw refuse(source, `the index ${error.message}`);
    throw error;
  }
  const map = index.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw refuse(source, `weight_map is ${shown(map)}; an object from tensor names to files is needed`);
  const entries = Object.entries(map);
  const wrong = entries.find(([, file]) => typeof file !== 'string');
  if (wrong)
    throw refuse(source, `weight_map sends ${wrong[0]} to ${shown(wrong[1])}, the name of a file is allowed`);
  if (entries.length === 0) throw refuse(source, 'weight_map is empty: it names no tensor');
  return new Map(entries as [string, string][]);
}

async function readShard(
  path: string,
  readTable: (source: ByteSource) => Promise<TensorTable>,
): Promise<TensorTable> {
  const shard = await openFile(path);
  try {
    return await readTable(shard);
  } finally {
    await shard.close();
  }
}

/** Every tensor once, from the shard that the index names. */
function merge(
  source: ByteSource,
  weightMap: ReadonlyMap<string, string>,
  tables: ReadonlyMap<string, TensorTable>,
): TensorTable {
  const tensors: Tensor[] = [];
  const warnings: string[] = [];
  for (const [shard, table] of tables) {
    pushAll(
      warnings,
      table.warnings.map((warning) => `${shard}: ${warning}`),
    );
    for (const tensor of storedTensors(table)) {
      const listed = weightMap.get(tensor.name);
      if (listed === shard || listed === undefined) tensors.push(tensor);
      if (listed === undefined)
        warnings.push(`${shard} has ${tensor.name}, which the index does not name; it is shown`);
      else if (listed !== shard)
        warnings.push(`${tensor.name} lies in ${shard} too; the index names ${listed}, which is shown`);
    }
  }
  const found = new Set(tensors.map((tensor) => tensor.name));
  for (const [name, shard] of weightMap)
    if (!found.has(name))
      throw refuse(source, `weight_map sends ${name} to ${shard}, which has no such tensor`);
  const [first] = tables.values();
  return {
    format: `${first?.format}, ${tables.size} shards`,
    files: [...tables.values()].flatMap((table) => table.files),
    stateDicts: unwrapNames(tensors),
    extras: [],
    metadata: Object.fromEntries([...tables.values()].flatMap((table) => Object.entries(table.metadata))),
    warnings,
  };
}

/** The names as they stand in the shard, prefixes included: that is what weight_map speaks of. */
function storedTensors({ stateDicts }: TensorTable): Tensor[] {
  return stateDicts.flatMap(({ tensors, stripped }) =>
    stripped === '' ? tensors : tensors.map((tensor) => ({ ...tensor, name: stripped + tensor.name })),
  );
}

function refuse(source: ByteSource, detail: string): CheckpointError {
  return new CheckpointError('malformed', source.path, detail);
}
