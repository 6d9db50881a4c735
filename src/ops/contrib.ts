// Operators that onnxruntime adds in the domain com.microsoft.
// https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
import type { Dim } from "../graph/graph.js";
import { broadcastShapes } from "./broadcast.js";
import {
  axisIn,
  elementOf,
  firstDType,
  likeInput,
  type Fact,
  type InferRule,
  type OpRow,
  type OpTable,
} from "./facts.js";
import { trilu } from "./kernels/movement.js";
import { dequantizeLinear, quantizeLinear } from "./kernels/quantization.js";
import { convolution } from "./convolution.js";
import { fusedMatMul, gemm, matMul, matMulShape } from "./linear.js";
import { layerNormalization } from "./normalization.js";
import { inferDequantize, inferQuantize, typeOfInput } from "./quantization.js";
import { reducing } from "./reduce.js";
import { SHAPE } from "./shape.js";
import { addDims, floorDivideDims, multiplyDims } from "./symbols.js";

/** `num_heads` heads over a hidden size. */
const headSize = (hidden: Dim, heads: number | undefined): Dim =>
  heads === undefined ? null : floorDivideDims(hidden, heads);

/** Input [batch, length, hidden], packed weights [hidden, q + k + v]; past and present [2, batch, heads, length, size]. */
function packedAttention(past: number, result?: Fact["dtype"]): InferRule {
  return ({ node, inputs }) => {
    const [input, weights] = inputs;
    const dtype = result ?? input?.dtype;
    const shape = input?.shape;
    if (shape?.length !== 3) return [{ dtype }, { dtype }];
    const [batch = null, length = null] = shape;
    const sizes = node.ints("qkv_hidden_sizes");
    const value = sizes?.[2] ?? floorDivideDims(weights?.shape?.[1] ?? null, 3);
    const heads = node.int("num_heads");
    const before = inputs[past];
    const shared = node.int("past_present_share_buffer", 0) !== 0;
    const total = before === undefined ? length : addDims(before.shape?.[3] ?? null, length);
    const present: readonly Dim[] = [
      2,
      batch,
      heads ?? null,
      shared ? (before?.shape?.[3] ?? null) : total,
      headSize(value, heads),
    ];
    return [
      { dtype, shape: [batch, length, value] },
      { dtype: before?.dtype ?? dtype, shape: present },
    ];
  };
}

/** Query [batch, length, hidden], or all three packed as [batch, length, heads, 3, size]; keys and values also as [batch, heads, length, size]. */
const multiHeadAttention: InferRule = ({ node, inputs }) => {
  const [query, key, value, , , , pastKey, pastValue] = inputs;
  const dtype = query?.dtype;
  const heads = node.int("num_heads") ?? null;
  const shape = query?.shape;
  const [batch = null, length = null] = shape ?? [];
  if (shape?.length === 5) {
    return [{ dtype, shape: [batch, length, multiplyDims(heads, shape[4] ?? null)] }];
  }
  if (shape?.length !== 3) return [{ dtype }, { dtype }, { dtype }, { dtype }];
  const hidden = shape[2] ?? null;
  const split = (fact: Fact | undefined): readonly Dim[] | undefined => {
    if (fact?.shape?.length === 4) return fact.shape;
    if (fact?.shape?.length !== 3) return undefined;
    return [batch, heads, fact.shape[1] ?? null, headSize(fact.shape[2] ?? null, Number(heads))];
  };
  const keys = split(key);
  const values = split(value);
  const packed = value === undefined;
  const present = (own: readonly Dim[] | undefined, past: Fact | undefined) =>
    own &&
    (past === undefined ? own : own.with(2, addDims(past.shape?.[2] ?? null, own[2] ?? null)));
  const presentKeys = present(keys, pastKey);
  const width = packed ? hidden : multiplyDims(heads, values?.[3] ?? null);
  return [
    { dtype, shape: [batch, length, width] },
    { dtype, shape: presentKeys },
    { dtype, shape: present(values, pastValue) },
    { dtype, shape: [batch, heads, length, presentKeys?.[2] ?? null] },
  ];
};

