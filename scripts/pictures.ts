// The pictures of docs/ by name: those of THEORY.md are drawn from what the demo model holds and what runs through it.
import { estimateRange, type Estimator } from "../src/calibrate/estimators.js";
import { roundAgainst, roundingOrder } from "../src/ptq/gptq/round-matrix.js";
import { smoothingScales } from "../src/ptq/smoothing/scales.js";
import type { Matrix } from "../src/ptq/products.js";
import { asymmetric } from "../src/quant/affine.js";
import { channelScales, FULL_RANGE } from "../src/quant/scales.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { runtimeProducts } from "../src/runtime/products.js";
import { measure, type Layer } from "./measured.js";
import { rooms } from "./rooms.js";
import {
  arrow,
  bars,
  BLUE,
  curve,
  dots,
  FAINT,
  GREEN,
  INK,
  line,
  node,
  ORANGE,
  PURPLE,
  svg,
  words,
} from "./svg.js";

const WIDTH = 760;
const [LEFT, RIGHT] = [60, 730];
const span = RIGHT - LEFT;

export async function pictures(): Promise<Readonly<Record<string, string>>> {
  const { widening, narrowing } = await measure();
  return {
    scale: scale(narrowing),
    calibration: calibration(narrowing),
    outliers: outliers(narrowing),
    channels: channels(widening),
    qdq: qdq(),
    smoothing: smoothing(widening),
    rounding: await rounding(widening),
    rooms: rooms(),
  };
}

