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

/**
 * What numbers are drawn for, and how a stream for it comes of the seed that a user gives, and of `part` (an epoch, an input). Two purposes of one
 * run should not draw the same numbers for the same rows. Results depend on these: changing one changes files that were made with its seed.
 */
const STREAMS = {
  "sample of records": (seed: number) => seed,
  "latency resamples": (seed: number) => seed,
  "held-out records": (seed: number) => seed + 1,
  "metric resamples": (seed: number) => seed + 1,
  "order of an epoch": (seed: number, epoch: number) => Math.imul(seed, 0x2545f491) + epoch,
  "dummy inputs": (seed: number, input: number) => seed * 1000 + input,
} as const satisfies Readonly<Record<string, (seed: number, part: number) => number>>;

/** The numbers of one purpose. The same seed and part give the same ones everywhere. */
export function randomFor(purpose: keyof typeof STREAMS, seed: number, part = 0): Random {
  return random(STREAMS[purpose](seed, part));
}
