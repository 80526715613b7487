import { elementCount } from '../checkpoint/tensors';
import { exactSum } from './exact';
import { countedMacs, sumMacs, type Work } from './work';

/**
 * fvcore's count, which timm's tables print as GMACs: the counted MACs and a charge for norms,
 * pooling and upsampling. Fused attention, softmax, activations and additions cost nothing there.
 */
export function fvcoreCount(work: readonly Work[]): number {
  const charges = work.map(({ bytes, charge }) => (bytes > 0 ? charge : 0));
  return exactSum([countedMacs(sumMacs(work)), ...charges]);
}

/** Output elements of convolutions, linear layers and matrix products: `macts` of timm's tables. */
export function productActivations(work: readonly Work[]): number {
  const counted = work.filter(({ macs }) => macs > 0);
  return exactSum(counted.map(({ outputs: [output] }) => (output ? elementCount(output.shape) : 0)));
}
