import type { PixelsInside } from '../domain/pixels';
import type { Preprocessing, RescaleStep, SettingRecord, Step } from './steps';

/** What `unit` wants: bytes divided by 255, as every library does first. */
const toUnit: RescaleStep = { kind: 'rescale', factor: 1 / 255, offset: 0 };

/**
 * The preprocessing without what a graph does itself: the values of pixels are left as bytes or
 * divided by 255, sizes stay as they are. A configuration beside it describes the model before it
 * was exported, and is overruled.
 */
export function leftToGraph(preprocessing: Preprocessing, { takes, source }: PixelsInside): Preprocessing {
  const { steps, evidence } = preprocessing;
  const isValue = ({ kind }: Step): boolean => kind === 'rescale' || kind === 'normalize';
  const place = steps.findIndex(isValue);
  const sizes = steps
    .filter((step) => !isValue(step))
    .map((step) => (takes === 'bytes' ? asBytes(step) : step));
  const at = place < 0 ? sizes.length : place;
  const { mean: _mean, std: _std, ...others } = evidence;
  const rescale = {
    value: takes === 'bytes' ? 1 : toUnit.factor,
    source: `${source}: the rest is done inside`,
  };
  const said: SettingRecord = { ...others, rescale };
  const all = takes === 'bytes' ? sizes : [...sizes.slice(0, at), toUnit, ...sizes.slice(at)];
  return { ...preprocessing, steps: all, evidence: said };
}

/** Bytes are whole numbers: a resize of floats would be cut off. */
function asBytes(step: Step): Step {
  if (step.kind !== 'resize' || !step.floats) return step;
  const { floats: _floats, ...rest } = step;
  return rest;
}
