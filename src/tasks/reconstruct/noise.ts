/** Numbers of the generator's state (Matsumoto and Nishimura 1998, MT19937). */
const states = 624;
const middle = 397;

/** The state that a seed begins with. */
function seeded(seed: number): Uint32Array {
  const state = new Uint32Array(states);
  state[0] = seed >>> 0;
  for (let index = 1; index < states; index++) {
    const before = state[index - 1] ?? 0;
    state[index] = Math.imul(1812433253, before ^ (before >>> 30)) + index;
  }
  return state;
}

/** Makes the next state in place. */
function twist(state: Uint32Array): void {
  for (let index = 0; index < states; index++) {
    const joined = ((state[index] ?? 0) & 0x80000000) | ((state[(index + 1) % states] ?? 0) & 0x7fffffff);
    const turned = (joined >>> 1) ^ ((joined & 1) === 0 ? 0 : 0x9908b0df);
    state[index] = (state[(index + middle) % states] ?? 0) ^ turned;
  }
}

function tempered(value: number): number {
  let mixed = value ^ (value >>> 11);
  mixed ^= (mixed << 7) & 0x9d2c5680;
  mixed ^= (mixed << 15) & 0xefc60000;
  return (mixed ^ (mixed >>> 18)) >>> 0;
}

/** Bits of a draw that a float32 keeps. */
const kept = 24;

/**
 * Draws `count` numbers from 0 to below 1, as torch.rand does on the CPU behind torch.manual_seed:
 * the same seed hides the same patches there.
 */
export function uniformNoise(seed: number, count: number): Float32Array {
  const state = seeded(seed);
  return Float32Array.from({ length: count }, (_, index) => {
    if (index % states === 0) twist(state);
    return (tempered(state[index % states] ?? 0) % 2 ** kept) / 2 ** kept;
  });
}
