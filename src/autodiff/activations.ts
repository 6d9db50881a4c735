// Gradients of activations, each with few passes over the tensor: those of the feed-forward layers are the largest of a Transformer.
import type { Node, Value } from "../graph/graph.js";
import { unary } from "./arithmetic.js";
import type { Backward } from "./backward.js";
import type { GradientRule, GradientTable } from "./rule.js";

const mul = (b: Backward, x: Value, y: Value): Value => b.op("Mul", [x, y]);
const times = (b: Backward, x: Value, factor: number): Value => mul(b, x, b.scalar(factor, x));

/** s·(1 - s)·dy = (s - s²)·dy */
const throughSigmoid = (b: Backward, dy: Value, s: Value): Value =>
  mul(b, dy, b.op("Sub", [s, mul(b, s, s)]));

const throughTanh = (b: Backward, dy: Value, t: Value): Value =>
  mul(b, dy, b.op("Sub", [b.scalar(1, t), mul(b, t, t)]));

/** dy where `condition` holds, 0 elsewhere. */
const where = (b: Backward, condition: Value, dy: Value): Value =>
  b.op("Where", [condition, dy, b.scalar(0, dy)]);

const isPositive = (b: Backward, x: Value): Value => b.op("Greater", [x, b.scalar(0, x)]);

/**
 * Φ(x) + x·φ(x) with t = x/√2: Φ is half an Erf plus a half, which HardSigmoid does in one pass (it cuts at 0 and 1, where Φ ends too); the
 * constant of φ goes into its exponent.
 */
function geluSlope(b: Backward, x: Value): Value {
  const t = times(b, x, Math.SQRT1_2);
  const cdf = b.op("HardSigmoid", [b.op("Erf", [t])], {
    alpha: { type: "float", value: 0.5 },
    beta: { type: "float", value: 0.5 },
  });
  const exponent = b.op("Sub", [b.scalar(-Math.log(Math.PI) / 2, x), mul(b, t, t)]);
  return b.op("Add", [cdf, mul(b, t, b.op("Exp", [exponent]))]);
}

const SQRT_2_PI = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

/** d of 0.5·x·(1 + tanh u) with u = √(2/π)·(x + 0.044715·x³), by σ(2u) = (1 + tanh u)/2: σ + 2·x·σ·(1 - σ)·u'. */
function tanhGeluSlope(b: Backward, x: Value): Value {
  const square = mul(b, x, x);
  const twice = (cubic: number) =>
    b.op("Add", [times(b, square, 2 * SQRT_2_PI * cubic), b.scalar(2 * SQRT_2_PI, x)]);
  const s = b.op("Sigmoid", [mul(b, x, twice(CUBIC))]);
  const xSlope = mul(b, x, twice(3 * CUBIC));
  return b.op("Add", [s, throughSigmoid(b, xSlope, s)]);
}

const gelu = unary((b, dy, x, _, node) =>
  mul(b, dy, node.string("approximate", "none") === "tanh" ? tanhGeluSlope(b, x) : geluSlope(b, x)),
);

/** Gelu of x + bias. */
const biased = (slope: (b: Backward, x: Value) => Value): GradientRule => ({
  gradient({ inputs: [x, bias] }, [dy], b) {
    if (dy === undefined || x === undefined) return [];
    const sum = bias === undefined ? x : b.op("Add", [x, bias]);
    const dx = mul(b, dy, slope(b, sum));
    return [b.wants(x) ? dx : undefined, b.wants(bias) ? b.sumTo(dx, bias) : undefined];
  },
});

/** y = x·σ(αx): dy·(σ + α·y·(1 - σ)). */
function throughSwish(b: Backward, dy: Value, x: Value, y: Value, alpha: number): Value {
  const s = b.op("Sigmoid", [alpha === 1 ? x : times(b, x, alpha)]);
  const rest = mul(b, alpha === 1 ? y : times(b, y, alpha), b.op("Sub", [b.scalar(1, s), s]));
  return mul(b, dy, b.op("Add", [s, rest]));
}

