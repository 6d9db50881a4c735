// Gradients of attention as one operator: it is written out in products and a Softmax once more, and the gradient goes through those.
import type { Node, Value } from "../graph/graph.js";
import { int64Tensor } from "../onnx/tensor.js";
import type { Backward } from "./backward.js";
import { noGradient } from "./no-gradient.js";
import { through } from "./propagate.js";
import type { GradientTable } from "./rule.js";

/** Queries, keys and values as [batch, heads, length, size]. */
interface Heads {
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
}

interface Scores {
  /** Default: 1/√size. */
  readonly scale: number | undefined;
  readonly softcap?: number;
  /** Added to the scores; broadcasts. */
  readonly biases: readonly (Value | undefined)[];
  readonly causal: boolean;
}

const INT64 = 7;

/** [batch, length, heads·size] as [batch, heads, length, size]. */
function split(b: Backward, x: Value, heads: number): Value {
  const apart = b.op("Reshape", [x, b.ints([0, 0, heads, -1])]);
  return b.op("Transpose", [apart], { perm: [0, 2, 1, 3] });
}

function join(b: Backward, x: Value): Value {
  const turned = b.op("Transpose", [x], { perm: [0, 2, 1, 3] });
  return b.op("Reshape", [turned, b.ints([0, 0, -1])]);
}

/** Softmax(Q·Kᵀ·scale + biases)·V */
function attend(b: Backward, { query, key, value }: Heads, scores: Scores): Value {
  const product = (scale: number) =>
    b.op("com.microsoft.FusedMatMul", [query, key], {
      transB: 1,
      alpha: { type: "float", value: scale },
    });
  const size = b.factOf(query).shape?.at(-1);
  const scale = scores.scale ?? (typeof size === "number" ? 1 / Math.sqrt(size) : undefined);
  const width = () => b.cast(b.op("Gather", [b.op("Shape", [query]), b.ints([3])]), query);
  let sum =
    scale === undefined ? b.op("Div", [product(1), b.op("Sqrt", [width()])]) : product(scale);
  const { softcap = 0 } = scores;
  if (softcap > 0) {
    const cap = b.scalar(softcap, sum);
    sum = b.op("Mul", [b.op("Tanh", [b.op("Div", [sum, cap])]), cap]);
  }
  for (const bias of scores.biases) if (bias !== undefined) sum = b.op("Add", [sum, bias]);
  if (scores.causal) sum = b.op("Where", [pastOnly(b, query, key), sum, b.scalar(LOWEST, sum)]);
  return b.op("MatMul", [b.op("Softmax", [sum], { axis: -1 }), value]);
}

/** Far below every score, and finite: rows that are masked as a whole stay numbers. */
const LOWEST = -1e30;

/** True where a key does not stand behind the query: [queries, keys]. */
function pastOnly(b: Backward, query: Value, key: Value): Value {
  const positions = (value: Value) => {
    const length = b.op("Gather", [b.op("Shape", [value]), int64(b, 2)]);
    return b.op("Range", [int64(b, 0), length, int64(b, 1)]);
  };
  return b.op("LessOrEqual", [positions(key), b.unsqueeze(positions(query), [1])]);
}

const int64 = (b: Backward, value: number): Value =>
  b.constant(`int64 scalar ${value}`, () => int64Tensor(value));

/** A mask of onnxruntime's operators as what is added to the scores: valid lengths [batch], or truth values [batch, keys] or [batch, queries, keys]. */
function maskBias(b: Backward, node: Node, mask: Value | undefined, key: Value): Value | undefined {
  if (mask === undefined) return undefined;
  const fill = b.scalar(node.float("mask_filter_value", -10_000), key);
  const bias = (kept: Value) => b.op("Where", [kept, b.scalar(0, key), fill]);
  const isSet = () => b.op("Cast", [mask], { to: 9 });
  if (mask.rank === 2) return bias(b.unsqueeze(isSet(), [1, 2]));
  if (mask.rank === 3) return bias(b.unsqueeze(isSet(), [1]));
  const [lengths] = b.factOf(mask).shape ?? [];
  const [batch] = b.factOf(key).shape ?? [];
  if (mask.rank !== 1 || lengths !== batch)
    throw noGradient(node, "its form of mask has no gradient yet");
  const length = b.op("Gather", [b.op("Shape", [key]), int64(b, 2)]);
  const positions = b.op("Range", [int64(b, 0), length, int64(b, 1)]);
  const valid = b.unsqueeze(b.op("Cast", [mask], { to: INT64 }), [1]);
  return bias(b.unsqueeze(b.op("Less", [positions, valid]), [1, 2]));
}

function without(node: Node, inputs: Readonly<Record<number, string>>): void {
  for (const [i, what] of Object.entries(inputs))
    if (node.input(Number(i)) !== undefined)
      throw noGradient(node, `with ${what} it has no gradient yet`);
}

