// Scales that move size from the channels of an activation into the weights that read it, chosen by a model of the rounding noise: no data is run,
// the statistics of calibration are enough.
import type { Matrix } from "../products.js";
import { ALPHAS, LARGEST, MEAN, P, RATE, SMALLEST, SQUARE, STEPS, WORTHWHILE } from "./defaults.js";

/** What calibration saw of one activation, per channel [K]; lowest ≤ 0 ≤ highest. */
export interface ChannelFacts {
  readonly lowest: Float64Array;
  readonly highest: Float64Array;
  /** Mean of x². */
  readonly meanSquares: Float64Array;
}

/** Codes of an activation, and the largest code of a weight. */
const ACTIVATION_CODES = 255;
const WEIGHT_CODES = 127;

/**
 * Scales s [K], geometric mean 1: x / s is quantized and s · W in place of W. They make the expected squared error of the outputs small, summed
 * over activations that share the weights: Δx²/12 · Σ_k s_k² ‖W_k‖² + Σ_n Δw_n²/12 · Σ_k E[x_k²]/s_k². Undefined where nothing is gained.
 */
export function smoothingScales(
  activations: readonly ChannelFacts[],
  weights: readonly Matrix[],
): Float32Array | undefined {
  const noise = new NoiseModel(activations, weights);
  const none = new Float64Array(noise.channels);
  const plain = noise.at(none);
  let best: Descended = { logs: none, value: plain };
  for (const alpha of ALPHAS) {
    const logs = noise.exponents(alpha);
    const value = noise.at(logs);
    if (value < best.value) best = { logs, value };
  }
  const descended = descend(noise, best.logs);
  if (descended.value < best.value) best = descended;
  return best.value < plain * WORTHWHILE ? Float32Array.from(best.logs, Math.exp) : undefined;
}

interface Descended {
  readonly logs: Float64Array;
  readonly value: number;
}

/** Adam on log s. */
function descend(noise: NoiseModel, start: Float64Array): Descended {
  const logs = start.slice();
  const mean = new Float64Array(logs.length);
  const square = new Float64Array(logs.length);
  const gradient = new Float64Array(logs.length);
  let best: Descended = { logs: start, value: Infinity };
  for (let step = 1; step <= STEPS; step++) {
    const value = noise.at(logs, gradient);
    if (value < best.value) best = { logs: logs.slice(), value };
    const rate = RATE * (1 - (step - 1) / STEPS);
    for (let k = 0; k < logs.length; k++) {
      // The noise's own size does not matter: its logarithm is descended.
      const g = (gradient[k] as number) / value;
      mean[k] = MEAN.kept * (mean[k] as number) + MEAN.taken * g;
      square[k] = SQUARE.kept * (square[k] as number) + SQUARE.taken * g * g;
      const m = (mean[k] as number) / (1 - MEAN.kept ** step);
      const v = (square[k] as number) / (1 - SQUARE.kept ** step);
      logs[k] = (logs[k] as number) - (rate * m) / (Math.sqrt(v) + 1e-12);
    }
    settle(logs);
  }
  return best;
}

/** Geometric mean 1, within bounds. */
function settle(logs: Float64Array): void {
  const mean = logs.reduce((sum, v) => sum + v, 0) / logs.length;
  const [low, high] = [Math.log(SMALLEST), Math.log(LARGEST)];
  for (let k = 0; k < logs.length; k++)
    logs[k] = Math.min(high, Math.max(low, (logs[k] as number) - mean));
}