/** Counts of values in `bins` equal bins over [min, max]. */
function counted(values: Float32Array, min: number, max: number, bins: number): Float64Array {
  const counts = new Float64Array(bins);
  for (const value of values) {
    const bin = Math.floor(((value - min) / (max - min)) * bins);
    if (bin >= 0 && bin < bins) counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

function histogram(counts: Float64Array, foot: number, height: number): string {
  const top = Math.max(...counts);
  const heights = counts.map((n) => (height * n) / top);
  return bars(heights, { left: LEFT, foot, step: span / counts.length, color: BLUE, opacity: 0.4 });
}

function title(text: string): string {
  return words(LEFT, 26, text, { bold: true, size: 15 });
}

/** Sixteen codes over the values behind a GELU: with a zero point, and without one. */
function scale({ input, statistics }: Layer): string {
  const { min } = statistics;
  const { max } = estimateRange(statistics, { kind: "percentile" }, { bits: 8, symmetric: false });
  const x = (value: number) => LEFT + ((value + max) / (2 * max)) * span;
  const counts = counted(input.values, -max, max, 220).map((n) => Math.log10(1 + n));
  const shape = histogram(counts, 140, 90);
  const rows = [
    { y: 185, label: "asymmetric", codes: 16, from: min, step: (max - min) / 15, color: GREEN },
    { y: 245, label: "symmetric", codes: 15, from: -max, step: max / 7, color: ORANGE },
  ].flatMap(({ y, label, codes, from, step, color }) => [
    words(LEFT, y - 14, `${label}: scale ${step.toFixed(3)}`, { color, bold: true }),
    line(x(from), y, x(from + (codes - 1) * step), y, { color, width: 2 }),
    ...Array.from({ length: codes }, (_, i) => {
      const at = x(from + i * step);
      const code = label === "symmetric" ? i - 7 : i;
      return (
        line(at, y - 6, at, y + 6, { color }) +
        words(at, y + 21, String(code), { anchor: "middle", size: 11 })
      );
    }),
  ]);
  return svg(WIDTH, 285, [
    title("Where 16 codes go: values behind the first GELU (4 bits, to be seen)"),
    words(LEFT, 48, "how often each value occurs, on a logarithmic scale", { size: 12 }),
    shape,
    line(LEFT, 140, RIGHT, 140),
    line(x(0), 50, x(0), 252, { dashed: true, color: FAINT }),
    words(x(0) - 5, 155, "0", { anchor: "end", size: 12 }),
    ...rows,
    words(x(-max / 2), 130, "no values here: no codes", { anchor: "middle", size: 12 }),
  ]);
}

const ESTIMATORS: readonly (readonly [name: string, estimator: Estimator, color: string])[] = [
  ["min-max", { kind: "min-max" }, INK],
  ["MSE", { kind: "mse" }, GREEN],
  ["percentile 99.99", { kind: "percentile" }, ORANGE],
  ["entropy", { kind: "entropy" }, PURPLE],
];

function calibration({ input, statistics }: Layer): string {
  const { min, max } = statistics;
  const edge = max * 1.05;
  const x = (value: number) => LEFT + ((value - min) / (edge - min)) * span;
  const counts = counted(input.values, min, edge, 200).map((n) => Math.log10(1 + n));
  const shape = histogram(counts, 230, 150);
  const marks = ESTIMATORS.map(([name, estimator, color], i) => {
    const range = estimateRange(statistics, estimator, { bits: 8, symmetric: false });
    const step = asymmetric(range).scale;
    const at = x(range.max);
    const left = at > LEFT + span / 2;
    const y = 62 + i * 18;
    const text = `${name}: up to ${range.max.toFixed(1)}, a step is ${step.toFixed(3)}`;
    return (
      line(at, y - 8, at, 230, { color, width: 2 }) +
      words(at + (left ? -6 : 6), y, text, { color, anchor: left ? "end" : "start", size: 12 })
    );
  });
  return svg(WIDTH, 275, [
    title("Calibration: four ways to end the range of the same values"),
    shape,
    line(LEFT, 230, RIGHT, 230),
    ...[0, 5, 10, 15, 20, 25].map((v) =>
      words(x(v), 248, String(v), { anchor: "middle", size: 12 }),
    ),
    ...marks,
    words(
      LEFT,
      266,
      "input of the first feed-forward block's second layer; counts on a logarithmic scale",
      { size: 12 },
    ),
  ]);
}

/** A bar for each channel, `most` as tall as `height`. */
function profile(
  values: ArrayLike<number>,
  most: number,
  foot: number,
  height: number,
  color: string,
): string {
  const heights = Array.from(values, (value) => (height * value) / most);
  return bars(heights, { left: LEFT, foot, step: span / values.length, color });
}

function largest({ values, rows, cols }: Matrix): Float64Array {
  const most = new Float64Array(cols);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < cols; c++)
      most[c] = Math.max(most[c] ?? 0, Math.abs(values[r * cols + c] ?? 0));
  return most;
}

function outliers({ input }: Layer): string {
  const most = largest(input);
  const [first = 0, second = 0] = [...most].toSorted((a, b) => b - a);
  const y = (value: number) => 220 - (160 * value) / first;
  return svg(WIDTH, 265, [
    title(
      `An outlier channel: the largest value of each of ${most.length.toLocaleString("en")} channels`,
    ),
    profile(most, first, 220, 160, BLUE),
    line(LEFT, 220, RIGHT, 220),
    line(LEFT, y(second), RIGHT, y(second), { color: ORANGE, dashed: true }),
    words(RIGHT, y(second) - 6, `all others stay below ${second.toFixed(1)}`, {
      color: ORANGE,
      anchor: "end",
    }),
    line(LEFT, y(first), RIGHT, y(first), { color: INK, dashed: true }),
    words(RIGHT, y(first) - 6, `one reaches ${first.toFixed(1)} and sets the step of all`, {
      anchor: "end",
    }),
    words(LEFT, 245, "input of the first feed-forward block's second layer, channel by channel", {
      size: 12,
    }),
  ]);
}

/** dB of a matrix to what rounding with these scales leaves out. */
function ratio({ values, cols }: Matrix, scaleOf: (channel: number) => number): number {
  let [signal, noise] = [0, 0];
  values.forEach((w, i) => {
    const s = scaleOf(i % cols);
    signal += w * w;
    noise += (w - Math.round(w / s) * s) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}

function channels({ weight }: Layer): string {
  const most = largest(weight);
  const whole = Math.max(...most);
  const one = ratio(weight, () => whole / FULL_RANGE);
  const each = ratio(weight, (c) => (most[c] ?? 1) / FULL_RANGE);
  return svg(WIDTH, 265, [
    title("A scale for the whole tensor, or one for each output channel"),
    profile(most, whole, 220, 150, BLUE),
    line(LEFT, 220, RIGHT, 220),
    line(LEFT, 70, RIGHT, 70, { color: ORANGE, width: 2 }),
    words(LEFT, 62, `per tensor: one range for all, ${one.toFixed(1)} dB`, {
      color: ORANGE,
      bold: true,
    }),
    words(RIGHT, 62, `per channel: a range for each, ${each.toFixed(1)} dB`, {
      color: BLUE,
      bold: true,
      anchor: "end",
    }),
    words(
      LEFT,
      245,
      `largest weight of each of the ${most.length.toLocaleString("en")} output channels of the first feed-forward layer`,
      { size: 12 },
    ),
  ]);
}

function qdq(): string {
  return svg(WIDTH, 250, [
    title("Q/DQ in the file, one integer product at run time"),
    words(LEFT, 62, "in the file", { bold: true }),
    node(60, 80, 50, "x", INK),
    arrow(110, 94, 140, 94),
    node(140, 80, 120, "QuantizeLinear", BLUE),
    arrow(260, 94, 290, 94, BLUE),
    node(290, 80, 130, "DequantizeLinear", BLUE),
    arrow(420, 94, 470, 94),
    node(470, 80, 90, "MatMul", INK),
    arrow(560, 94, 600, 94),
    node(600, 80, 60, "Add", INK),
    arrow(660, 94, 700, 94),
    words(706, 98, "y"),
    node(140, 130, 120, "W in INT8", BLUE),
    arrow(260, 144, 290, 144, BLUE),
    node(290, 130, 130, "DequantizeLinear", BLUE),
    arrow(420, 144, 480, 109),
    words(265, 76, "8 bits", { size: 11, color: BLUE }),
    words(425, 76, "float", { size: 11 }),
    words(LEFT, 196, "what the runtime makes of it", { bold: true }),
    node(60, 206, 50, "x", INK),
    arrow(110, 220, 140, 220),
    node(140, 206, 120, "to 8 bits", BLUE),
    arrow(260, 220, 290, 220, BLUE),
    node(290, 206, 270, "8-bit product, sums in INT32", GREEN),
    arrow(560, 220, 600, 220),
    node(600, 206, 60, "rescale", INK),
    arrow(660, 220, 700, 220),
    words(706, 224, "y"),
  ]);
}

function smoothing({ input, weight }: Layer): string {
  const { values, rows, cols } = input;
  const [lowest, highest, meanSquares] = [0, 1, 2].map(() => new Float64Array(cols));
  if (lowest === undefined || highest === undefined || meanSquares === undefined)
    throw new Error("no channels");
  values.forEach((v, i) => {
    const c = i % cols;
    lowest[c] = Math.min(lowest[c] ?? 0, v);
    highest[c] = Math.max(highest[c] ?? 0, v);
    meanSquares[c] = (meanSquares[c] ?? 0) + (v * v) / rows;
  });
  const scales =
    smoothingScales([{ lowest, highest, meanSquares }], [weight]) ?? new Float32Array(cols).fill(1);
  const before = largest(input);
  const after = before.map((most, c) => most / (scales[c] ?? 1));
  const [top, smoothed] = [Math.max(...before), Math.max(...after)];
  const panel = (foot: number, data: Float64Array, color: string, text: string) => [
    profile(data, top, foot, 100, color),
    line(LEFT, foot, RIGHT, foot),
    words(RIGHT, foot - 84, text, { color, bold: true, anchor: "end" }),
  ];
  return svg(WIDTH, 320, [
    title("Smoothing: size moves from the activation into the weights that read it"),
    ...panel(150, before, ORANGE, `before: up to ${top.toFixed(1)}`),
    ...panel(270, after, GREEN, `after: up to ${smoothed.toFixed(1)}; the weights hold the rest`),
    words(
      LEFT,
      300,
      "largest value of each of the channels that enter the first feed-forward layer; the float function is the same",
      { size: 12 },
    ),
  ]);
}

/** Mean squared error of x · (W − Ŵ) for each output channel. */
async function outputErrors(x: Matrix, difference: Matrix): Promise<Float64Array> {
  const products = runtimeProducts(ortNode);
  const { cols } = difference;
  const out = new Float32Array(x.rows * cols);
  await products.multiply(x, difference, out);
  await products.release();
  const errors = new Float64Array(cols);
  out.forEach((e, i) => (errors[i % cols] = (errors[i % cols] ?? 0) + (e * e) / x.rows));
  return errors;
}

async function rounding({ input, weight }: Layer): Promise<string> {
  const { rows, cols, values } = weight;
  const scales = channelScales(values, rows, cols, 1, FULL_RANGE, () => {
    throw new Error("a weight is not finite");
  });
  const products = runtimeProducts(ortNode);
  const covariance = new Float32Array(rows * rows);
  // Rounded on the one half of the tokens, measured on the other.
  const half = Math.floor(input.rows / 2);
  const part = (from: number, to: number): Matrix => ({
    rows: to - from,
    cols: rows,
    values: input.values.subarray(from * rows, to * rows),
  });
  const others = part(half, input.rows);
  await products.addGram(part(0, half), new Float32Array(rows * rows), covariance);
  const order = await roundingOrder(covariance, rows, products);
  if (order === undefined) throw new Error("nothing came in");
  const codes = await roundAgainst(weight, scales, FULL_RANGE, order, products);
  await products.release();
  const differenceOf = (code: (i: number) => number): Matrix => ({
    rows,
    cols,
    values: values.map((w, i) => w - code(i) * (scales[i % cols] ?? 1)),
  });
  const nearest = await outputErrors(
    others,
    differenceOf((i) => Math.round((values[i] ?? 0) / (scales[i % cols] ?? 1))),
  );
  const chosen = await outputErrors(
    others,
    differenceOf((i) => codes[i] ?? 0),
  );
  const both = [...nearest, ...chosen].map((e) => Math.log10(e));
  const [low, high] = [Math.min(...both), Math.max(...both)];
  const place = (e: number) => (Math.log10(e) - low) / (high - low);
  const side = 250;
  const [x0, y0] = [90, 310];
  const sum = (all: Float64Array) => all.reduce((total, e) => total + e, 0);
  const gain = 10 * Math.log10(sum(nearest) / sum(chosen));
  return svg(WIDTH, 350, [
    title("Rounding on data: the error of each output of a layer"),
    dots(
      Array.from(nearest, (e, n) => [x0 + side * place(e), y0 - side * place(chosen[n] ?? e)]),
      BLUE,
      1.6,
    ),
    line(x0, y0, x0 + side, y0),
    line(x0, y0, x0, y0 - side),
    curve(
      [
        [x0, y0],
        [x0 + side, y0 - side],
      ],
      { color: ORANGE, dashed: true },
    ),
    words(x0 + side / 2, y0 + 22, "error when each weight is rounded to the nearest", {
      anchor: "middle",
      size: 12,
    }),
    words(x0, y0 - side - 8, "error when they are rounded together", { size: 12 }),
    words(
      x0 + side + 40,
      120,
      `${nearest.length.toLocaleString("en")} outputs of the first feed-forward layer,`,
    ),
    words(x0 + side + 40, 140, "one dot each; below the line is closer to float."),
    words(x0 + side + 40, 175, `All together: ${gain.toFixed(1)} dB less error, from`, {
      bold: true,
    }),
    words(x0 + side + 40, 195, "the same scales and as many bits.", { bold: true }),
    words(x0 + side + 40, 230, "Measured on other texts; both axes are logarithmic.", { size: 12 }),
  ]);
}
