import {
  type Probe,
  type ProbeKind,
  type Sides,
  type WindowLayout,
  bothSides,
  isGate,
  tokenCount,
} from '../domain/probes';
import { formatExact } from '../domain/units';
import { keyGrid, queryGrid } from './reading';

/** What a kind of attention is called. */
export const attentionTitles: Readonly<Record<ProbeKind, string>> = {
  self: 'Multi-head self-attention',
  causal: 'Causal self-attention',
  cross: 'Cross-attention',
  class: 'Class attention',
  pool: 'Attention pooling',
  window: 'Window attention',
  reduced: 'Attention over reduced keys',
  channel: 'Channel attention',
  spatial: 'Spatial attention',
  deformable: 'Deformable attention',
  activation: 'Class activation map',
};

/** `7 × 7` */
const area = (sides: Sides): string => bothSides(sides).map(formatExact).join(' × ');
const isMoved = (shift: Sides | undefined): shift is Sides =>
  shift !== undefined && bothSides(shift).some((side) => side > 0);

/** `windows of 7 × 7 shifted by 3 × 3`, whatever form they have. */
function windowText({ size, shift, dilated, phases, stride, units }: WindowLayout): string {
  const steps = phases ?? stride;
  if (steps !== undefined) return `among positions ${area(steps)} apart`;
  if (units) return `within each of ${area(units)} mask units`;
  if (size === undefined) return '';
  if (dilated) return `${area(size)} positions spread over the map`;
  return `windows of ${area(size)}${isMoved(shift) ? ` shifted by ${area(shift)}` : ''}`;
}

/**
 * What a layer does and among what: `Window attention, windows of 7 × 7, on 56 × 56`,
 * `Channel gate, 2,048 channels`.
 */
export function layerText(probe: Probe): string {
  const { kind, keys, window } = probe;
  const [from, to] = [queryGrid(probe), keyGrid(probe)];
  if (isGate(probe)) return `${kind === 'channel' ? 'Channel' : 'Spatial'} gate, ${gateText(probe)}`;
  if (kind === 'activation')
    return `${attentionTitles.activation}: no attention, but what each of ${area(to ?? 0)} positions adds to a class`;
  const parts = [
    kind === 'self' && probe.heads === 1 ? 'Self-attention' : attentionTitles[kind],
    ...(window ? [windowText(window)] : []),
    ...(keys.channels === undefined ? [] : [`${formatExact(keys.channels)} channels of each head`]),
    ...(keys.points === undefined ? [] : [`${keys.points} points on each of ${keys.levels ?? 1} maps`]),
    ...(from && to && from.join() !== to.join() ? [`${area(to)} keys for ${area(from)} queries`] : []),
    ...(to && (!from || from.join() === to.join()) ? [`on ${area(to)}`] : []),
  ];
  return parts.filter(Boolean).join(', ');
}

function gateText(probe: Probe): string {
  const grid = keyGrid(probe);
  return grid ? `${area(grid)} positions` : `${formatExact(tokenCount(probe.keys))} channels`;
}
