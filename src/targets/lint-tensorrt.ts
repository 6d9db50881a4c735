// What TensorRT makes of a Q/DQ graph, by the rules of its explicit quantization: signed, symmetric, both inputs, weights per output channel.
import type { Node, Value } from "../graph/graph.js";
import { opset, type Model } from "../graph/model.js";
import { dequantizerOf } from "./lint-edges.js";
import { isTurned } from "./lint-gemm.js";
import {
  constantBehind,
  dimsOf,
  elementsOf,
  lintWith,
  type Dequantized,
  type Finding,
  type Judge,
  type Judged,
} from "./lint.js";

/** INT8 kernels need sides of at least this. */
const SMALLEST_SIDE = 16;
/** The first version of the operator set whose Q/DQ take an axis. */
const PER_AXIS = 13;

interface Operand {
  readonly which: "activation" | "weight";
  readonly value: Value;
  readonly dq: Dequantized | undefined;
}

interface Product {
  readonly node: Node;
  readonly operands: readonly [Operand, Operand];
  readonly opset: number;
}

interface Rule {
  readonly name: string;
  /** Why TensorRT does not take the product as INT8; undefined where the rule lets it pass. */
  readonly why: (product: Product) => string | undefined;
}

/** A rule on either operand. */
function each(rule: (operand: Operand, product: Product) => string | undefined): Rule["why"] {
  return (product) => {
    for (const operand of product.operands) {
      const reason = operand.dq === undefined ? undefined : rule(operand, product);
      if (reason !== undefined) return reason;
    }
    return undefined;
  };
}

/** In this order: the first that stops a product is the reason that is told. */
const RULES: readonly Rule[] = [
  {
    name: "both sides",
    why: ({ operands: [a, b] }) => {
      if (a.dq !== undefined && b.dq !== undefined) return undefined;
      if (a.dq === undefined && b.dq === undefined) return "not quantized";
      const missing = a.dq === undefined ? a : b;
      return `Q/DQ on one side only: its ${missing.which} is float; quantize both inputs`;
    },
  },
  {
    name: "signed",
    why: each(({ which, dq }) =>
      dq?.dtype === "int8"
        ? undefined
        : `its ${which} is ${dq?.dtype ?? "of unknown type"}: TensorRT takes INT8, signed, with zero point 0`,
    ),
  },
  {
    name: "symmetric",
    why: each(({ which, dq }) => {
      if (dq?.zeroPoint === undefined) return undefined;
      const zeros = elementsOf(dq.zeroPoint);
      if (zeros === undefined) return `the zero point of its ${which} is computed: it must be 0`;
      const other = zeros.find((zero) => zero !== 0);
      return other === undefined
        ? undefined
        : `the zero point of its ${which} is ${other}: TensorRT is symmetric, it must be 0`;
    }),
  },
  {
    name: "scales",
    why: each(({ which, dq }) => {
      const scales = elementsOf(dq?.scale);
      if (scales === undefined)
        return `the scale of its ${which} is computed: it must be a constant`;
      return scales.every((scale) => scale > 0 && Number.isFinite(scale))
        ? undefined
        : `a scale of its ${which} is not a positive number`;
    }),
  },
  {
    name: "one scale per activation",
    why: each(({ value, which, dq }) =>
      isPerChannel(dq) && constantBehind(value) === undefined
        ? `its ${which} has a scale per channel: activations take one scale`
        : undefined,
    ),
  },
  {
    name: "channels",
    why: each(({ value, dq }, { node, opset: version }) => {
      if (dq === undefined || !isPerChannel(dq) || constantBehind(value) === undefined)
        return undefined;
      if (version < PER_AXIS)
        return `scales per channel need opset ${PER_AXIS}, the model has ${version}`;
      const rank = dq.codes.rank ?? 2;
      const axis = dq.node.int("axis", 1);
      const expected = node.op === "Conv" ? 0 : isTurned(node) ? rank - 2 : rank - 1;
      return (axis < 0 ? axis + rank : axis) === expected
        ? undefined
        : `scales of its weight lie along axis ${axis}: they must lie along the output channels, axis ${expected}`;
    }),
  },
  {
    name: "bias",
    why: ({ node }) => {
      const bias = node.input(2);
      return bias !== undefined && dequantizerOf(bias) !== undefined
        ? "its bias is quantized: TensorRT takes a float bias"
        : undefined;
    },
  },
];

