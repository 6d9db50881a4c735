// Statistics of values that a test makes, as calibration would take them.
import { TensorStatistics } from "../src/calibrate/tensor-statistics.js";
import type { Rows } from "./layer.js";

/** Of units one after the other, each [1, rows, cols]. */
export function observed(units: readonly Rows[]): TensorStatistics {
  const statistics = new TensorStatistics();
  for (const [unit, { values, rows, cols }] of units.entries()) {
    statistics.see([1, rows, cols]);
    const min = new Float32Array(cols).fill(Infinity);
    const max = new Float32Array(cols).fill(-Infinity);
    const [sums, squares] = [new Float64Array(cols), new Float64Array(cols)];
    values.forEach((v, i) => {
      const c = i % cols;
      min[c] = Math.min(min[c] as number, v);
      max[c] = Math.max(max[c] as number, v);
      sums[c] = (sums[c] as number) + v;
      squares[c] = (squares[c] as number) + v * v;
    });
    const runs = [0, values.length];
    statistics.add({ unit, count: values.length, min, max, sums, squares, data: values, runs });
  }
  return statistics;
}
