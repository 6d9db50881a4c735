// What onnxruntime's CPU provider makes of a quantized graph: its fusing rules as tables. Held against the graphs that it optimizes itself.
import type { Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import {
  constantBehind,
  dequantizedBy,
  dimsOf,
  lintWith,
  type Dequantized,
  type Finding,
  type Judge,
  type Judged,
} from "./lint.js";
import type { Operand, Product } from "./lint-product.js";
import {
  activationType,
  dequantizerOf,
  quantizersAfter,
  quantizersBehindReshape,
  type After,
} from "./lint-edges.js";
import { isTurned, mergedBias, quantizesConstants } from "./lint-gemm.js";
import { isWeightOnly } from "./lint-weight-only.js";

interface Rule {
  readonly name: string;
  readonly holds: readonly Product["op"][];
  /** Why the product stays in float under this rule; undefined where the rule lets it pass. */
  readonly why: (product: Product) => string | undefined;
}

const ALL = ["MatMul", "Gemm", "Conv"] as const;

/** In this order: the first that stops a product is the reason that is told. */
const RULES: readonly Rule[] = [
  {
    name: "half precision",
    holds: ALL,
    why: ({ operands }) =>
      operands.some(({ dq }) => dq?.scale?.dtype === "float16")
        ? "its scales are float16: onnxruntime fuses float32 on CPUs; quantize the float32 model"
        : undefined,
  },
  {
    name: "both sides",
    holds: ALL,
    why: ({ operands: [a, b] }) => {
      if (a?.dq !== undefined && b?.dq !== undefined) return undefined;
      if (a?.dq === undefined && b?.dq === undefined) return "not quantized";
      return a?.dq === undefined
        ? "Q/DQ on one side only: its activation is float; quantize both inputs"
        : "Q/DQ on one side only: its second input is float; quantize both inputs";
    },
  },
  {
    name: "bits",
    holds: ALL,
    why: ({ operands: [a, b] }) => {
      for (const dtype of [a?.dq?.dtype, b?.dq?.dtype])
        if (dtype !== undefined && dtype !== "int8" && dtype !== "uint8")
          return `${dtype} codes: integer products take 8 bits on both sides`;
      return undefined;
    },
  },
  {
    name: "signs",
    holds: ALL,
    why: ({ op, operands: [a, b] }) => {
      if (a?.type !== "int8") return undefined;
      if (b?.dq?.dtype !== "int8")
        return "activation s8 with u8 weight: use u8 activations, or s8 weights";
      return op === "Gemm"
        ? undefined
        : "activation s8 that several nodes read, or that no QuantizeLinear writes: runs in INT8 on ARM64 alone, elsewhere onnxruntime needs u8; use u8 activations";
    },
  },
  {
    name: "bias",
    holds: ["Gemm", "Conv"],
    why: ({ op, operands: [, , bias], node }) =>
      bias === undefined || bias.dq !== undefined
        ? undefined
        : node.op === "MatMul"
          ? "onnxruntime makes one Gemm of MatMul and Add here (all dims but the last are known, or there are two), whose float bias keeps it in float; store the bias as [1, 1, N], or use an int32 bias through DequantizeLinear"
          : `bias of ${op} is float: onnxruntime runs it in float; use an int32 bias through DequantizeLinear, or a separate Add`,
  },
  {
    name: "bias type",
    holds: ["Gemm", "Conv"],
    why: ({ operands: [, , bias] }) =>
      bias?.dq !== undefined && bias.dq.dtype !== "int32"
        ? `bias is ${bias.dq.dtype ?? "of unknown type"}: it must be int32 through DequantizeLinear`
        : undefined,
  },
  {
    name: "beta",
    holds: ["Gemm"],
    why: ({ operands, beta }) =>
      operands.length > 2 && beta !== 1 ? "beta is not 1: scale the bias beforehand" : undefined,
  },
  {
    name: "clip",
    holds: ALL,
    why: ({ after }) =>
      after.clip === "kept"
        ? "output goes into Relu or Clip directly: onnxruntime leaves it in float; write Max with 0, or quantize behind Relu with the lowest code as zero point"
        : undefined,
  },
  {
    name: "one reader",
    holds: ALL,
    why: ({ after, output }) =>
      after.quantizers.length > 0 && (after.quantizers.length !== after.edges || after.edges > 1)
        ? "its result is read quantized and in another way: let one QuantizeLinear read it, or none"
        : after.quantizers.length > 0 && output.isOutput
          ? "product is a graph output, and quantized as well"
          : undefined,
  },
  {
    name: "output type",
    holds: ALL,
    why: ({ after: { dtype }, operands: [a] }) =>
      dtype === undefined || dtype === a?.type
        ? undefined
        : `its output is quantized as ${dtype}, its activation as ${a?.type ?? "?"} (s8 counts as u8 where one node reads it): use u8 throughout`,
  },
  {
    name: "quantized output",
    holds: ["Conv"],
    why: ({ after }) =>
      after.quantizers.length === 0
        ? "output of Conv is not quantized: it needs Q/DQ behind it, too"
        : undefined,
  },
];

const KERNELS: Readonly<Record<Product["op"], readonly [float: string, quantized: string]>> = {
  MatMul: ["MatMulIntegerToFloat", "QLinearMatMul"],
  Gemm: ["QGemm", "QGemm"],
  Conv: ["QLinearConv", "QLinearConv"],
};

function operandOf(value: Value, reshaped = false): Operand {
  return { value, dq: dequantizerOf(value), type: activationType(value, reshaped) };
}

function judge(product: Product): Pick<Judged, "runs" | "kernel" | "reason"> {
  for (const { holds, why } of RULES) {
    const reason = holds.includes(product.op) ? why(product) : undefined;
    if (reason === undefined) continue;
    return isWeightOnly(product) ? WEIGHT_ONLY : { runs: storedOrFloat(product), reason };
  }
  const kernel = KERNELS[product.op][product.after.quantizers.length === 0 ? 0 : 1];
  const reason = wrongAxis(product);
  return { runs: "int8", kernel, ...(reason === undefined ? {} : { reason }) };
}

/** Only the weight is dequantized: onnxruntime makes MatMulNBits of that, unasked. */
const WEIGHT_ONLY = {
  runs: "stored",
  kernel: "MatMulNBits",
  reason:
    "only its weight is quantized: a weight-only product, hardly faster than float; quantize its activation, too",
} as const;

/** A weight that is dequantized in each run still is small in the file. */
function storedOrFloat({ operands: [, b] }: Product): "stored" | "float" {
  return b?.dq !== undefined && constantBehind(b.value) !== undefined ? "stored" : "float";
}

/** Scales that onnxruntime fuses all the same, and then applies to the wrong dim. */
function wrongAxis({ node, op, operands: [a, b] }: Product): string | undefined {
  if (a?.dq !== undefined && isPerChannel(a.dq))
    return "its activation has a scale per channel: it fuses, and fails at run time; use one scale";
  if (op === "Conv" || b?.dq === undefined || !isPerChannel(b.dq)) return undefined;
  const axis = b.dq.node.int("axis", 1);
  const rank = b.dq.codes.rank ?? 2;
  const alongK = (axis < 0 ? axis + rank : axis) === (isTurned(node) ? rank - 1 : rank - 2);
  return alongK
    ? "scales of its weight lie along K: it fuses, and is wrong or fails at run time; use a scale per output channel"
    : undefined;
}

function isPerChannel({ scale }: Dequantized): boolean {
  return scale?.shape?.some((dim) => dim !== 1) === true;
}

function described(node: Node, a: Value, b: Value): Pick<Judged, "kind" | "shape" | "constant"> {
  const constant = constantBehind(b) ?? constantBehind(a);
  if (node.op === "Conv") return { kind: "convolution", shape: dimsOf(constant), constant };
  if (constant === undefined) return { kind: "attention", shape: [] };
  const dims = b.shape?.filter((d) => typeof d === "number") ?? [];
  const shape = dims.length === b.rank && dims.length > 0 ? dims : dimsOf(constant);
  const turned = node.op === "Gemm" && node.int("transB", 0) !== 0;
  return { kind: "linear", shape: turned ? shape.toReversed() : shape, constant };
}

const product: Judge = (node, { isFolded }) => {
  const [a, b] = node.inputs;
  if (a === undefined || b === undefined) return undefined;
  const base = described(node, a, b);
  if (isFolded(a) && isFolded(b)) return { ...base, runs: "float", reason: COMPUTED_ONCE };
  const merged = mergedBias(node);
  const op =
    merged !== undefined || node.op === "Gemm" ? "Gemm" : node.op === "Conv" ? "Conv" : "MatMul";
  const output = merged?.node.output() ?? node.output();
  const bias = merged?.bias ?? node.input(2);
  const after =
    merged?.reshaped === true ? quantizersBehindReshape(output) : quantizersAfter(output);
  const beta = merged === undefined ? node.float("beta", 1) : 1;
  const operands = operandsOf(
    node,
    op,
    [operandOf(a, merged?.reshaped), operandOf(b), bias && operandOf(bias)],
    after,
  );
  return { ...base, ...judge({ node, op, operands, output, after, beta }) };
};

/** Constants that onnxruntime quantizes itself count as quantized. */
function operandsOf(
  node: Node,
  op: Product["op"],
  [first, second, third]: readonly [Operand, Operand, Operand | undefined],
  after: After,
): readonly Operand[] {
  const all = third === undefined ? [first, second] : [first, second, third];
  const quantizes =
    op !== "MatMul" &&
    after.quantizers.length === 1 &&
    after.edges === 1 &&
    quantizesConstants(node, first.dq, second, third?.value);
  if (!quantizes) return all;
  const itself = (operand: Operand, dtype: "int8" | "int32"): Operand =>
    operand.dq === undefined ? { ...operand, dq: madeUp(node, operand.value, dtype) } : operand;
  return [first, itself(second, "int8"), ...(third === undefined ? [] : [itself(third, "int32")])];
}

function madeUp(node: Node, codes: Value, dtype: "int8" | "int32"): Dequantized {
  return { node, codes, dtype, scale: undefined, zeroPoint: undefined };
}

const COMPUTED_ONCE = "no input reaches it: computed once, on loading";

function integer(kind: Judged["kind"], weight: number): Judge {
  return (node, { isFolded }) => {
    const b = node.input(weight);
    const constant = constantBehind(b);
    const base = {
      kind: constant === undefined && kind === "linear" ? ("attention" as const) : kind,
      shape: dimsOf(constant),
      constant,
    };
    if (node.inputs.every((v) => v === undefined || isFolded(v)))
      return { ...base, runs: "stored", reason: COMPUTED_ONCE };
    return { ...base, runs: "int8", kernel: node.opType };
  };
}

function stored(kind: Judged["kind"], weight: number, reason: string): Judge {
  return (node) => {
    const constant = constantBehind(node.input(weight));
    return { kind, shape: dimsOf(constant), constant, runs: "stored", kernel: node.opType, reason };
  };
}

const gather: Judge = (node) => {
  const [table] = node.inputs;
  const constant = constantBehind(table);
  if (table === undefined || constant === undefined) return undefined;
  const { dtype } = constant;
  const isCodes = dtype === "int8" || dtype === "uint8";
  // Codes of rows may be in blocks with scales of their own: [rows, blocks, size].
  if (table.rank !== 2 && !(isCodes && table.rank === 3)) return undefined;
  // A table of width 1 holds the scales of another one's rows.
  if (node.int("axis", 0) !== 0 || table.shape?.[1] === 1) return undefined;
  const [rows = 0, ...widths] = dimsOf(constant);
  const shape = [rows, widths.reduce((product, dim) => product * dim, 1)];
  const base = { kind: "embedding", shape, constant } as const;
  if (isCodes) {
    const whole = table.producer !== undefined && dequantizedBy(table.producer) !== undefined;
    return {
      ...base,
      runs: "stored",
      reason: whole
        ? "DequantizeLinear in front of Gather: the whole table is dequantized in each run; look codes up and dequantize the rows"
        : "rows are looked up in INT8 and scaled",
    };
  }
  return dtype === "float32" || dtype === "float16"
    ? { ...base, runs: "float", reason: "not quantized" }
    : undefined;
};

const fused: Judge = (node) => {
  const constant = node.inputs.find((v) => v?.isConstant === true && (v.rank ?? 0) >= 2);
  return constant === undefined
    ? undefined
    : {
        kind: "opaque",
        shape: dimsOf(constant),
        constant,
        runs: "float",
        reason: "a fused float operator holds its weights itself",
      };
};

const JUDGES: Readonly<Partial<Record<string, Judge>>> = {
  MatMul: product,
  Gemm: product,
  Conv: product,
  Gather: gather,
  MatMulInteger: integer("linear", 1),
  ConvInteger: integer("convolution", 1),
  QLinearMatMul: integer("linear", 3),
  QLinearConv: integer("convolution", 3),
  "com.microsoft.QLinearConv": integer("convolution", 3),
  "com.microsoft.MatMulIntegerToFloat": integer("linear", 1),
  "com.microsoft.DynamicQuantizeMatMul": integer("linear", 1),
  "com.microsoft.MatMulInteger16": integer("linear", 1),
  "com.microsoft.QGemm": integer("linear", 3),
  "com.microsoft.QAttention": integer("linear", 1),
  "com.microsoft.DynamicQuantizeLSTM": integer("linear", 1),
  "com.microsoft.MatMulNBits": stored(
    "linear",
    1,
    "a weight-only product, hardly faster than float",
  ),
  "com.microsoft.GatherBlockQuantized": stored(
    "embedding",
    0,
    "rows are looked up in few bits and scaled",
  ),
  "com.microsoft.FusedMatMul": fused,
  "com.microsoft.FusedGemm": fused,
  "com.microsoft.Attention": fused,
  "com.microsoft.EmbedLayerNormalization": fused,
  LSTM: fused,
  GRU: fused,
  Einsum: fused,
};

/** Where each product and look-up of a quantized model runs in onnxruntime on a CPU. Types must have been inferred. */
export function lintCpu(model: Model): Finding[] {
  return lintWith(model, JUDGES);
}
