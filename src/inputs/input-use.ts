// How a graph uses each of its inputs (token ids, mask, positions, features, …), read off its structure: names say nothing reliable.
import type { Dim, Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { DTYPES, type DType } from "../onnx/dtypes.js";
import { hasTrait } from "../ops/traits.js";
import { maxLengthOf } from "./length.js";
import { placesBehind } from "./places.js";
import { soughtToken } from "./sought.js";
import { constantNumber, constantOf, constantShape, dimOf, passedInputs } from "./structure.js";

export type Use =
  /** Ids of a vocabulary: they index a constant table of `rows` rows. The graph looks for `sought` in each row, where it does. */
  | { readonly kind: "tokens"; readonly rows: number; readonly sought?: number }
  /** Numbers of the kinds of segment, which index a constant table of `rows` rows. */
  | { readonly kind: "segments"; readonly rows: number }
  /** Positions of tokens; `rows` where they index a table. */
  | { readonly kind: "positions"; readonly rows: number | undefined }
  /** Places in something computed, of which there are `limit`. */
  | { readonly kind: "indices"; readonly limit: Dim }
  /** 1 for what counts, 0 for what does not; also every other integer or truth value whose use is not known. */
  | { readonly kind: "mask" }
  /** A number of tokens, minus `less`; `total` counts those of earlier runs too. */
  | { readonly kind: "lengths"; readonly total: boolean; readonly less: number }
  /** Keys and values of earlier runs, which the graph continues. */
  | { readonly kind: "state" }
  /** Reals: images, sounds, hidden states. */
  | { readonly kind: "features"; readonly convolution?: Convolution }
  /** 8-bit numbers that stand for reals. */
  | { readonly kind: "quantized" };

/** What the convolutions that read an input ask of its shape. */
export interface Convolution {
  readonly channels: number | undefined;
  /** Stride of the first convolution, and of all in a row. */
  readonly stride: number;
  readonly totalStride: number;
  /** Number of spatial dims. */
  readonly rank: number;
  /** Rows of the table of positions behind; undefined where none is added. */
  readonly places?: number | undefined;
}

export interface InputUse {
  readonly name: string;
  readonly dtype: DType | undefined;
  readonly shape: readonly Dim[] | undefined;
  readonly use: Use;
}

export interface InputProfile {
  /** One for each input that must be fed, in the order of the graph. */
  readonly inputs: readonly InputUse[];
  /** Tokens that tables of positions and constant masks admit, those of earlier runs included; undefined: no bound was found. */
  readonly maxLength: number | undefined;
}

/** A table with at most so many rows, beside one with more, tells kinds of segment apart. */
const MAX_SEGMENTS = 16;
/** Values that are visited from one input on. */
const MAX_STEPS = 2048;

/**
 * How each input is used. Sees more where `inferTypes` has run, and where functions are inlined. Linear in the graph; never throws for what
 * it does not recognise: such integers count as masks, such reals as features.
 */
export function inputProfile(model: Model): InputProfile {
  const fed = model.graph.inputs.filter((input) => input.tensor === undefined);
  const evidence = new Map(fed.map((input) => [input, evidenceFor(input)]));
  const vocabulary = Math.max(0, ...fed.map((input) => rowsIn(evidence.get(input) ?? [])));
  const inputs = fed.map((input): InputUse => {
    const { name, dtype, shape } = input;
    return { name, dtype, shape, use: concluded(input, evidence.get(input) ?? [], vocabulary) };
  });
  return { inputs, maxLength: maxLengthOf(model) };
}

type Evidence = Use | { readonly kind: "table"; readonly rows: number };

/** The smallest table that is indexed; 0 where none is. */
function rowsIn(evidence: readonly Evidence[]): number {
  const rows = evidence.map((e) => (e.kind === "table" ? e.rows : Infinity));
  const least = Math.min(Infinity, ...rows);
  return least === Infinity ? 0 : Math.max(least, 1);
}

/** What counts before what, for each kind of element. */
const ORDER = {
  whole: ["quantized", "lengths", "indices", "positions", "mask"],
  real: ["state", "mask", "features"],
} as const satisfies Record<string, readonly Evidence["kind"][]>;

function concluded(input: Value, evidence: readonly Evidence[], vocabulary: number): Use {
  const real = input.dtype !== undefined && DTYPES[input.dtype].kind === "float";
  const rows = rowsIn(evidence);
  if (rows > 0) {
    if (rows === vocabulary) {
      const sought = soughtToken(input);
      return { kind: "tokens", rows, ...(sought === undefined ? {} : { sought }) };
    }
    return { kind: rows <= MAX_SEGMENTS ? "segments" : "positions", rows };
  }
  for (const kind of real ? ORDER.real : ORDER.whole) {
    const found = evidence.find((e): e is Use => e.kind === kind);
    if (found !== undefined) return found;
  }
  return { kind: real ? "features" : "mask" };
}

/** What an operator's reading of an input that arrives there unchanged, but for `added`, says about it. */
type Reader = (node: Node, index: number, added: number) => Evidence | undefined;

const is =
  (evidence: Evidence): Reader =>
  () =>
    evidence;
const mask = is({ kind: "mask" });
const state = is({ kind: "state" });
const positions = is({ kind: "positions", rows: undefined });
const anglePositions: Reader = (node, index, added) =>
  becomesAngle(node) ? positions(node, index, added) : undefined;
const quantized = is({ kind: "quantized" });
const count = (less: number) => is({ kind: "lengths", total: true, less });

/** The index into input `data`, along an axis. */
const indexOf =
  (data: number, axis: (node: Node) => number = () => 0): Reader =>
  (node, _, added) => {
    const table = node.input(data);
    const limit = dimOf(table, axis(node));
    if (typeof limit === "number" && constantShape(table) !== undefined)
      return { kind: "table", rows: limit - added };
    return { kind: "indices", limit };
  };

/** A mask of one number per row holds its number of tokens. */
const maskOrLengths: Reader = (node, index) =>
  node.input(index)?.shape?.length === 1
    ? { kind: "lengths", total: false, less: 0 }
    : { kind: "mask" };

const convolved: Reader = (node) => {
  const weight = constantShape(node.input(1)) ?? node.input(1)?.shape;
  const channels = weight?.[1];
  const strides = node.ints("strides") ?? [];
  const places = placesBehind(node);
  return {
    kind: "features",
    convolution: {
      channels: typeof channels === "number" ? channels * node.int("group", 1) : undefined,
      stride: Math.max(1, ...strides),
      totalStride: strideFrom(node),
      rank: (weight?.length ?? 4) - 2,
      ...(places === undefined ? {} : { places }),
    },
  };
};

/** By operator and input slot; "any" is every slot that has no own row. */
const READERS: {
  readonly [op: string]: { readonly [slot: number]: Reader; readonly any?: Reader };
} = {
  Gather: { 1: indexOf(0, (node) => node.int("axis", 0)) },
  GatherElements: { 1: indexOf(0, (node) => node.int("axis", 0)) },
  GatherND: { 1: indexOf(0, (node) => node.int("batch_dims", 0)) },
  "com.microsoft.GatherBlockQuantized": { 1: indexOf(0, (node) => node.int("gather_axis", 0)) },
  "com.microsoft.EmbedLayerNormalization": {
    0: indexOf(2),
    1: indexOf(4),
    7: maskOrLengths,
    8: indexOf(3),
  },
  "com.microsoft.QEmbedLayerNormalization": { 0: indexOf(2), 1: indexOf(4), 7: maskOrLengths },
  "com.microsoft.Attention": { 3: maskOrLengths, 4: state },
  "com.microsoft.QAttention": { 0: quantized, 1: quantized, 5: maskOrLengths, 8: state },
  "com.microsoft.MultiHeadAttention": { 4: maskOrLengths, 6: state, 7: state },
  "com.microsoft.GroupQueryAttention": { 3: state, 4: state, 5: count(1), 6: count(0) },
  "com.microsoft.RotaryEmbedding": { 1: positions },
  Range: { 1: count(0) },
  Concat: { any: (node) => (node.inputs.length > 1 ? { kind: "state" } : undefined) },
  Conv: { 0: convolved },
  MatMulInteger: { any: quantized },
  ConvInteger: { any: quantized },
  QLinearMatMul: { any: quantized },
  QLinearConv: { any: quantized },
  DequantizeLinear: { 0: quantized, 2: quantized },
  QuantizeLinear: { 2: quantized },
  // Rotary positions: angles are positions times frequencies.
  Mul: { any: anglePositions },
  MatMul: { any: anglePositions },
  Einsum: { any: anglePositions },
  // 1 - mask, however it goes on.
  Sub: { 1: (node) => (constantOf(node.input(0)) === undefined ? undefined : { kind: "mask" }) },
  Where: { 0: mask },
  Not: { 0: mask },
  Equal: { any: mask },
  Greater: { any: mask },
  Less: { any: mask },
};

function evidenceFor(input: Value): Evidence[] {
  const found: Evidence[] = [];
  const seen = new Map<Value, number>([[input, 0]]);
  for (const [value, added] of seen) {
    if (seen.size > MAX_STEPS) break;
    for (const use of value.uses) {
      if (use.kind !== "node") continue;
      const { node, index } = use;
      const row = Object.hasOwn(READERS, node.op) ? READERS[node.op] : undefined;
      const evidence = (row?.[index] ?? row?.any)?.(node, index, added);
      if (evidence !== undefined) found.push(evidence);
      const more = addedBy(node, value);
      if (more === undefined) continue;
      for (const output of node.outputs)
        if (output !== undefined && !seen.has(output)) seen.set(output, added + more);
    }
  }
  return found;
}

/** Operators that add a constant to a value. */
const ADDING: { readonly [op: string]: (node: Node, value: Value) => number | undefined } = {
  Add: (node, value) => constantNumber(node.input(node.input(0) === value ? 1 : 0)),
  Sub(node, value) {
    const less = node.input(0) === value ? constantNumber(node.input(1)) : undefined;
    return less === undefined ? undefined : -less;
  },
};

/** What a node adds to a value; undefined where it does something else with it. */
function addedBy(node: Node, value: Value): number | undefined {
  if (passedInputs(node).includes(value)) return 0;
  return Object.hasOwn(ADDING, node.op) ? ADDING[node.op]?.(node, value) : undefined;
}

/** Whether a product goes into a sine or cosine, on its way only moved or scaled. */
function becomesAngle(node: Node): boolean {
  const seen = new Set<Node>([node]);
  for (const at of seen) {
    if (seen.size > 16) return false;
    for (const output of at.outputs)
      for (const next of output?.consumers() ?? []) {
        if (hasTrait(next, "trigonometric")) return true;
        if (next.op === "Mul" || passedInputs(next).length > 0) seen.add(next);
      }
  }
  return false;
}

/** Product of the strides of a convolution and of those behind it. */
function strideFrom(first: Node): number {
  let product = 1;
  const seen = new Set<Node>([first]);
  for (const node of seen) {
    if (node.op === first.op) product *= Math.max(1, ...(node.ints("strides") ?? []));
    if (seen.size > 64) break;
    for (const output of node.outputs) for (const next of output?.consumers() ?? []) seen.add(next);
  }
  return Math.min(product, 4096);
}
