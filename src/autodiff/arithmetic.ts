// Gradients of arithmetic: sums, products, quotients, powers, extremes, with broadcasting undone.
import type { Node, Value } from "../graph/graph.js";
import type { Backward } from "./backward.js";
import { noGradient } from "./no-gradient.js";
import type { GradientRule, GradientTable } from "./rule.js";

/** A row of an operator with one input that has a gradient: dx from dy, x and y. */
export const unary = (
  f: (b: Backward, dy: Value, x: Value, y: Value, node: Node) => Value,
): GradientRule => ({
  gradient(node, [dy], b) {
    const x = node.input(0);
    return dy === undefined || !b.wants(x) ? [] : [f(b, dy, x, node.output(), node)];
  },
});

/** A row of an operator with two inputs; both gradients before broadcasting is undone. */
const binary = (
  left: (b: Backward, dz: Value, x: Value, y: Value, z: Value) => Value,
  right: (b: Backward, dz: Value, x: Value, y: Value, z: Value) => Value,
): GradientRule => ({
  gradient(node, [dz], b) {
    const [x, y] = node.inputs;
    if (dz === undefined || x === undefined || y === undefined) return [];
    const z = node.output();
    return [
      b.wants(x) ? b.sumTo(left(b, dz, x, y, z), x) : undefined,
      b.wants(y) ? b.sumTo(right(b, dz, x, y, z), y) : undefined,
    ];
  },
});

/** Constant almost everywhere. */
const zero: GradientRule = { gradient: () => [] };

const identity = unary((_, dy) => dy);

const sum: GradientRule = {
  gradient: (node, [dy], b) =>
    node.inputs.map((x) => (dy !== undefined && b.wants(x) ? b.sumTo(dy, x) : undefined)),
};

const mean: GradientRule = {
  gradient(node, [dy], b) {
    if (dy === undefined) return [];
    const part = b.op("Mul", [dy, b.scalar(1 / node.inputs.length, dy)]);
    return node.inputs.map((x) => (b.wants(x) ? b.sumTo(part, x) : undefined));
  },
};

const minus = (b: Backward, x: Value): Value => b.op("Neg", [x]);
const mul = (b: Backward, x: Value, y: Value): Value => b.op("Mul", [x, y]);

/** d(x^p) = p·x^(p-1) dx + x^p·ln(x) dp, the second only where x > 0. */
const pow: GradientRule = binary(
  (b, dz, x, p, z) => {
    const exponent = b.numberIn(p);
    if (exponent === 1) return dz;
    if (exponent === 2) return mul(b, mul(b, dz, x), b.scalar(2, x));
    if (exponent === 0.5) return b.op("Div", [mul(b, dz, b.scalar(0.5, x)), z]);
    if (exponent !== undefined) {
      const lower = b.op("Pow", [x, b.scalar(exponent - 1, x)]);
      return mul(b, mul(b, dz, lower), b.scalar(exponent, x));
    }
    const like = p.dtype === x.dtype ? p : b.cast(p, x);
    const lower = b.op("Pow", [x, b.op("Sub", [like, b.scalar(1, x)])]);
    return mul(b, mul(b, dz, lower), like);
  },
  (b, dz, x, p, z) => {
    const none = b.scalar(0, x);
    const log = b.op("Where", [b.op("Greater", [x, none]), b.op("Log", [x]), none]);
    const gradient = mul(b, mul(b, dz, z), log);
    return p.dtype === x.dtype ? gradient : b.cast(gradient, p);
  },
);

/** Where several inputs are the extreme, they share the gradient evenly. */
const extreme: GradientRule = {
  gradient(node, [dy], b) {
    if (dy === undefined) return [];
    const y = node.output();
    const hits = node.inputs.map((x) => x && b.cast(b.op("Equal", [x, y]), dy));
    const count = b.add(hits.filter((hit) => hit !== undefined));
    const share = count === undefined || hits.length < 2 ? dy : b.op("Div", [dy, count]);
    return node.inputs.map((x, i) => {
      const hit = hits[i];
      return b.wants(x) && hit !== undefined ? b.sumTo(mul(b, share, hit), x) : undefined;
    });
  },
};

