// Where a float graph is listened to: its values as extra outputs, and which rows of them are padding.
import type { Dim } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { DTYPES } from "../onnx/dtypes.js";
import { multiplyDims } from "../ops/symbols.js";

/**
 * How the rows of a tensor follow a mask [batch, length]: "batch-length" [batch, length, …], "batch-heads-length" [batch, heads, length, …], "flat"
 * [batch · length, …], "none" not at all. "auto": by the dims that each unit has when it is run.
 */
export type Masked = "batch-length" | "batch-heads-length" | "flat" | "none" | "auto";

export interface Tap {
  /** Name of the value. */
  readonly name: string;
  readonly masked: Masked;
}

export interface Untapped {
  readonly name: string;
  readonly reason: string;
}

/**
 * Makes values outputs of the model too, after those that it has; returns what cannot be one, with the reason. Inputs stay what they are: their
 * values are in the feeds. Types should have been inferred, so that the new outputs have one.
 */
export function tapModel(model: Model, names: Iterable<string>): Untapped[] {
  const { graph } = model;
  const inside = new Set<string>();
  for (const node of graph.allNodes())
    for (const output of node.outputs) if (output?.graph !== graph) inside.add(output?.name ?? "");
  const untapped: Untapped[] = [];
  for (const name of new Set(names)) {
    const value = graph.value(name);
    const reason =
      value === undefined
        ? inside.has(name)
          ? "it is inside the body of an If, Loop or Scan"
          : "the graph has no such value"
        : value.isConstant
          ? "it is a constant"
          : value.dtype !== undefined && DTYPES[value.dtype].kind !== "float"
            ? `its elements are ${value.dtype}, not real`
            : undefined;
    if (reason !== undefined) untapped.push({ name, reason });
    else if (value !== undefined && !value.isInput && !graph.outputs.includes(value))
      graph.addOutput(value);
  }
  return untapped;
}

/**
 * How a value of that shape follows a mask [batch, length], from symbols or numbers. "auto" where dims that decide are not known: a unit's
 * own will tell.
 */
export function detectMask(
  shape: readonly Dim[] | undefined,
  mask: readonly Dim[] | undefined,
): Masked {
  if (mask?.length !== 2) return "none";
  const [batch = null, length = null] = mask;
  if (shape === undefined) return "auto";
  const [first = null, second = null, third = null] = shape;
  if (shape.length >= 2 && same(first, batch) && same(second, length)) return "batch-length";
  if (shape.length === 4 && same(first, batch) && same(third, length)) return "batch-heads-length";
  if (same(first, multiplyDims(batch, length))) return "flat";
  const deciding = [batch, length, ...shape.slice(0, shape.length === 4 ? 3 : 2)];
  return shape.length > 0 && deciding.includes(null) ? "auto" : "none";
}

function same(a: Dim, b: Dim): boolean {
  return a !== null && a === b;
}

/** Which rows of a batch [batch, length] are no padding: one byte each, 0 for padding. */
export interface BatchMask {
  readonly dims: readonly [batch: number, length: number];
  readonly data: Uint8Array;
}

/** The mask of a tensor's own rows; undefined where all count, a text where the tensor does not fit. */
export function rowMask(
  masked: Masked,
  dims: readonly number[],
  mask: BatchMask | undefined,
): Uint8Array | string | undefined {
  if (mask === undefined || masked === "none") return undefined;
  const [batch, length] = mask.dims;
  const actual = detectMask(dims, mask.dims);
  // [batch, length, …] may have length heads too: what was told before goes first.
  const fits: Readonly<Record<Masked, boolean>> = {
    "batch-length": dims[0] === batch && dims[1] === length,
    "batch-heads-length": dims.length >= 3 && dims[0] === batch && dims[2] === length,
    flat: dims[0] === batch * length,
    none: true,
    auto: true,
  };
  if (!fits[masked]) return `${dims.join(" × ")}, not ${masked} of ${batch} × ${length}`;
  const kind = masked === "auto" ? actual : masked;
  if (kind === "none" || kind === "auto") return undefined;
  return kind === "batch-heads-length" ? perHead(mask, dims[1] ?? 1) : mask.data;
}

function perHead({ dims: [batch, length], data }: BatchMask, heads: number): Uint8Array {
  const rows = new Uint8Array(batch * heads * length);
  for (let b = 0; b < batch; b++) {
    const own = data.subarray(b * length, (b + 1) * length);
    for (let h = 0; h < heads; h++) rows.set(own, (b * heads + h) * length);
  }
  return rows;
}
