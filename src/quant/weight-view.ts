// Finds the constant behind a value: a weight may stand behind Transpose, Reshape, Cast or Identity, and several layers may share it.
import type { DType } from "../onnx/dtypes.js";
import type { Node, Value } from "../graph/graph.js";

/** A constant read as a matrix of `rows` × `cols`; `transposed` where the initializer holds it as `cols` × `rows`. */
export interface MatrixView {
  readonly initializer: Value;
  readonly rows: number;
  readonly cols: number;
  readonly transposed: boolean;
}

interface Layout {
  readonly dims: readonly number[];
  readonly transposed: boolean;
}

type Move = (before: Layout, node: Node) => Layout | undefined;

const FLOATS: ReadonlySet<DType | undefined> = new Set<DType>([
  "float32",
  "float16",
  "bfloat16",
  "float64",
]);

const keep: Move = (before) => before;

/** The same elements in the same order under other dims; of a transposed matrix only dims of size 1 may come and go. */
const reshape: Move = (before, node) => {
  const dims = knownDims(node.output());
  if (dims === undefined) return undefined;
  if (!before.transposed) return { dims, transposed: false };
  return sameWithoutOnes(before.dims, dims) ? { dims, transposed: true } : undefined;
};

const transpose: Move = (before, node) => {
  const rank = before.dims.length;
  const perm = node.ints("perm") ?? before.dims.map((_, i) => rank - 1 - i);
  const dims = perm.map((p) => before.dims[p] ?? 1);
  if (perm.every((p, i) => p === i)) return before;
  const leading = perm.slice(0, -2).every((p, i) => p === i && before.dims[p] === 1);
  return leading && perm.length >= 2 ? { dims, transposed: !before.transposed } : undefined;
};

const cast: Move = (before, node) => (FLOATS.has(node.output().dtype) ? before : undefined);

const MOVES: Partial<Record<string, Move>> = {
  Identity: keep,
  Cast: cast,
  Transpose: transpose,
  Reshape: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Flatten: reshape,
};

/**
 * The constant matrix that `value` is, or undefined: it must come from one float initializer through operators that move elements only, and
 * end as [rows, cols] with nothing but leading dims of 1 before.
 */
export function matrixOf(value: Value): MatrixView | undefined {
  const path: Node[] = [];
  let source = value;
  while (source.tensor === undefined) {
    const node = source.producer;
    const next = node?.input(0);
    if (node === undefined || next === undefined || MOVES[node.op] === undefined) return undefined;
    path.push(node);
    source = next;
  }
  if (!source.isConstant || !FLOATS.has(source.dtype)) return undefined;
  let layout: Layout | undefined = { dims: source.tensor.dims, transposed: false };
  for (const node of path.toReversed()) {
    layout = layout && MOVES[node.op]?.(layout, node);
    if (layout === undefined) return undefined;
  }
  const rows = layout.dims.at(-2);
  const cols = layout.dims.at(-1);
  if (rows === undefined || cols === undefined) return undefined;
  if (layout.dims.slice(0, -2).some((d) => d !== 1)) return undefined;
  return { initializer: source, rows, cols, transposed: layout.transposed };
}

function knownDims(value: Value): number[] | undefined {
  const dims = value.shape?.filter((d): d is number => typeof d === "number");
  return dims?.length === value.shape?.length ? dims : undefined;
}

function sameWithoutOnes(a: readonly number[], b: readonly number[]): boolean {
  const left = a.filter((d) => d !== 1);
  const right = b.filter((d) => d !== 1);
  return left.length === right.length && left.every((d, i) => d === right[i]);
}