class NoiseModel {
  readonly channels: number;
  /** ‖W_k‖² over all weights. */
  readonly #rowSquares: Float64Array;
  /** max_n |W_kn|. */
  readonly #rowMaxima: Float64Array;
  /** |W_kn|^P of all weights side by side, each column divided by its own maximum, and these maxima. */
  readonly #powers: readonly {
    readonly cols: number;
    readonly values: Float64Array;
    readonly maxima: Float64Array;
  }[];
  readonly #activations: readonly ChannelFacts[];

  constructor(activations: readonly ChannelFacts[], weights: readonly Matrix[]) {
    this.channels = weights[0]?.rows ?? 0;
    this.#activations = activations;
    this.#rowSquares = new Float64Array(this.channels);
    this.#rowMaxima = new Float64Array(this.channels);
    this.#powers = weights.map(({ values, rows, cols }) => {
      const maxima = new Float64Array(cols);
      for (let i = 0; i < values.length; i++) {
        const a = Math.abs(values[i] as number);
        const k = Math.floor(i / cols);
        const n = i - k * cols;
        if (a > (maxima[n] as number)) maxima[n] = a;
        if (a > (this.#rowMaxima[k] as number)) this.#rowMaxima[k] = a;
        this.#rowSquares[k] = (this.#rowSquares[k] as number) + a * a;
      }
      const powers = new Float64Array(rows * cols);
      for (let k = 0, i = 0; k < rows; k++)
        for (let n = 0; n < cols; n++, i++) {
          const ratio = Math.abs(values[i] as number) / (maxima[n] || 1);
          const r4 = ratio ** 4;
          powers[i] = (r4 * r4 * r4) ** 2;
        }
      return { cols, values: powers, maxima };
    });
  }

  /** log s of SmoothQuant: max |x_k|^α / max |W_k|^(1 − α). */
  exponents(alpha: number): Float64Array {
    const logs = Float64Array.from(this.#rowMaxima, (w, k) => {
      const x = Math.max(
        ...this.#activations.map(({ lowest, highest }) =>
          Math.max(-(lowest[k] as number), highest[k] as number),
        ),
      );
      return alpha * Math.log(Math.max(x, 1e-5)) - (1 - alpha) * Math.log(Math.max(w, 1e-5));
    });
    settle(logs);
    return logs;
  }

  /** The noise at log s; its slope into `gradient`. */
  at(logs: Float64Array, gradient?: Float64Array): number {
    const K = this.channels;
    const s = logs.map(Math.exp);
    const rowNoise = this.#rowSquares.map((w, k) => w * (s[k] as number) ** 2);
    const passed = rowNoise.reduce((sum, v) => sum + v, 0);
    const { sum: steps, slope: stepSlope } = this.#weightSteps(s, gradient !== undefined);
    let total = 0;
    gradient?.fill(0);
    for (const facts of this.#activations) {
      const up = pNorm(facts.highest, s, 1);
      const down = pNorm(facts.lowest, s, -1);
      const delta = (up.norm + down.norm) / ACTIVATION_CODES;
      const inputs = facts.meanSquares.map((m, k) => m / (s[k] as number) ** 2);
      const energy = inputs.reduce((sum, v) => sum + v, 0);
      total += (delta ** 2 / 12) * passed + (steps / 12) * energy;
      if (gradient === undefined) continue;
      for (let k = 0; k < K; k++) {
        const deltaSlope =
          -((up.parts[k] as number) + (down.parts[k] as number)) / ACTIVATION_CODES;
        gradient[k] =
          (gradient[k] as number) +
          (delta * deltaSlope * passed) / 6 +
          (delta ** 2 * (rowNoise[k] as number)) / 6 +
          ((stepSlope[k] as number) / 12) * energy -
          (steps * (inputs[k] as number)) / 6;
      }
    }
    return total;
  }

  /** Σ_n Δw_n², Δw_n = max_k |W_kn| s_k / 127, and its slope by log s. */
  #weightSteps(s: Float64Array, slopes: boolean): { sum: number; slope: Float64Array } {
    const K = this.channels;
    const largest = s.reduce((max, v) => Math.max(max, v), 0);
    const powered = s.map((v) => (v / largest) ** P);
    const slope = new Float64Array(K);
    let sum = 0;
    for (const { cols, values, maxima } of this.#powers) {
      const sums = new Float64Array(cols);
      for (let k = 0, i = 0; k < K; k++) {
        const p = powered[k] as number;
        for (let n = 0; n < cols; n++, i++)
          sums[n] = (sums[n] as number) + p * (values[i] as number);
      }
      // Of each column: its squared step, and what part of it each row has.
      const shares = new Float64Array(cols);
      for (let n = 0; n < cols; n++) {
        const sumN = sums[n] as number;
        const norm = sumN ** (1 / P) * largest * (maxima[n] as number);
        const square = (norm / WEIGHT_CODES) ** 2;
        sum += square;
        shares[n] = sumN > 0 ? (2 * square) / sumN : 0;
      }
      if (!slopes) continue;
      for (let k = 0, i = 0; k < K; k++) {
        let part = 0;
        for (let n = 0; n < cols; n++, i++) part += (values[i] as number) * (shares[n] as number);
        slope[k] = (slope[k] as number) + (powered[k] as number) * part;
      }
    }
    return { sum, slope };
  }
}

/** The P-norm of max(0, sign · x_k) / s_k, and each channel's part of it (their sum is the norm). */
function pNorm(
  extremes: Float64Array,
  s: Float64Array,
  sign: 1 | -1,
): { norm: number; parts: Float64Array } {
  const ratios = extremes.map((x, k) => Math.max(0, sign * x) / (s[k] as number));
  const top = ratios.reduce((max, v) => Math.max(max, v), 0);
  if (top === 0) return { norm: 0, parts: ratios };
  const powers = ratios.map((r) => (r / top) ** P);
  const sum = powers.reduce((total, v) => total + v, 0);
  const norm = top * sum ** (1 / P);
  return { norm, parts: powers.map((p) => (norm * p) / sum) };
}
