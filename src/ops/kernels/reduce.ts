// Constant evaluation of reductions along axes, running sums and arg-extremes.
import { elementCount, type DType } from "../../onnx/dtypes.js";
import { tensorOf, type Tensor } from "../../onnx/tensor.js";
import type { EvaluateContext, EvaluateRule } from "../facts.js";
import { offsetsOf, stridesOf } from "../strided.js";
import {
  bigArray,
  fromNumbers,
  isFloat,
  isWide,
  numberArray,
  readBigs,
  readIntegers,
  readNumbers,
  reshaped,
} from "./arrays.js";
import { axesGiven } from "./shape.js";

interface Reduction {
  /** Undefined where runtimes do not agree on the result. */
  readonly float: (values: readonly number[]) => number | undefined;
  /** Exact sums of integers, whatever the width; undefined where integers have no such reduction. */
  readonly wide?: (values: readonly bigint[]) => bigint | undefined;
}

const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
const bigSum = (list: readonly bigint[]) => list.reduce((a, b) => a + b, 0n);
const bigAbs = (x: bigint) => (x < 0n ? -x : x);
const pick = <T extends number | bigint>(list: readonly T[], wins: (a: T, b: T) => boolean) =>
  list.length === 0 ? undefined : list.reduce((a, b) => (wins(b, a) ? b : a));

/** Whether a NaN wins over numbers depends on the runtime, and there on the length. */
function extreme(list: readonly number[], f: (...values: number[]) => number): number | undefined {
  return list.some(Number.isNaN) ? undefined : list.reduce((a, b) => f(a, b));
}

const REDUCTIONS = {
  sum: { float: sum, wide: bigSum },
  mean: { float: (list) => sum(list) / list.length, wide: meanOf },
  prod: {
    float: (list) => list.reduce((a, b) => a * b, 1),
    wide: (list) => list.reduce((a, b) => a * b, 1n),
  },
  max: { float: (list) => extreme(list, Math.max), wide: (list) => pick(list, (a, b) => a > b) },
  min: { float: (list) => extreme(list, Math.min), wide: (list) => pick(list, (a, b) => a < b) },
  l1: { float: (list) => sum(list.map(Math.abs)), wide: (list) => bigSum(list.map(bigAbs)) },
  l2: { float: (list) => Math.sqrt(sum(list.map((x) => x * x))) },
  sumSquare: {
    float: (list) => sum(list.map((x) => x * x)),
    wide: (list) => bigSum(list.map((x) => x * x)),
  },
  logSum: { float: (list) => Math.log(sum(list)) },
  logSumExp: {
    float: (list) => {
      const top = Math.max(...list);
      if (!Number.isFinite(top)) return top;
      return top + Math.log(sum(list.map((x) => Math.exp(x - top))));
    },
  },
} as const satisfies Record<string, Reduction>;

function meanOf(list: readonly bigint[]): bigint | undefined {
  return list.length === 0 ? undefined : bigSum(list) / BigInt(list.length);
}

/** How the input falls into groups that are reduced together. */
function groups(dims: readonly number[], axes: readonly number[]) {
  const strides = stridesOf(dims);
  const kept = dims.map((_, i) => i).filter((i) => !axes.includes(i));
  const along = (list: readonly number[]) =>
    offsetsOf(
      list.map((i) => dims[i] ?? 1),
      list.map((i) => strides[i] ?? 0),
    );
  return { bases: along(kept), members: along(axes.toSorted((a, b) => a - b)), kept };
}

export function reduce(name: keyof typeof REDUCTIONS): EvaluateRule {
  return (c) => {
    const [input] = c.inputs;
    if (input === undefined) return undefined;
    const given = axesGiven(c, 1, input.dims.length);
    if (given === undefined) return undefined;
    if (given.length === 0 && c.node.int("noop_with_empty_axes", 0) !== 0)
      return name === "sum" ? [reshaped(input, input.dims)] : undefined;
    const axes = given.length === 0 ? input.dims.map((_, i) => i) : given;
    const { bases, members, kept } = groups(input.dims, axes);
    if (members.length === 0) return undefined;
    const keep = c.node.int("keepdims", 1) !== 0;
    const dims = keep
      ? input.dims.map((d, i) => (axes.includes(i) ? 1 : d))
      : kept.map((i) => input.dims[i] ?? 1);
    const out = reduced(REDUCTIONS[name], input, dims, bases, members);
    return out && [out];
  };
}

