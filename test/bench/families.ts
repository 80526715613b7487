// One row per family: from a file to its graph for the family's largest published model, and a
// image to the five likeliest classes of a small one against timm with the same random weights.
import { join } from 'node:path';
import { families } from '../../src/architectures/registry';
import type { Family } from '../../src/architectures/family';
import { elementCount } from '../../src/checkpoint/tensors';
import { writeSparse } from '../inference/support';
import { checkpointOf, ownFolder, readLines, rowOf, type Line } from '../oracles/lines';
import { findTimm } from './findPeers';
import { inFolder } from './folders';
import { ownProgram, runProgram } from './processes';
import { spreadOf } from './statistics';
import { missingRow, type Row } from './table';
import { measureWarmPeer } from './warm';

/** A small model of timm for each family that timm has, of the size that people fine-tune. */
const small: Readonly<Record<string, string>> = {
  vit: 'deit_small_patch16_224',
  'vit-relpos': 'vit_relpos_small_patch16_224',
  'vit-hybrid': 'vit_small_r26_s32_224',
  naflexvit: 'naflexvit_base_patch16_gap',
  sam: 'samvit_base_patch16_224',
  beit: 'beit_base_patch16_224',
  eva: 'eva02_tiny_patch14_336',
  swin: 'swin_tiny_patch4_window7_224',
  swinv2: 'swinv2_tiny_window8_256',
  swinv2_cr: 'swinv2_cr_tiny_ns_224',
  pvt_v2: 'pvt_v2_b2',
  mobilevit: 'mobilevit_s',
  convit: 'convit_small',
  cait: 'cait_xxs24_224',
  xcit: 'xcit_tiny_12_p16_224',
  twins: 'twins_svt_small',
  pit: 'pit_s_224',
  levit: 'levit_256',
  coat: 'coat_lite_small',
  crossvit: 'crossvit_small_240',
  maxvit: 'maxvit_tiny_tf_224',
  mvitv2: 'mvitv2_tiny',
  hiera: 'hiera_tiny_224',
  hieradet: 'sam2_hiera_tiny',
  davit: 'davit_tiny',
  focalnet: 'focalnet_tiny_srf',
  metaformer: 'caformer_s18',
  vitamin: 'vitamin_small_224',
  volo: 'volo_d1_224',
  nest: 'nest_tiny',
  tnt: 'tnt_s_patch16_224',
  visformer: 'visformer_small',
  edgenext: 'edgenext_small',
  efficientformer: 'efficientformer_l1',
  efficientvit_mit: 'efficientvit_b1',
  efficientvit_msra: 'efficientvit_m5',
  tiny_vit: 'tiny_vit_5m_224',
  fastvit: 'fastvit_sa12',
  cnn: 'resnet50',
};

/** Processes that open the largest model, each for the first time. */
const openings = 5;

/** Both rows of every family, or of those that VITRINE_FAMILIES names (separated by commas). */
export async function measureFamilies(): Promise<readonly Row[]> {
  const wanted = process.env.VITRINE_FAMILIES?.split(',');
  const names = [...new Set((families as readonly Family[]).map(({ name, row = name }) => row))];
  const lines = readLines(ownFolder).filter(({ task }) => ['classify', 'features'].includes(task));
  const rows: Row[] = [];
  for (const family of names.filter((name) => wanted?.includes(name) ?? true)) {
    console.log(`  ${family} …`);
    rows.push(...(await measureGraph(family, largestOf(family, lines))));
    rows.push(...(await measureImage(family)));
  }
  return rows;
}

/**
 * The published model with the most tensors: what takes longest is one step per tensor and
 * operator.
 */
function largestOf(family: string, lines: readonly Line[]): Line | undefined {
  const own = lines.filter((line) => rowOf(line.family) === family);
  return own.reduce<Line | undefined>(
    (most, line) => (most && most.tensors.length >= line.tensors.length ? most : line),
    undefined,
  );
}

function measureGraph(family: string, line: Line | undefined): Promise<readonly Row[]> {
  const what = `${family}: file to graph`;
  if (!line) return Promise.resolve([missingRow(what, 'no published header')]);
  return inFolder(async (folder) => {
    const path = join(folder, 'model.safetensors');
    writeSparse(path, checkpointOf(line).selected.tensors);
    const times: number[] = [];
    for (let opening = 0; opening < openings; opening++) {
      const { output } = await runProgram(ownProgram('peers/openOnce', path));
      times.push((JSON.parse(output) as { open: number }).open);
    }
    const parameters = line.tensors.reduce((sum, [, , shape]) => sum + elementCount(shape), 0);
    const detail = `${line.id}, ${line.tensors.length} tensors, ${(parameters / 1e6).toFixed(0)} M elements; first call in a new process`;
    return [{ what, value: spreadOf(times), unit: 'ms', target: 100, detail }];
  });
}

function measureImage(family: string): Promise<readonly Row[]> {
  const architecture = small[family];
  const what = `${family}: image to top-5`;
  if (architecture === undefined) return Promise.resolve([missingRow(what, 'timm does not have it')]);
  return inFolder(async (folder) => {
    const weights = join(folder, 'model.safetensors');
    const peer = await findTimm(weights, architecture);
    return measureWarmPeer(weights, peer, { what: `${what}, ${architecture}`, target: 1 });
  });
}