/** Passes where the value is inside, bounds included; the bounds get what they cut off. */
const clip: GradientRule = {
  gradient(node, [dy], b) {
    const [x, low, high] = node.inputs;
    if (dy === undefined || x === undefined) return [];
    const none = b.scalar(0, dy);
    const cut = (bound: Value | undefined, test: "Less" | "Greater") =>
      b.wants(bound)
        ? b.sumTo(b.op("Where", [b.op(test, [x, bound]), dy, none]), bound)
        : undefined;
    const inside = b.wants(x)
      ? b.op("Where", [b.op("Equal", [x, node.output()]), dy, none])
      : undefined;
    return [inside, cut(low, "Less"), cut(high, "Greater")];
  },
};

const where: GradientRule = {
  gradient({ inputs: [condition, x, y] }, [dz], b) {
    if (dz === undefined || condition === undefined) return [];
    const none = b.scalar(0, dz);
    return [
      undefined,
      b.wants(x) ? b.sumTo(b.op("Where", [condition, dz, none]), x) : undefined,
      b.wants(y) ? b.sumTo(b.op("Where", [condition, none, dz]), y) : undefined,
    ];
  },
};

/** In inference the identity; in training mode what the mask kept, scaled up. */
const dropout: GradientRule = {
  gradient(node, [dy], b) {
    const [x, ratio, training] = node.inputs;
    if (dy === undefined || !b.wants(x)) return [];
    if (training === undefined || b.numbersOf(training)?.[0] === 0) return [dy];
    const mask = node.outputs[1];
    if (mask === undefined)
      throw noGradient(node, "it drops at random and does not give out its mask");
    const rate = ratio === undefined ? b.scalar(0.5, dy) : b.cast(ratio, dy);
    const kept = b.op("Where", [mask, dy, b.scalar(0, dy)]);
    return [b.op("Div", [kept, b.op("Sub", [b.scalar(1, dy), rate])])];
  },
};

export const ARITHMETIC: GradientTable = {
  Add: sum,
  Sum: sum,
  Mean: mean,
  Sub: binary(
    (_, dz) => dz,
    (b, dz) => minus(b, dz),
  ),
  Mul: binary(
    (b, dz, _x, y) => mul(b, dz, y),
    (b, dz, x) => mul(b, dz, x),
  ),
  Div: binary(
    (b, dz, _x, y) => b.op("Div", [dz, y]),
    (b, dz, _x, y, z) => minus(b, b.op("Div", [mul(b, dz, z), y])),
  ),
  Pow: pow,
  Min: extreme,
  Max: extreme,
  Clip: clip,
  Where: where,
  Dropout: dropout,
  Identity: identity,
  Cast: unary((b, dy, x) => b.cast(dy, x)),
  CastLike: unary((b, dy, x) => b.cast(dy, x)),
  Neg: unary(minus),
  Abs: unary((b, dy, x) => mul(b, dy, b.op("Sign", [x]))),
  Sqrt: unary((b, dy, _, y) => b.op("Div", [mul(b, dy, b.scalar(0.5, y)), y])),
  Reciprocal: unary((b, dy, _, y) => minus(b, mul(b, dy, mul(b, y, y)))),
  Exp: unary((b, dy, _, y) => mul(b, dy, y)),
  Log: unary((b, dy, x) => b.op("Div", [dy, x])),
  Sin: unary((b, dy, x) => mul(b, dy, b.op("Cos", [x]))),
  Cos: unary((b, dy, x) => minus(b, mul(b, dy, b.op("Sin", [x])))),
  Floor: zero,
  Ceil: zero,
  Round: zero,
  Sign: zero,
};
