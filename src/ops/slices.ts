// The size of a slice where start, end and size may be symbols.
import type { Dim } from "../graph/graph.js";
import {
  addDims,
  floorDivideDims,
  isNonNegativeDim,
  maxDims,
  minDims,
  subtractDims,
} from "./symbols.js";

/** Elements of `dim` that `start : end : step` takes; null where that is not known. */
export function slicedDim(dim: Dim, start: Dim, end: Dim, step: Dim): Dim {
  if (typeof step !== "number" || step === 0) return null;
  if (step > 0) {
    const [from, to] = [bounded(start, dim), bounded(end, dim)];
    const span = maxDims(0, subtractDims(to, from));
    return floorDivideDims(addDims(span, step - 1), step);
  }
  if (typeof start !== "number" || typeof end !== "number") return null;
  if (typeof dim === "number") {
    const at = (i: number) => Math.min(Math.max(i < 0 ? i + dim : i, -1), dim - 1);
    const from = dim === 0 ? -1 : Math.max(at(start), start < -dim ? 0 : -1);
    return Math.max(0, Math.ceil((at(end) - from) / step));
  }
  // A whole reversal: from the last one to before the first one, whatever the size.
  const far = 2 ** 31 - 1;
  if ((start !== -1 && start < far) || end > -far) return null;
  return floorDivideDims(addDims(dim, -step - 1), -step);
}

/** A start or an end as a position from 0 to `dim`; negative ones count from the end. */
function bounded(at: Dim, dim: Dim): Dim {
  if (at === null) return null;
  // Exporters write the greatest int64 (or int32) for "to the end".
  if (typeof at === "number" && at >= 2 ** 31 - 1) return dim;
  if (typeof at === "number" && at < 0)
    return at <= -(2 ** 31 - 1) ? 0 : maxDims(0, addDims(dim, at));
  return isNonNegativeDim(at) ? minDims(at, dim) : null;
}
