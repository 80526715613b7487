import { at } from '../../domain/lists';
import type { GraphBuilder } from '../../graph/builder';
import { sequence } from '../blocks/maps';
import type { Tokens } from '../blocks/layers';
import type { Maps, Stage, TokenMaps } from '../blocks/stages';
import type { Evidence } from '../family';
import { assumed } from '../evidence';
import { settle, type FoundWhole } from '../whole';

/** Blocks of the backbone, as its family counts them. */
export function depthOfBackbone({ backbone }: FoundWhole): number {
  const depth = backbone.evidence['depth']?.value;
  return typeof depth === 'number' ? depth : 0;
}

/** A number of the backbone's evidence, the vertical one of two. */
export function numberOfBackbone({ backbone }: FoundWhole, key: string, otherwise: number): number {
  const [value = otherwise] = [backbone.evidence[key]?.value ?? otherwise].flat();
  return Number(value);
}

/** The layers that a head reads of a network that keeps one grid, counted from 0. */
export interface LayersRead {
  /** Key of config.json that lists them. */
  readonly config: string;
  /** What that key counts from. */
  readonly from: number;
  /** If nobody says which. */
  readonly otherwise: readonly number[];
}

/** Ends of four equal parts of a network: what published models of several depths read. */
export const quarters = (depth: number): readonly number[] =>
  [1, 2, 3, 4].map((part) => Math.ceil((part * depth) / 4) - 1);

/**
 * Which blocks a head reads, from 0; −1 is what stands in front of the first. Names and shapes do
 * not tell them.
 */
export function layersRead(
  found: FoundWhole,
  { config, from, otherwise }: LayersRead,
): Evidence<readonly number[]> {
  const depth = depthOfBackbone(found);
  const fits = (value: unknown, first: number): boolean =>
    Array.isArray(value) &&
    value.length === otherwise.length &&
    value.every((each) => Number.isInteger(each) && each >= first - 1 && each < depth + first);
  const evidence = settle<readonly number[]>(found, 'out_layers', {
    config: [config],
    otherwise: assumed<readonly number[]>(otherwise, 'the layers that the head reads are not in the weights'),
    is: (value) => fits(value, found.found.assume['out_layers'] === undefined ? from : 0),
    needed: `${otherwise.length} layers of ${depth}`,
  });
  return evidence.source.startsWith('config.json')
    ? { ...evidence, value: evidence.value.map((each) => each - from) }
    : evidence;
}

/** The tokens behind a block; −1 stands for those in front of the first. */
export function tokensOf({ stages, front = [] }: Maps, layer: number): Tokens {
  const stage: Stage = at(layer < 0 ? front : stages, Math.max(layer, 0));
  if ('layout' in stage.value) return stage.value;
  throw new Error(`layer ${layer} hands on a map; tokens are needed`);
}

/** The backbone's last tokens as an output, so that all blocks run, as in the library. */
export function lastTokens(b: GraphBuilder, maps: Maps): void {
  const { tokens } = maps as TokenMaps;
  b.output('tokens', sequence(b, tokens), 'tokens');
}