/** Query [batch, length, heads * size]; without key and value all three are packed. Present keys grow in place or along dim 2. */
const groupQueryAttention: InferRule = ({ node, inputs }) => {
  const [query, key, , pastKey, pastValue] = inputs;
  const dtype = query?.dtype;
  const [heads, kvHeads] = [node.int("num_heads"), node.int("kv_num_heads")];
  const shape = query?.shape;
  const [batch = null, length = null, width = null] = shape ?? [];
  if (shape?.length !== 3 || heads === undefined || kvHeads === undefined)
    return [{ dtype }, { dtype: pastKey?.dtype }, { dtype: pastValue?.dtype }];
  const size =
    key === undefined ? floorDivideDims(width, heads + 2 * kvHeads) : headSize(width, heads);
  const present = (past: Fact | undefined): Fact => ({
    dtype: past?.dtype ?? dtype,
    shape: [batch, kvHeads, null, past?.shape?.[3] ?? size],
  });
  return [
    { dtype, shape: [batch, length, multiplyDims(heads, size)] },
    present(pastKey),
    present(pastValue),
  ];
};

const embedLayerNormalization: InferRule = ({ inputs: [ids, , words, , , gamma] }) => {
  const dtype = gamma?.dtype ?? words?.dtype;
  const [batch = null, length = null] = ids?.shape ?? [];
  const out: Fact = { dtype, shape: [batch, length, words?.shape?.[1] ?? null] };
  return [out, { dtype: "int32", shape: [batch] }, out];
};

const quantizedEmbedLayerNormalization: InferRule = ({ inputs: [ids, , words] }) => {
  const [batch = null, length = null] = ids?.shape ?? [];
  const shape = [batch, length, words?.shape?.[1] ?? null];
  return [
    { dtype: "float32", shape },
    { dtype: "int32", shape: [batch] },
  ];
};

/** Statistics are 1 in the last dim; the sum that was normalized may be asked for too. */
const skipLayerNormalization: InferRule = ({ inputs: [x] }) => {
  const shape = x?.shape;
  const statistics: Fact = { dtype: "float32", shape: shape && shape.with(-1, 1) };
  return [{ dtype: x?.dtype, shape }, statistics, statistics, { dtype: x?.dtype, shape }];
};

/** A [..., K] by a packed weight of N columns. */
const packedMatMul: InferRule = ({ node, inputs: [a] }) => {
  const shape = a?.shape;
  const columns = node.int("N") ?? null;
  return [{ dtype: a?.dtype, shape: shape && [...shape.slice(0, -1), columns] }];
};

/** Integer product with scales, result in the type of the scale input `scale`. */
const scaledMatMul = (scale: number): InferRule => matMul(0, 1, typeOfInput(scale, "float32"));

const gatherBlockQuantized: InferRule = ({ node, inputs: [data, indices, scales] }) => {
  const [shape, picked] = [data?.shape, indices?.shape];
  const axis = shape && axisIn(node.int("gather_axis", 0), shape.length);
  const quantized = shape && axisIn(node.int("quantize_axis", 1), shape.length);
  const dtype = scales?.dtype;
  if (shape === undefined || picked === undefined || axis === undefined) return [{ dtype }];
  // Bytes may hold several elements of the quantized axis.
  const packed = data?.dtype === "uint8" ? Math.floor(8 / node.int("bits", 4)) : 1;
  const dims = shape.map((d, i) => (i === quantized ? multiplyDims(d, packed) : d));
  return [{ dtype, shape: dims.toSpliced(axis, 1, ...picked) }];
};

/** Inputs `a` and `b` broadcast; every other one is a scale or a zero point. */
const quantizedBroadcast =
  (a: number, b: number): InferRule =>
  ({ inputs }) => [
    {
      dtype: firstDType([inputs[a], inputs[b]]),
      shape: broadcastShapes([inputs[a]?.shape, inputs[b]?.shape]),
    },
  ];