function reduced(
  by: Reduction,
  input: Tensor,
  dims: readonly number[],
  bases: Int32Array,
  members: Int32Array,
): Tensor | undefined {
  const { dtype } = input;
  if (isFloat(dtype)) {
    const values = readNumbers(input);
    const out = numberArray(dtype, bases.length);
    if (values === undefined || out === undefined) return undefined;
    for (const [g, base] of bases.entries()) {
      const result = by.float(Array.from(members, (m) => values[base + m] ?? 0));
      if (result === undefined) return undefined;
      out[g] = result;
    }
    return fromNumbers(dtype, dims, out);
  }
  const reduceBig = by.wide;
  if (reduceBig === undefined || dtype === "bool" || dtype === "string") return undefined;
  const values = readBigs(input);
  const results: bigint[] = [];
  for (const base of bases) {
    const result = reduceBig(Array.from(members, (m) => values[base + m] ?? 0n));
    if (result === undefined) return undefined;
    results.push(result);
  }
  return fromBigs(dtype, dims, results);
}

function fromBigs(
  dtype: DType,
  dims: readonly number[],
  values: readonly bigint[],
): Tensor | undefined {
  if (isWide(dtype)) {
    const out = bigArray(dtype, values.length);
    values.forEach((v, i) => (out[i] = v));
    return tensorOf(dtype, dims, out);
  }
  const out = numberArray(dtype, values.length);
  values.forEach((v, i) => {
    if (out !== undefined) out[i] = Number(BigInt.asIntN(32, v));
  });
  return out && fromNumbers(dtype, dims, out);
}

/** The single axis of a node, as a position. */
function singleAxis({ node }: EvaluateContext, rank: number, missing: number): number | undefined {
  const axis = node.int("axis", missing);
  const at = axis < 0 ? axis + rank : axis;
  return at >= 0 && at < rank ? at : undefined;
}

/** Index of the greatest (or least) element along an axis; of equal ones the first, or the last where the attribute asks. */
export function argExtreme(kind: "max" | "min"): EvaluateRule {
  return (c) => {
    const [input] = c.inputs;
    const axis = input && singleAxis(c, input.dims.length, 0);
    if (input === undefined || axis === undefined) return undefined;
    const values = isWide(input.dtype) ? readBigs(input) : readNumbers(input);
    const last = c.node.int("select_last_index", 0) !== 0;
    const { bases, members } = groups(input.dims, [axis]);
    if (values === undefined || members.length === 0) return undefined;
    const out = new BigInt64Array(bases.length);
    for (const [g, base] of bases.entries()) {
      let best = 0;
      members.forEach((m, i) => {
        const [a, b] = [values[base + m] ?? 0, values[base + (members[best] ?? 0)] ?? 0];
        if ((kind === "max" ? a > b : a < b) || (last && a === b)) best = i;
      });
      out[g] = BigInt(best);
    }
    const keep = c.node.int("keepdims", 1) !== 0;
    const dims = keep ? input.dims.with(axis, 1) : input.dims.toSpliced(axis, 1);
    return [tensorOf("int64", dims, out)];
  };
}

export const cumSum: EvaluateRule = ({ node, inputs: [input, axisInput] }) => {
  const axis = axisInput && readIntegers(axisInput)?.[0];
  if (input === undefined || axis === undefined) return undefined;
  const at = axis < 0 ? axis + input.dims.length : axis;
  if (input.dims[at] === undefined) return undefined;
  const { bases, members } = groups(input.dims, [at]);
  const order = node.int("reverse", 0) === 0 ? members : members.toReversed();
  const exclusive = node.int("exclusive", 0) !== 0;
  const { dtype, dims } = input;
  if (isWide(dtype)) {
    const values = readBigs(input);
    const out = bigArray(dtype, elementCount(dims));
    for (const base of bases) {
      let total = 0n;
      for (const m of order) {
        const next = total + (values[base + m] ?? 0n);
        out[base + m] = exclusive ? total : next;
        total = next;
      }
    }
    return [tensorOf(dtype, dims, out)];
  }
  const values = readNumbers(input);
  const out = numberArray(dtype, elementCount(dims));
  if (values === undefined || out === undefined || dtype === "bool") return undefined;
  const step = numberArray(dtype, 1);
  for (const base of bases) {
    let total = 0;
    for (const m of order) {
      const next = total + (values[base + m] ?? 0);
      out[base + m] = exclusive ? total : next;
      // Rounded (or wrapped) to the type at each step.
      if (step !== undefined) step[0] = next;
      total = step?.[0] ?? next;
    }
  }
  return [fromNumbers(dtype, dims, out)];
};
