// One linear layer in 8 bits, computed in float64: what a technique of quantization takes from its error, whatever this CPU's integer kernels do.
import type { Model } from "../src/graph/model.js";
import { inferTypes } from "../src/ops/infer.js";
import type { RunBatch } from "../src/data/run-batches.js";
import { affineOf } from "../src/quant/affine.js";
import type { ActivationSpec } from "../src/quant/plan.js";
import { roundHalfEven } from "../src/quant/round.js";
import { random } from "../src/math/random.js";
import { buildModel } from "./build.js";

/** Rows [rows, cols] in one list. */
export interface Rows {
  readonly values: Float32Array;
  readonly rows: number;
  readonly cols: number;
}

/** y [batch, length, N] = x [batch, length, K] · W + b, with a mask [batch, length] among the inputs. */
export function layerModel({ values, rows, cols }: Rows, bias?: Float32Array): Model {
  const model = buildModel((b) => {
    const x = b.input("x", ["batch", "length", rows]);
    b.input("attention_mask", ["batch", "length"], "int64");
    const product = b.op("p", "MatMul", [x, b.float("layer.weight", [...values], [rows, cols])]);
    b.output(
      bias === undefined ? product : b.op("y", "Add", [product, b.float("layer.bias", [...bias])]),
    );
  });
  inferTypes(model);
  return model;
}

export function normals(rows: number, cols: number, seed: number): Rows {
  const source = random(seed);
  const values = Float32Array.from({ length: rows * cols }, () => source.normal());
  return { values, rows, cols };
}

/** Rows as batches of `each` tokens, each followed by `padding` tokens that are far from all others. */
export function batchesOf({ values, rows, cols }: Rows, each = 16, padding = 3): RunBatch[] {
  return Array.from({ length: Math.floor(rows / each) }, (_, unit) => {
    const length = each + padding;
    const data = new Float32Array(length * cols).fill(7);
    data.set(values.subarray(unit * each * cols, (unit + 1) * each * cols));
    const mask = Uint8Array.from({ length }, (__, i) => (i < each ? 1 : 0));
    return {
      unit,
      records: [unit],
      rows: 1,
      mask,
      feeds: {
        x: { dtype: "float32", dims: [1, length, cols], data },
        attention_mask: {
          dtype: "int64",
          dims: [1, length],
          data: BigInt64Array.from(mask, BigInt),
        },
      },
    };
  });
}

/** x̂: what the codes of this form stand for. */
export function quantizedRows(x: Rows, spec: ActivationSpec): Rows {
  const { scale, zeroPoint } = affineOf(spec);
  const [low, high] = spec.dtype === "uint8" ? [0, 255] : [-128, 127];
  const values = x.values.map((v) => {
    const code = roundHalfEven(Math.fround(v / scale)) + zeroPoint;
    return (Math.min(high, Math.max(low, code)) - zeroPoint) * scale;
  });
  return { ...x, values };
}

/** a · b + bias, in float64. */
export function product(a: Rows, b: ArrayLike<number>, bias?: ArrayLike<number>): Float64Array {
  const cols = b.length / a.cols;
  const out = new Float64Array(a.rows * cols);
  for (let r = 0; r < a.rows; r++)
    for (let n = 0; n < cols; n++) {
      let sum = bias?.[n] ?? 0;
      for (let k = 0; k < a.cols; k++)
        sum += (a.values[r * a.cols + k] as number) * (b[k * cols + n] as number);
      out[r * cols + n] = sum;
    }
  return out;
}

/** Σ (a − b)². */
export function squaredDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum;
}

/** By how many decibels the second power lies below the first. */
export function decibels(before: number, after: number): number {
  return 10 * Math.log10(before / after);
}