const quantizedConcat: InferRule = ({ node, inputs }) => {
  const parts = inputs.filter((_, i) => i >= 2 && (i - 2) % 3 === 0);
  const shapes = parts.map((p) => p?.shape);
  const rank = shapes.find((s) => s !== undefined)?.length;
  const axis = rank === undefined ? undefined : axisIn(node.int("axis", 1), rank);
  if (rank === undefined || axis === undefined) return [{ dtype: inputs[1]?.dtype }];
  const total = shapes.reduce<Dim>((n, s) => addDims(n, s?.[axis] ?? null), 0);
  const first = shapes.find((s) => s !== undefined);
  return [{ dtype: inputs[1]?.dtype, shape: first?.with(axis, total) }];
};

const quantizedGlobalPool: InferRule = ({ node, inputs: [x] }) => {
  const last = node.int("channels_last", 0) !== 0;
  const rank = x?.shape?.length ?? 0;
  const kept = (i: number) => i === 0 || i === (last ? rank - 1 : 1);
  return [{ dtype: x?.dtype, shape: x?.shape?.map((d, i) => (kept(i) ? d : 1)) }];
};

const quantizedGemm: InferRule = (c) => {
  const [a, , , b, , , , scale, zero] = c.inputs;
  const dtype = scale === undefined ? "float32" : zero?.dtype;
  return gemm({ ...c, inputs: [a, b] }).map(({ shape }) => ({ dtype, shape }));
};

const quantizedReduceMean: InferRule = (c) => reducing()({ ...c, inputs: c.inputs.slice(0, 1) });

const relativePositionBias: InferRule = ({ inputs: [table, rows, columns] }) => [
  {
    dtype: table?.dtype,
    shape: [1, table?.shape?.[1] ?? null, elementOf(rows), elementOf(columns)],
  },
];

/** [rows that are no padding, hidden]; how many is not known. */
const removePadding: InferRule = ({ inputs: [x] }) => {
  const [batch = null, length = null, hidden = null] = x?.shape ?? [];
  return [
    { dtype: x?.dtype, shape: [null, hidden] },
    { dtype: "int32", shape: [batch, length] },
    { dtype: "int32", shape: [addDims(batch, 1)] },
    { dtype: "int32", shape: [1] },
  ];
};

const restorePadding: InferRule = ({ inputs: [x, offsets] }) => {
  const [batch = null, length = null] = offsets?.shape ?? [];
  return [{ dtype: x?.dtype, shape: [batch, length, x?.shape?.[1] ?? null] }];
};

const expandDims: InferRule = ({ inputs: [x, axisInput] }) => {
  const axis = elementOf(axisInput);
  const shape = x?.shape;
  if (shape === undefined || typeof axis !== "number") return [{ dtype: x?.dtype }];
  const at = axisIn(axis, shape.length + 1);
  return [{ dtype: x?.dtype, shape: at === undefined ? undefined : shape.toSpliced(at, 0, 1) }];
};

const biasSplitGelu: InferRule = ({ inputs: [x] }) => {
  const shape = x?.shape;
  const half = floorDivideDims(shape?.at(-1) ?? null, 2);
  return [{ dtype: x?.dtype, shape: shape && [...shape.slice(0, -1), half] }];
};

const packedHeads: InferRule = ({ inputs: [query, , value] }) => {
  const shape = query?.shape;
  const width = value?.shape?.[1] ?? null;
  return [{ dtype: query?.dtype, shape: shape?.length === 2 ? shape.with(1, width) : undefined }];
};

const tokensAttention: InferRule = ({ node, inputs: [x, weights] }) => {
  const value =
    node.ints("qkv_hidden_sizes")?.[2] ?? floorDivideDims(weights?.shape?.[1] ?? null, 3);
  return [{ dtype: x?.dtype, shape: [x?.shape?.[0] ?? null, value] }];
};