/** `com.microsoft.Attention`: one product makes queries, keys and values. */
const packed = through((node, b) => {
  const [x, weights, bias, mask, , attentionBias] = node.inputs;
  if (x === undefined || weights === undefined) return [];
  without(node, { 4: "past keys" });
  if (node.int("do_rotary", 0) !== 0) throw noGradient(node, "with rotary positions it has none");
  const heads = node.int("num_heads", 1);
  const product = b.op("MatMul", [x, weights]);
  const all = bias === undefined ? product : b.op("Add", [product, bias]);
  const sizes = node.ints("qkv_hidden_sizes");
  const width = b.factOf(weights).shape?.[1];
  const parts = sizes ?? (typeof width === "number" ? [1, 1, 1].map(() => width / 3) : undefined);
  if (parts === undefined) throw noGradient(node, "the width of its weights is not known");
  const three = b.node("Split", [all, b.ints(parts)], 3, { axis: -1 });
  const [query, key, value] = [0, 1, 2].map((i) => split(b, three.output(i), heads));
  if (query === undefined || key === undefined || value === undefined) return [];
  const given = node.float("scale", 0);
  return [
    join(
      b,
      attend(
        b,
        { query, key, value },
        {
          scale: given === 0 ? undefined : given,
          biases: [maskBias(b, node, mask, key), attentionBias],
          causal: node.int("unidirectional", 0) !== 0,
        },
      ),
    ),
  ];
});

/** `com.microsoft.MultiHeadAttention`, not packed; keys and values may have their heads apart already. */
const multiHead = through((node, b) => {
  const [q, k, v, bias, mask, attentionBias] = node.inputs;
  if (q?.rank !== 3 || k === undefined || v === undefined || k.rank === 5)
    throw noGradient(node, "its packed form has no gradient yet");
  without(node, { 6: "past keys", 7: "past values" });
  const heads = node.int("num_heads", 1);
  const biases = bias && biasesOf(b, node, bias, q, v);
  const part = (x: Value, i: number) => {
    if (x.rank === 4) return x;
    const own = biases?.[i];
    return split(b, own === undefined ? x : b.op("Add", [x, own]), heads);
  };
  const all: Heads = { query: part(q, 0), key: part(k, 1), value: part(v, 2) };
  const given = node.float("scale", 0);
  return [
    join(
      b,
      attend(b, all, {
        scale: given === 0 ? undefined : given,
        biases: [maskBias(b, node, mask, all.key), attentionBias],
        causal: node.int("unidirectional", 0) !== 0,
      }),
    ),
  ];
});

/** One bias for queries, keys and values, one after the other. */
function biasesOf(b: Backward, node: Node, bias: Value, q: Value, v: Value): Value[] {
  const [wide, narrow] = [b.factOf(q).shape?.[2], v.rank === 3 ? b.factOf(v).shape?.[2] : 0];
  const total = b.factOf(bias).shape?.[0];
  if (typeof wide !== "number") throw noGradient(node, "the width of its queries is not known");
  const last =
    typeof narrow === "number" && narrow > 0
      ? narrow
      : typeof total === "number"
        ? total - 2 * wide
        : wide;
  const three = b.node("Split", [bias, b.ints([wide, wide, last])], 3, { axis: 0 });
  return [0, 1, 2].map((i) => three.output(i));
}

/** Attention of operator set 23 and later, heads apart or not, keys and values in groups. */
const standard = through((node, b) => {
  const [q, k, v, mask] = node.inputs;
  if (q === undefined || k === undefined || v === undefined) return [];
  without(node, { 4: "past keys", 5: "past values", 6: "lengths that are not padded" });
  const flat = q.rank === 3;
  const [heads, groups] = flat
    ? [node.int("q_num_heads", 1), node.int("kv_num_heads", 1)]
    : [b.factOf(q).shape?.[1], b.factOf(k).shape?.[1]];
  if (typeof heads !== "number" || typeof groups !== "number")
    throw noGradient(node, "the number of its heads is not known");
  const repeated = (x: Value) => {
    const apart = flat ? split(b, x, groups) : x;
    return heads === groups ? apart : repeatHeads(b, apart, heads / groups, heads);
  };
  const all = { query: flat ? split(b, q, heads) : q, key: repeated(k), value: repeated(v) };
  const given = node.float("scale", 0);
  const isTruth = mask?.dtype === "bool";
  const bias =
    mask !== undefined && isTruth
      ? b.op("Where", [mask, b.scalar(0, q), b.scalar(LOWEST, q)])
      : mask;
  const y = attend(b, all, {
    scale: given === 0 ? undefined : given,
    softcap: node.float("softcap", 0),
    biases: [bias],
    causal: node.int("is_causal", 0) !== 0,
  });
  return [flat ? join(b, y) : y];
});

/** Each head `times` times, one after the other. */
function repeatHeads(b: Backward, x: Value, times: number, heads: number): Value {
  const apart = b.unsqueeze(x, [2]);
  const repeated = b.op("Expand", [apart, b.ints([1, 1, times, 1, 1])]);
  const sizes = b.op("Shape", [x]);
  const tail = b.op("Slice", [sizes, b.ints([2]), b.ints([4])]);
  const shape = b.op("Concat", [b.ints([0, heads]), tail], { axis: 0 });
  return b.op("Reshape", [repeated, shape]);
}

export const ATTENTION: GradientTable = {
  Attention: standard,
  "com.microsoft.Attention": packed,
  "com.microsoft.MultiHeadAttention": multiHead,
};