function isPerChannel(dq: Dequantized | undefined): boolean {
  return dimsOf(dq?.scale).some((dim) => dim !== 1);
}

const product: Judge = (node, { model }) => {
  const [a, b] = node.inputs;
  if (a === undefined || b === undefined) return undefined;
  const constant = constantBehind(b) ?? constantBehind(a);
  const dims = b.shape?.filter((d) => typeof d === "number") ?? [];
  const stored = node.op !== "Conv" && dims.length === b.rank && dims.length > 0;
  const turned = node.op === "Gemm" && node.int("transB", 0) !== 0;
  const shape = constant === undefined ? [] : stored ? dims : dimsOf(constant);
  const kind = node.op === "Conv" ? "convolution" : constant === undefined ? "attention" : "linear";
  const base = { kind, shape: turned ? shape.toReversed() : shape, constant } as const;
  const operands = [
    { which: "activation", value: a, dq: dequantizerOf(a) },
    {
      which: constantBehind(b) === undefined ? "activation" : "weight",
      value: b,
      dq: dequantizerOf(b),
    },
  ] as const;
  for (const { why } of RULES) {
    const reason = why({ node, operands, opset: opset(model) });
    if (reason === undefined) continue;
    const small = operands[1].dq !== undefined && constant !== undefined;
    return { ...base, runs: small ? "stored" : "float", reason };
  }
  const side = kind === "linear" ? Math.min(...shape.slice(-2)) : Infinity;
  const gains = side >= SMALLEST_SIDE;
  return {
    ...base,
    runs: "int8",
    ...(gains ? {} : { reason: `a side below ${SMALLEST_SIDE} gains nothing: leave it in float` }),
  };
};

const gather: Judge = (node) => {
  const table = node.input(0);
  const constant = constantBehind(table);
  if (table === undefined || constant === undefined || table.rank !== 2) return undefined;
  if (node.int("axis", 0) !== 0 || table.shape?.[1] === 1) return undefined;
  const base = { kind: "embedding", shape: dimsOf(constant), constant } as const;
  if (constant.dtype?.startsWith("float") === true)
    return { ...base, runs: "float", reason: "not quantized" };
  return /^u?int8$/.test(constant.dtype ?? "")
    ? { ...base, runs: "stored", reason: "Q/DQ at a look-up gains nothing in TensorRT" }
    : undefined;
};

/** Operators that TensorRT's parser does not have. */
function refused(kind: Judged["kind"], weight: number): Judge {
  return (node) => {
    const constant = constantBehind(node.input(weight));
    return {
      kind: constant === undefined && kind === "linear" ? "attention" : kind,
      shape: dimsOf(constant),
      constant,
      runs: "float",
      reason: `TensorRT has no ${node.opType}: it takes explicit Q/DQ with ranges found beforehand`,
    };
  };
}

const JUDGES: Readonly<Partial<Record<string, Judge>>> = {
  MatMul: product,
  Gemm: product,
  Conv: product,
  Gather: gather,
  MatMulInteger: refused("linear", 1),
  ConvInteger: refused("convolution", 1),
  QLinearMatMul: refused("linear", 3),
  QLinearConv: refused("convolution", 3),
  "com.microsoft.MatMulIntegerToFloat": refused("linear", 1),
  "com.microsoft.DynamicQuantizeMatMul": refused("linear", 1),
  "com.microsoft.QGemm": refused("linear", 3),
  "com.microsoft.QAttention": refused("linear", 1),
  "com.microsoft.MatMulNBits": refused("linear", 1),
};

/**
 * Which products of a Q/DQ graph TensorRT takes as INT8, and why it does not take the others. Follows Nvidia's guide to explicit quantization;
 * no builder was asked. Types must have been inferred.
 */
export function lintTensorrt(model: Model): Finding[] {
  return lintWith(model, JUDGES);
}
