// Where a float graph is listened to: its values as extra outputs, and which rows of them are padding.
import type { Dim } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { DTYPES } from "../onnx/dtypes.js";
import { multiplyDims } from "../ops/symbols.js";
import type { Feeds } from "../runtime/runtime.js";

/**
 * Where a tensor has the positions of a mask [batch, length]. "batch-length": [batch, length, …]; "length-at-2", "length-at-3": the axis of
 * that number is the length, as in [batch, heads, length, size] and its transpose; "flat": [batch · length, …]. The first axis may hold
 * heads within the batch: [batch · heads, length, …].
 */
export type Layout = "batch-length" | "length-at-2" | "length-at-3" | "flat";

/** A layout that a tensor surely has; several of which the first that fits a unit's own dims is taken, if any; or none. */
export type Masked = Layout | readonly Layout[] | "none";

export interface Observer {
  /** Name of the value. */
  readonly name: string;
  readonly masked: Masked;
}

export interface Unobserved {
  readonly name: string;
  readonly reason: string;
}

/**
 * Makes values outputs of the model too, after those that it has; returns what cannot be one, with the reason. Inputs stay what they are: their
 * values are in the feeds. Types should have been inferred, so that the new outputs have one.
 */
export function addObservers(model: Model, names: Iterable<string>): Unobserved[] {
  const { graph } = model;
  const inside = new Set<string>();
  for (const node of graph.allNodes())
    for (const output of node.outputs) if (output?.graph !== graph) inside.add(output?.name ?? "");
  const unobserved: Unobserved[] = [];
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
    if (reason !== undefined) unobserved.push({ name, reason });
    else if (value !== undefined && !value.isInput && !graph.outputs.includes(value))
      graph.addOutput(value);
  }
  return unobserved;
}

const AXES: Readonly<Record<Exclude<Layout, "flat">, number>> = {
  "batch-length": 1,
  "length-at-2": 2,
  "length-at-3": 3,
};
const ALL: readonly Layout[] = ["batch-length", "length-at-2", "length-at-3", "flat"];

/** Symbols that differ may still be one size: exporters name the same axis anew for each input. */
type Match = "yes" | "maybe" | "no";

/**
 * How a value of that shape follows a mask [batch, length], from symbols or numbers. What these leave open is left to the dims of each unit, as
 * a list of the layouts that may be.
 */
export function detectMask(
  shape: readonly Dim[] | undefined,
  mask: readonly Dim[] | undefined,
): Masked {
  if (mask?.length !== 2) return "none";
  if (shape === undefined) return ALL;
  const [batch = null, length = null] = mask;
  const matches = ALL.map((layout) => ({ layout, match: matchOf(layout, shape, batch, length) }));
  const sure = matches.find(({ match }) => match === "yes");
  if (sure !== undefined) return sure.layout;
  const maybe = matches.flatMap(({ layout, match }) => (match === "maybe" ? [layout] : []));
  return maybe.length === 0 ? "none" : maybe;
}

function matchOf(layout: Layout, shape: readonly Dim[], batch: Dim, length: Dim): Match {
  const [first = null] = shape;
  if (shape.length === 0) return "no";
  if (layout === "flat") {
    const both = multiplyDims(batch, length);
    const match = same(first, both);
    // A plain symbol is hardly a product of two, nor are heads within the batch; a product of other symbols may be this one.
    const product = typeof first !== "string" || /^(?!\d+\*).*\*/.test(first);
    return match === "maybe" && !product ? "no" : match;
  }
  const axis = AXES[layout];
  if (axis >= shape.length) return "no";
  const [rows, columns] = [
    sameBatch(first, batch, shape.length),
    same(shape[axis] ?? null, length),
  ];
  if (rows === "no" || columns === "no") return "no";
  return rows === "yes" && columns === "yes" ? "yes" : "maybe";
}

function same(a: Dim, b: Dim): Match {
  if (a === null || b === null) return "maybe";
  if (a === b) return "yes";
  return typeof a === "string" && typeof b === "string" ? "maybe" : "no";
}

/** The batch, or a multiple of it by a number of heads. */
function sameBatch(first: Dim, batch: Dim, rank: number): Match {
  const plain = same(first, batch);
  if (plain === "yes" || rank < 3) return plain;
  if (typeof first === "number" && typeof batch === "number")
    return first % batch === 0 ? "yes" : "no";
  const heads = typeof first === "string" ? /^(\d+)\*/.exec(first)?.[1] : undefined;
  return heads !== undefined && multiplyDims(Number(heads), batch) === first ? "yes" : plain;
}

/** Which positions of a batch [batch, length] are no padding: one byte each, 0 for padding. */
export interface BatchMask {
  readonly dims: readonly [batch: number, length: number];
  readonly data: Uint8Array;
}

/** The mask of a tensor's own rows; undefined where all count, a text where the tensor does not have the layout that is sure. */
export function rowMask(
  masked: Masked,
  dims: readonly number[],
  mask: BatchMask | undefined,
): Uint8Array | string | undefined {
  if (mask === undefined || masked === "none") return undefined;
  const [batch, length] = mask.dims;
  const layouts = typeof masked === "string" ? [masked] : masked;
  const layout = layouts.find((each) => matchOf(each, dims, batch, length) === "yes");
  if (layout === undefined)
    return typeof masked === "string"
      ? `${dims.join(" × ")}, not ${masked} of ${batch} × ${length}`
      : undefined;
  if (layout === "flat") return mask.data;
  const outer = dims.slice(0, AXES[layout]).reduce((product, dim) => product * dim, 1);
  return repeated(mask, outer / batch);
}

/** Each row of the mask so many times. */
function repeated({ dims: [batch, length], data }: BatchMask, times: number): Uint8Array {
  if (times === 1) return data;
  const rows = new Uint8Array(batch * times * length);
  for (let b = 0; b < batch; b++) {
    const own = data.subarray(b * length, (b + 1) * length);
    for (let t = 0; t < times; t++) rows.set(own, (b * times + t) * length);
  }
  return rows;
}

/** The mask of a batch with its dims: those of the feed [batch, length] that it covers, ids or a mask of the model's own. */
export function batchMaskOf(mask: Uint8Array | undefined, feeds: Feeds): BatchMask | undefined {
  return mask && { data: mask, dims: maskDims(mask, feeds) };
}

function maskDims(mask: Uint8Array, feeds: Feeds): BatchMask["dims"] {
  for (const { dims } of Object.values(feeds)) {
    const [batch = 0, length = 0] = dims;
    if (dims.length === 2 && batch * length === mask.length) return [batch, length];
  }
  throw new Error(`internal: a mask of ${mask.length} fits no feed [batch, length]`);
}
