import type { ScalingPoint } from '../../../../src/domain/report';
import type { ModuleBar } from '../../../../webview/complexity/moduleBars';
import { moduleChart, scalingChart, standaloneSvg, type Chart } from '../../../../webview/marks/charts';
import { useDocument, type DrawnNode } from '../../../support/drawing';
import { assertSnapshot } from '../../../support/snapshot';

const textOf = (chart: Chart): string => (chart as unknown as DrawnNode).text();

const bar = (label: string, times: number, conv: number, linear: number, attention: number): ModuleBar => ({
  label,
  path: label,
  times,
  macs: { conv, linear, attention },
  params: 0,
});

/** A plain model of 16-pixel patches: linear in tokens, and attention by their square. */
const point = (side: number, attends: boolean): ScalingPoint => {
  const tokens = (side / 16) ** 2;
  const attention = attends ? 96 * tokens ** 2 : 0;
  return {
    imageSize: [side, side],
    tokens,
    macs: { conv: 4_000 * tokens, linear: 50_000 * tokens, attention },
    activationBytes: 4_000 * tokens,
    peakActivationBytes: 2_048 * tokens,
  };
};

describe('drawn charts', () => {
  useDocument();

  it('bars of modules', () => {
    const bars = [
      bar('patch_embed', 1, 12e6, 0, 0),
      bar('blocks', 12, 0, 85e6, 9e6),
      bar('head', 1, 0, 2e5, 0),
    ];
    assertSnapshot('marks/moduleChart.svg', textOf(moduleChart(bars, 2, 'FLOPs', 480)));
  });

  it('scaling with attention', () => {
    const points = [224, 384, 512, 1024].map((side) => point(side, true));
    const marks = { now: 1, native: [224, 224] as const, ...(points[3] && { crossing: points[3] }) };
    assertSnapshot('marks/scalingChart.svg', textOf(scalingChart(points, marks, 1, 'MACs', 480)));
  });

  it('scaling without attention', () => {
    const points = [224, 448].map((side) => point(side, false));
    const chart = scalingChart(points, { now: 0, native: [224, 224] }, 1, 'MACs', 320);
    assertSnapshot('marks/scalingWithoutAttention.svg', textOf(chart));
  });

  it('as a file of its own', () => {
    const chart = moduleChart([bar('stem', 1, 3e6, 1e6, 0)], 1, 'MACs', 320);
    assertSnapshot('marks/standalone.svg', standaloneSvg(chart));
  });
});
