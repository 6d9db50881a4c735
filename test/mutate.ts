// Seeded damage to files: the ways in which downloads, disks and attackers change bytes.

export type Random = () => number;

/** Uniform numbers in [0, 1) from a seed (mulberry32). */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Damage = (bytes: Uint8Array, at: number, random: Random, donor: Uint8Array) => Uint8Array;

const HUGE = [
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];

const DAMAGES: readonly Damage[] = [
  function flipBit(bytes, at, random) {
    const out = bytes.slice();
    out[at] = (out[at] ?? 0) ^ (1 << pick(8, random));
    return out;
  },
  function setByte(bytes, at, random) {
    const out = bytes.slice();
    out[at] = [0, 1, 0x7f, 0x80, 0xff, pick(256, random)][pick(6, random)] ?? 0;
    return out;
  },
  function truncate(bytes, at) {
    return bytes.slice(0, at);
  },
  function insertHugeNumber(bytes, at, random) {
    return join(bytes.subarray(0, at), HUGE[pick(HUGE.length, random)] ?? [], bytes.subarray(at));
  },
  function replaceByHugeNumber(bytes, at, random) {
    return join(
      bytes.subarray(0, at),
      HUGE[pick(HUGE.length, random)] ?? [],
      bytes.subarray(at + 1),
    );
  },
  function removeRun(bytes, at, random) {
    return join(bytes.subarray(0, at), bytes.subarray(at + 1 + pick(64, random)));
  },
  function repeatRun(bytes, at, random) {
    const run = bytes.subarray(at, at + 1 + pick(64, random));
    return join(bytes.subarray(0, at), run, bytes.subarray(at));
  },
  function splice(bytes, at, random, donor) {
    const from = pick(donor.length, random);
    const run = donor.subarray(from, from + 1 + pick(256, random));
    return join(bytes.subarray(0, at), run, bytes.subarray(at + pick(run.length, random)));
  },
  function zeroRun(bytes, at, random) {
    return bytes.slice().fill(0, at, at + 1 + pick(64, random));
  },
];

/** Damages that leave every length in the file right: the file stays readable more often, and what it says is wrong. */
const IN_PLACE = DAMAGES.filter(({ name }) => ["flipBit", "setByte", "zeroRun"].includes(name));

/** A damaged copy: one to four of the damages above, half of the time those in place only; `donor` gives bytes to splice in. */
export function mutate(bytes: Uint8Array, donor: Uint8Array, random: Random): Uint8Array {
  let out = bytes;
  const damages = random() < 0.5 ? DAMAGES : IN_PLACE;
  for (let rounds = 1 + pick(4, random); rounds > 0; rounds--) {
    const damage = damages[pick(damages.length, random)];
    if (damage !== undefined && out.length > 0)
      out = damage(out, pick(out.length, random), random, donor);
  }
  return out;
}

function pick(count: number, random: Random): number {
  return Math.floor(random() * count);
}

function join(...parts: readonly ArrayLike<number>[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
