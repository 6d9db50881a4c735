// Numbers that look random and are the same everywhere: a small generator with a seed.

export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** A whole number in [0, below). */
  whole(below: number): number;
  /** Normal with mean 0 and deviation 1. */
  normal(): number;
}

/** Mulberry32. Different seeds give unrelated sequences. */
export function random(seed: number): Random {
  let state = Math.imul(seed, 0x9e3779b1) ^ 0x6d2b79f5;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    uniform,
    whole: (below) => Math.floor(uniform() * below),
    // The sum of 12 uniforms has deviation 1, and needs no function whose last digit depends on the machine.
    normal() {
      let sum = -6;
      for (let i = 0; i < 12; i++) sum += uniform();
      return sum;
    },
  };
}
