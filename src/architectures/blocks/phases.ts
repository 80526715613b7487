import { at } from '../../domain/lists';
import type { Grid } from '../../domain/size';
import type { GraphBuilder } from '../../graph/builder';
import type { ValueInfo } from '../../graph/graph';
import type { Tokens } from './layers';
import { gridOf, gridTokens } from './maps';

/**
 * A map `[batch, channels, rows, columns]` as the interleaved maps of its patches' positions,
 * `[batch, channels, patch², rows/patch · columns/patch]` (Mehta & Rastegari 2022, MobileViT §3.1):
 * position (i, j) of every patch is a sequence of its own.
 */
export function phasesOfMap(b: GraphBuilder, map: ValueInfo, patch: number): ValueInfo {
  const [batch, channels, rows, columns] = map.shape as readonly [number, number, number, number];
  const [down, across] = [rows / patch, columns / patch];
  const apart = b.reshape(map, [batch, channels, down, patch, across, patch]);
  return b.reshape(b.transpose(apart, [0, 1, 3, 5, 2, 4]), [batch, channels, patch * patch, down * across]);
}

/** The map `[batch, channels, rows, columns]` that `phasesOfMap` took apart. */
export function mapOfPhases(b: GraphBuilder, phases: ValueInfo, patch: number, grid: Grid): ValueInfo {
  const [batch, channels] = phases.shape as readonly [number, number];
  const apart = b.reshape(phases, [batch, channels, patch, patch, grid[0] / patch, grid[1] / patch]);
  return b.reshape(b.transpose(apart, [0, 1, 4, 2, 5, 3]), [batch, channels, ...grid]);
}

/**
 * The same sequences as tokens of their own, one batch after the other:
 * `[batch · patch² · n, channels]`.
 */
export function phaseTokens(b: GraphBuilder, map: ValueInfo, patch: number): Tokens {
  const [rows, columns] = gridOf(map);
  const phases = phasesOfMap(b, map, patch);
  const [batch, channels, count, length] = phases.shape as readonly [number, number, number, number];
  const value = b.reshape(b.transpose(phases, [0, 2, 3, 1]), [batch * count * length, channels]);
  return gridTokens(value, batch * count, [rows / patch, columns / patch]);
}

/** The map that `phaseTokens` took apart. */
export function mapOfPhaseTokens(b: GraphBuilder, tokens: Tokens, patch: number, grid: Grid): ValueInfo {
  const count = patch * patch;
  const channels = at(tokens.value.shape, 1);
  const rows = b.reshape(tokens.value, [tokens.batch / count, count, tokens.count, channels]);
  return mapOfPhases(b, b.transpose(rows, [0, 3, 1, 2]), patch, grid);
}