const alphaOf = (node: Node, missing: number): number => node.float("alpha", missing);

/** d softplus = σ. */
const softplus = unary((b, dy, x) => mul(b, dy, b.op("Sigmoid", [x])));

/** y = x·tanh(softplus(x)). */
const mish = unary((b, dy, x) => {
  const t = b.op("Tanh", [b.op("Softplus", [x])]);
  const inner = throughTanh(b, mul(b, x, b.op("Sigmoid", [x])), t);
  return mul(b, dy, b.op("Add", [t, inner]));
});

/** max(0, min(1, αx + β)): α where it is not cut. */
function hardSlope(b: Backward, y: Value, alpha: number, dy: Value): Value {
  const inside = b.op("And", [isPositive(b, y), b.op("Less", [y, b.scalar(1, y)])]);
  return where(b, inside, times(b, dy, alpha));
}

/** y = x·hardSigmoid(x) with α = 1/6, β = 1/2. */
const hardSwish = unary((b, dy, x) => {
  const alpha = 1 / 6;
  const gate = b.op("HardSigmoid", [x], {
    alpha: { type: "float", value: alpha },
    beta: { type: "float", value: 0.5 },
  });
  return b.op("Add", [mul(b, dy, gate), hardSlope(b, gate, alpha, mul(b, dy, x))]);
});

/** Below 0: α·(e^x - 1), whose slope is y + α. */
const elu = unary((b, dy, x, y, node) => {
  const below = mul(b, dy, b.op("Add", [y, b.scalar(alphaOf(node, 1), y)]));
  return b.op("Where", [isPositive(b, x), dy, below]);
});

const leakyRelu = unary((b, dy, x, _, node) =>
  b.op("Where", [isPositive(b, x), dy, times(b, dy, alphaOf(node, 0.01))]),
);

/** y = x where x > 0, else slope·x with a slope that may be trained. */
const pRelu: GradientRule = {
  gradient({ inputs: [x, slope] }, [dy], b) {
    if (dy === undefined || x === undefined || slope === undefined) return [];
    const positive = isPositive(b, x);
    return [
      b.wants(x) ? b.op("Where", [positive, dy, mul(b, dy, slope)]) : undefined,
      b.wants(slope)
        ? b.sumTo(b.op("Where", [positive, b.scalar(0, dy), mul(b, dy, x)]), slope)
        : undefined,
    ];
  },
};

export const ACTIVATIONS: GradientTable = {
  Erf: unary((b, dy, x) => {
    const exponent = b.op("Sub", [b.scalar(Math.log(2 / Math.sqrt(Math.PI)), x), mul(b, x, x)]);
    return mul(b, dy, b.op("Exp", [exponent]));
  }),
  Tanh: unary((b, dy, _, y) => throughTanh(b, dy, y)),
  Sigmoid: unary((b, dy, _, y) => throughSigmoid(b, dy, y)),
  Relu: unary((b, dy, _, y) => where(b, isPositive(b, y), dy)),
  LeakyRelu: leakyRelu,
  PRelu: pRelu,
  Elu: elu,
  Softplus: softplus,
  Softsign: unary((b, dy, x) => {
    const d = b.op("Add", [b.op("Abs", [x]), b.scalar(1, x)]);
    return b.op("Div", [dy, mul(b, d, d)]);
  }),
  HardSigmoid: unary((b, dy, _, y, node) => hardSlope(b, y, alphaOf(node, 0.2), dy)),
  HardSwish: hardSwish,
  Mish: mish,
  Swish: unary((b, dy, x, y, node) => throughSwish(b, dy, x, y, alphaOf(node, 1))),
  Gelu: gelu,
  "com.microsoft.Gelu": gelu,
  "com.microsoft.BiasGelu": biased(geluSlope),
  "com.microsoft.FastGelu": biased(tanhGeluSlope),
  "com.microsoft.QuickGelu": unary((b, dy, x, y, node) =>
    throughSwish(b, dy, x, y, alphaOf(node, 1.702)),
  ),
};