const each: OpRow = { infer: likeInput(), elementwise: true };
const like: OpRow = { infer: likeInput() };
const rows: OpTable = {
  Attention: { infer: packedAttention(4) },
  QAttention: { infer: packedAttention(8, "float32") },
  PackedAttention: { infer: tokensAttention },
  PackedMultiHeadAttention: { infer: packedHeads },
  MultiHeadAttention: { infer: multiHeadAttention },
  DecoderMaskedMultiHeadAttention: { infer: likeInput() },
  GroupQueryAttention: { infer: groupQueryAttention },
  LongformerAttention: like,
  RotaryEmbedding: like,
  GemmaRotaryEmbedding: like,
  RelativePositionBias: { infer: relativePositionBias },
  RemovePadding: { infer: removePadding },
  RestorePadding: { infer: restorePadding },
  EmbedLayerNormalization: { infer: embedLayerNormalization },
  QEmbedLayerNormalization: { infer: quantizedEmbedLayerNormalization },
  LayerNormalization: { infer: layerNormalization },
  SimplifiedLayerNormalization: { infer: layerNormalization },
  SkipLayerNormalization: { infer: skipLayerNormalization },
  SkipSimplifiedLayerNormalization: { infer: skipLayerNormalization },
  GroupNorm: like,
  SkipGroupNorm: { infer: ({ inputs: [x] }) => [x ?? {}, x ?? {}].map(typeAlone) },
  Gelu: each,
  FastGelu: like,
  QuickGelu: each,
  BiasGelu: like,
  BiasAdd: like,
  BiasSoftmax: like,
  BiasSplitGelu: { infer: biasSplitGelu },
  FusedMatMul: { infer: fusedMatMul },
  TransposeMatMul: { infer: fusedMatMul },
  FusedMatMulActivation: { infer: fusedMatMul },
  FusedGemm: { infer: gemm },
  GemmFastGelu: { infer: matMul(0, 1) },
  MatMulNBits: { infer: packedMatMul },
  MatMulBnb4: { infer: packedMatMul },
  MatMulFpQ4: { infer: ({ inputs: [a] }) => [{ dtype: a?.dtype }] },
  MatMulIntegerToFloat: { infer: scaledMatMul(2) },
  DynamicQuantizeMatMul: {
    infer: ({ inputs: [a, b] }) => [{ dtype: "float32", shape: matMulShape(a?.shape, b?.shape) }],
  },
  MatMulInteger16: { infer: matMul(0, 1, () => "int32") },
  QGemm: { infer: quantizedGemm },
  QuantizeLinear: { infer: inferQuantize, evaluate: quantizeLinear },
  DequantizeLinear: { infer: inferDequantize, evaluate: dequantizeLinear },
  QLinearAdd: { infer: quantizedBroadcast(0, 3) },
  QLinearMul: { infer: quantizedBroadcast(0, 3) },
  QLinearConcat: { infer: quantizedConcat },
  QLinearSigmoid: like,
  QLinearLeakyRelu: like,
  QLinearSoftmax: like,
  QLinearConv: { infer: convolution(0, 3, typeOfInput(7)) },
  QLinearGlobalAveragePool: { infer: quantizedGlobalPool },
  QLinearReduceMean: { infer: quantizedReduceMean },
  GatherBlockQuantized: { infer: gatherBlockQuantized },
  FusedConv: { infer: convolution(0, 1) },
  MoE: like,
  QMoE: like,
  IsAllFinite: { infer: () => [{ dtype: "bool", shape: [] }] },
  ExpandDims: { infer: expandDims },
  Inverse: like,
  Trilu: { infer: likeInput(), evaluate: trilu },
  Range: { ...SHAPE["Range"] },
  BiasDropout: {
    infer: ({ inputs: [x] }) => [typeAlone(x ?? {}), { dtype: "bool", shape: x?.shape }],
  },
};

function typeAlone({ dtype, shape }: Fact): Fact {
  return { dtype, shape };
}

export const CONTRIB: OpTable = Object.fromEntries(
  Object.entries(rows).map(([name, row]) => [`com.microsoft.${name}`, row]),
);
