import type { ComplexityReport } from '../../src/domain/report';
import { totalMacs } from './moduleBars';

/** The ways in which papers and tools count the same work. */
export type Convention = 'macs' | 'flops' | 'fvcore';

export interface ConventionFacts {
  readonly title: string;
  readonly unit: string;
  /** Factor on counted MACs, for numbers of single modules. */
  readonly factor: number;
  readonly note: string;
  readonly total: (report: ComplexityReport) => number;
}

export const CONVENTIONS: Readonly<Record<Convention, ConventionFacts>> = {
  macs: {
    title: 'Counted MACs',
    unit: 'MACs',
    factor: 1,
    note: 'Convolutions, linear layers and attention products. Norms, softmax and activations are counted apart.',
    total: (report) => totalMacs(report.macs),
  },
  flops: {
    title: 'FLOPs (2 × MACs)',
    unit: 'FLOPs',
    factor: 2,
    note: 'A multiplication and an addition for each counted MAC.',
    total: (report) => report.flops,
  },
  fvcore: {
    title: 'fvcore (timm’s GMACs)',
    unit: 'fvcore',
    factor: 1,
    note: 'Counted MACs and fvcore’s charge for norms, as in timm’s tables. Single modules are shown in counted MACs.',
    total: (report) => report.conventions.fvcore,
  },
};

export const CONVENTION_NAMES = Object.keys(CONVENTIONS) as readonly Convention[];
