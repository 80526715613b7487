// Golden cases: folders with `case.json`, a checkpoint and `reference.safetensors`, made by
// test/fixtures/cases/make.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConfigValue } from '../../src/architectures/family';

/** Where an attention map of a case belongs. */
export interface CaseAttention {
  readonly tensor: string;
  readonly layer: string;
  readonly kind: string;
  readonly heads: number;
  readonly queries: unknown;
  readonly keys: unknown;
  /** Of deformable attention: the tensor that says where keys lie. */
  readonly places?: string;
  readonly window?: { readonly size: number | readonly number[] };
}

/** `case.json` */
export interface Case {
  readonly id: string;
  readonly family: string;
  readonly dialect: string;
  readonly format: string;
  readonly checkpoint: string;
  readonly assume: Readonly<Record<string, ConfigValue>>;
  readonly task: string;
  readonly image_size: readonly [number, number];
  readonly params: number;
  readonly buffers: number;
  readonly macs: { readonly conv: number; readonly linear: number; readonly attention: number };
  /** Hyper-parameters that must be found. */
  readonly config: Readonly<Record<string, ConfigValue>>;
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly attention: readonly CaseAttention[];
  readonly tolerance: { readonly output: number; readonly attention: number };
  /** Folder of the case. */
  readonly folder: string;
}

/** Folder of the cases: VITRINE_CASES, or those that come with the tests. */
export const casesFolder = process.env.VITRINE_CASES ?? 'test/fixtures/cases';

/** Every case below a folder, itself included. */
export function readCases(folder: string = casesFolder): readonly Case[] {
  const folders = [folder, ...readdirSync(folder).map((name) => join(folder, name))];
  return folders
    .filter((name) => existsSync(join(name, 'case.json')))
    .map((name) => ({
      ...(JSON.parse(readFileSync(join(name, 'case.json'), 'utf8')) as Case),
      folder: name,
    }));
}

/** The checkpoint that a case opens. */
export function checkpointPath({ folder, checkpoint }: Case): string {
  return join(folder, checkpoint);
}

/** The image size of a case; undefined if it is given patches, which have none. */
export const sizeOfCase = ({ image_size: size }: Case): Case['image_size'] | undefined =>
  size.includes(0) ? undefined : size;
