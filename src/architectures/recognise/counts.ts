import type { Checkpoint } from '../../checkpoint/checkpoint';
import { elementCount, type Tensor } from '../../checkpoint/tensors';
import type { ParameterCounts, Recognition, TensorRole } from '../family';
import { derivedMembers, rolesOfParts } from '../networks/derived';
import { isBufferOf } from './fit';
import { buildGraph } from './graphs';
import { trainingStates } from './states';
import { viewsOf } from './views';

/** Where a tensor's elements lie: two names for one range are one parameter (tied weights). */
function placeOf(tensor: Tensor): string | undefined {
  const { storage } = tensor;
  return storage.kind === 'file' && elementCount(tensor.shape) > 0
    ? [storage.file, storage.offset, tensor.start, tensor.shape.join('x'), tensor.strides?.join('x')].join(
        ' ',
      )
    : undefined;
}

/** Places that tensors lie at, by which another name for one of them is known. */
class Places {
  private readonly taken = new Set<string>();

  has(tensor: Tensor): boolean {
    const place = placeOf(tensor);
    return place !== undefined && this.taken.has(place);
  }

  add(tensor: Tensor): void {
    const place = placeOf(tensor);
    if (place !== undefined) this.taken.add(place);
  }
}

/** Tensors without those that are another name for one of them before. */
export function onceEach(tensors: readonly Tensor[]): readonly Tensor[] {
  const places = new Places();
  return tensors.filter((tensor) => {
    const isNew = !places.has(tensor);
    places.add(tensor);
    return isNew;
  });
}

/**
 * Counts the file's elements: learned parameters of the model once each, though some take no part
 * in the pass (a mask token, a text tower); buffers, and with them whatever else lies beside the
 * model. Role `unused`: no operator of the graph reads the tensor.
 */
export function countParameters(checkpoint: Checkpoint, recognition: Recognition): ParameterCounts {
  const known = recognition.family === null ? undefined : recognition.translation;
  const used = known ? buildGraph(checkpoint, recognition).used : undefined;
  const states = new Set(
    [...trainingStates(known?.network.members ?? [])]
      .map(({ tensor }) => tensor.name)
      .filter((name) => !used?.has(name)),
  );
  const isView = viewsOf(checkpoint.selected.tensors.filter(({ name }) => used?.has(name)));
  // Without a network, what parameters are composed of is told by all names alone.
  const parts = known ? undefined : rolesOfParts(derivedMembers(checkpoint.selected.tensors));
  const isBuffer = (tensor: Tensor): boolean => {
    const role = parts?.get(tensor.name);
    return role ? role === 'buffer' : isBufferOf(known, tensor);
  };
  const own = known && new Set([...known.parameters.values()].map(({ tensor }) => tensor.name));
  const places = new Places();
  const roles = new Map<string, TensorRole>();
  let params = 0;
  let buffers = 0;
  for (const tensor of checkpoint.selected.tensors) {
    const read = known?.copies.get(tensor.name) ?? tensor.name;
    const isTied = places.has(tensor);
    // What shows the memory of a parameter once more, beside the model, is none of its own.
    const isAlias = own !== undefined && !own.has(read) && (isTied || isView(tensor));
    const learned = !isBuffer(tensor) && !states.has(tensor.name) && !isAlias;
    const again = read !== tensor.name || (learned && isTied);
    const elements = again ? 0 : elementCount(tensor.shape);
    if (learned) places.add(tensor);
    if (learned) params += elements;
    else buffers += elements;
    const role = learned || isAlias ? roleOf(tensor, used) : 'buffer';
    roles.set(tensor.name, again && role === 'unused' ? 'copy' : role);
  }
  return { params, buffers, roles };
}

const roleOf = ({ name }: Tensor, used: ReadonlySet<string> | undefined): TensorRole =>
  used && !used.has(name) ? 'unused' : 'parameter';
