// Products: matrices, convolutions, recurrences, Einsum.
import type { Dim } from "../graph/graph.js";
import { broadcastDim, broadcastShapes } from "./broadcast.js";
import { firstDType, type Fact, type InferContext, type InferRule, type OpTable } from "./facts.js";
import { CONVOLUTIONS } from "./convolution.js";

/** numpy's matmul: vectors gain a dim, batch dims broadcast. */
export function matMulShape(
  a: readonly Dim[] | undefined,
  b: readonly Dim[] | undefined,
): readonly Dim[] | undefined {
  if (a === undefined || b === undefined || a.length === 0 || b.length === 0) return undefined;
  const batch = broadcastShapes([a.slice(0, -2), b.slice(0, -2)]);
  const rows = a.length > 1 ? [a.at(-2) ?? null] : [];
  const columns = b.length > 1 ? [b.at(-1) ?? null] : [];
  return batch && [...batch, ...rows, ...columns];
}

const swapped = (shape: readonly Dim[] | undefined, swap: boolean) =>
  swap && shape !== undefined && shape.length > 1
    ? [...shape.slice(0, -2), shape.at(-1) ?? null, shape.at(-2) ?? null]
    : shape;

/** A product of inputs `a` and `b`, of type `dtype` or the inputs' own. */
export const matMul =
  (a: number, b: number, dtype?: (c: InferContext) => Fact["dtype"]): InferRule =>
  (c) => [
    {
      dtype: dtype === undefined ? firstDType([c.inputs[a], c.inputs[b]]) : dtype(c),
      shape: matMulShape(c.inputs[a]?.shape, c.inputs[b]?.shape),
    },
  ];

/** A' · B' + C; an input's transposition by attribute. */
export const gemm: InferRule = ({ node, inputs: [a, b, c] }) => {
  const rows = swapped(a?.shape, node.int("transA", 0) !== 0)?.[0] ?? null;
  const columns = swapped(b?.shape, node.int("transB", 0) !== 0)?.[1] ?? null;
  return [{ dtype: firstDType([a, b, c]), shape: [rows, columns] }];
};

/** `com.microsoft.FusedMatMul`: transposition of the last two dims, or of batch dims to the inside. */
export const fusedMatMul: InferRule = ({ node, inputs: [a, b] }) => {
  const dtype = firstDType([a, b]);
  const on = (name: string) => node.int(name, 0) !== 0;
  // transBatch moves the first dim behind the batch dims: [m, …, k] is read as […, m, k].
  const moved = (shape: readonly Dim[] | undefined, batch: boolean) =>
    batch && shape !== undefined && shape.length > 2
      ? [...shape.slice(1, -1), shape[0] ?? null, shape.at(-1) ?? null]
      : shape;
  const left = swapped(moved(a?.shape, on("transBatchA")), on("transA"));
  const right = swapped(moved(b?.shape, on("transBatchB")), on("transB"));
  return [{ dtype, shape: matMulShape(left, right) }];
};

/** Sizes by letter; an ellipsis broadcasts. */
const inferEinsum: InferRule = ({ node, inputs }) => {
  const dtype = firstDType(inputs);
  const [left = "", right] = node.string("equation", "").replaceAll(/\s/g, "").split("->");
  const terms = left.split(",");
  if (terms.length !== inputs.length) return [{ dtype }];
  const sizes = new Map<string, Dim>();
  let around: readonly Dim[] | undefined = [];
  for (const [i, term] of terms.entries()) {
    const shape = inputs[i]?.shape;
    const [before = "", after] = term.split("...");
    const letters = [...before, ...(after ?? "")];
    if (shape === undefined) {
      for (const letter of letters) sizes.set(letter, sizes.get(letter) ?? null);
      if (after !== undefined) around = undefined;
      continue;
    }
    const extra = shape.length - letters.length;
    if (extra < 0 || (after === undefined && extra > 0)) return [{ dtype }];
    letters.forEach((letter, k) => {
      const dim = shape[k < before.length ? k : k + extra] ?? null;
      const seen = sizes.get(letter);
      sizes.set(letter, seen === undefined || seen === null ? dim : broadcastDim(seen, dim));
    });
    if (after !== undefined)
      around =
        around && broadcastShapes([around, shape.slice(before.length, before.length + extra)]);
  }
  const output = right ?? implicitOutput(terms);
  const [before = "", after] = output.split("...");
  if (after !== undefined && around === undefined) return [{ dtype }];
  const dims = (text: string) => [...text].map((letter) => sizes.get(letter) ?? null);
  return [
    {
      dtype,
      shape: [
        ...dims(before),
        ...(after === undefined ? [] : (around ?? [])),
        ...dims(after ?? ""),
      ],
    },
  ];
};

/** Without "->": the ellipsis, then the letters that stand once, sorted. */
function implicitOutput(terms: readonly string[]): string {
  const all = terms.join("").replaceAll(".", "");
  const once = [...new Set(all)].filter((x) => all.indexOf(x) === all.lastIndexOf(x));
  const ellipsis = terms.some((t) => t.includes("...")) ? "..." : "";
  return ellipsis + once.toSorted().join("");
}

/** LSTM, GRU, RNN: X [length, batch, input] (or batch first with layout 1). */
const inferRecurrent: InferRule = (c) => {
  const [x, w] = c.inputs;
  const dtype = x?.dtype;
  const directions =
    w?.shape?.[0] ?? (c.node.string("direction", "forward") === "bidirectional" ? 2 : 1);
  const hidden = c.node.int("hidden_size") ?? c.inputs[2]?.shape?.[2] ?? null;
  const batchFirst = c.node.int("layout", 0) !== 0;
  const [first, second] = [x?.shape?.[0] ?? null, x?.shape?.[1] ?? null];
  const batch = batchFirst ? first : second;
  const state: readonly Dim[] = batchFirst
    ? [batch, directions, hidden]
    : [directions, batch, hidden];
  const all: readonly Dim[] = batchFirst
    ? [first, second, directions, hidden]
    : [first, directions, second, hidden];
  const end: Fact = { dtype, shape: state };
  return [{ dtype, shape: all }, end, end];
};

export const LINEAR: OpTable = {
  MatMul: { infer: matMul(0, 1) },
  Gemm: { infer: gemm },
  Einsum: { infer: inferEinsum },
  LSTM: { infer: inferRecurrent },
  GRU: { infer: inferRecurrent },
  RNN: { infer: inferRecurrent },
  ...CONVOLUTIONS,
};
