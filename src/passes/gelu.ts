// Writes GELU, however an exporter spelled it, in the one order of operators that runtimes recognise and fuse into a kernel.
import type { Graph, Node, Value } from "../graph/graph.js";
import {
  any,
  emit,
  type Match,
  oneOf,
  op,
  type Pattern,
  rewrite,
  rule,
  scalar,
} from "../graph/match.js";
import type { Model } from "../graph/model.js";
import type { DType } from "../onnx/dtypes.js";
import { float32ToBfloat16, float32ToFloat16 } from "../onnx/float.js";
import { tensorOf } from "../onnx/tensor.js";
import { inferTypes } from "../ops/infer.js";
import { succeed } from "./pass.js";

const x = any("x");
const once = { once: true };

/** The spellings of value / 2. */
function half(value: Pattern, options: { once?: boolean } = {}): Pattern {
  return oneOf(op("Mul", [value, scalar(0.5)], options), op("Div", [value, scalar(2)], options));
}

/** The spellings of x · ½ · gate: any two may be multiplied first. */
function halfGated(gate: Pattern): Pattern {
  return oneOf(
    half(op("Mul", [x, gate], once)),
    op("Mul", [x, half(gate, once)]),
    op("Mul", [half(x, once), gate]),
  );
}

const onePlus = (f: Pattern) => op("Add", [f, scalar(1)], once);
const times = (a: Pattern, b: Pattern) => op("Mul", [a, b], once);

const X_OVER_ROOT_2 = oneOf(
  op("Div", [x, scalar(Math.SQRT2)], once),
  times(x, scalar(Math.SQRT1_2)),
);

const ROOT_2_OVER_PI = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;
const SQUARE = oneOf(times(x, x), op("Pow", [x, scalar(2)], once));
const CUBE = oneOf(op("Pow", [x, scalar(3)], once), times(SQUARE, x));
/** 1 + k·x² */
const ONE_PLUS_SQUARE = onePlus(
  oneOf(times(SQUARE, scalar(CUBIC)), times(times(x, scalar(CUBIC)), x)),
);
/** √(2/π) · (x + k·x³) */
const TANH_ARGUMENT = oneOf(
  times(
    oneOf(op("Add", [x, times(CUBE, scalar(CUBIC))], once), times(x, ONE_PLUS_SQUARE)),
    scalar(ROOT_2_OVER_PI),
  ),
  times(times(x, scalar(ROOT_2_OVER_PI)), ONE_PLUS_SQUARE),
);

const EXACT_GATE = onePlus(op("Erf", [X_OVER_ROOT_2], once));
const TANH_GATE = onePlus(op("Tanh", [TANH_ARGUMENT], once));

type Constant = (value: number) => Value;
type Step = (op: string, a: Value, b?: Value) => Value;
type Write = (step: Step, x: Value, constant: Constant) => Value;

/** (x · (1 + erf(x / √2))) · ½ */
const writeExact: Write = (step, x, constant) => {
  const erf = step("Erf", step("Div", x, constant(Math.SQRT2)));
  const gate = step("Add", erf, constant(1));
  return step("Mul", step("Mul", x, gate), constant(0.5));
};

/** (x · ½) · (1 + tanh(√(2/π) · (x + k·x³))) */
const writeTanh: Write = (step, x, constant) => {
  const cubic = step("Mul", step("Pow", x, constant(3)), constant(CUBIC));
  const tanh = step("Tanh", step("Mul", step("Add", x, cubic), constant(ROOT_2_OVER_PI)));
  const gate = step("Add", tanh, constant(1));
  return step("Mul", step("Mul", x, constant(0.5)), gate);
};

/** The operators in the order in which they are written, to see what stands there already. */
const EXACT_FORM = "Mul(Mul(x,Add(Erf(Div(x,c)),c)),c)";
const TANH_FORM = "Mul(Mul(x,c),Add(Tanh(Mul(Add(x,Mul(Pow(x,c),c)),c)),c))";

/**
 * Rewrites each GELU, exact or by tanh, as the chain that onnxruntime fuses into Gelu (BiasGelu with the bias in front) or FastGelu. The
 * function is the same up to the rounding of single operators (exporters that differ only in where ½ comes in: bit-equal, short of
 * overflow). A GELU whose inner values somebody else reads is left alone. Constants must be initializers.
 */
export function reorderGelu(model: Model): number {
  const constants = new Map<string, Value>();
  let typed = false;
  const replace = (write: Write, form: string) => (m: Match, at: Node) => {
    const x = m.get("x");
    if (spell(at.output(), x) === form) return undefined;
    if (!typed) inferTypes(model);
    typed = true;
    if (!keepsShape(m, x)) return undefined;
    const { dtype, graph } = x;
    const encode = dtype === undefined ? undefined : ENCODERS[dtype];
    if (dtype === undefined || encode === undefined) return undefined;
    const constant = (value: number) => scalarIn(graph.root, constants, dtype, encode, value);
    const step: Step = (op, ...inputs) => {
      const made = emit(at, op, inputs, {}, at.name === "" ? {} : { name: `${at.name}/${op}` });
      made.dtype = dtype;
      made.shape = x.shape;
      return made;
    };
    const result = write(step, x, constant);
    succeed(at.output(), result);
    return result;
  };
  return rewrite(model.graph, [
    rule("gelu", halfGated(EXACT_GATE), replace(writeExact, EXACT_FORM)),
    rule("gelu by tanh", halfGated(TANH_GATE), replace(writeTanh, TANH_FORM)),
  ]);
}

/**
 * Rewrites each GELU, in any spelling, as one operator: `com.microsoft.Gelu`, or `com.microsoft.FastGelu` for the one by tanh. Training keeps its
 * input alone and goes back through it in few passes. Inner values that somebody else reads stop it, as in `reorderGelu`.
 */
export function fuseGelu(model: Model): number {
  inferTypes(model);
  const replace = (op: string) => (m: Match, at: Node) => {
    const x = m.get("x");
    if (x.dtype !== "float32" || !keepsShape(m, x)) return undefined;
    const result = emit(at, op, [x], {}, at.name === "" ? {} : { name: at.name });
    succeed(at.output(), result);
    return result;
  };
  const changes = rewrite(model.graph, [
    rule("gelu", halfGated(EXACT_GATE), replace("com.microsoft.Gelu")),
    rule("gelu by tanh", halfGated(TANH_GATE), replace("com.microsoft.FastGelu")),
  ]);
  if (changes > 0 && !model.opsets.has("com.microsoft")) model.opsets.set("com.microsoft", 1);
  return changes;
}

type Encode = (value: number) => ArrayBufferView;

const ENCODERS: { readonly [D in DType]?: Encode } = {
  float32: (value) => Float32Array.of(value),
  float64: (value) => Float64Array.of(value),
  float16: (value) => float32ToFloat16(Float32Array.of(value)),
  bfloat16: (value) => float32ToBfloat16(Float32Array.of(value)),
};

/** One scalar per value and type. */
function scalarIn(
  graph: Graph,
  made: Map<string, Value>,
  dtype: DType,
  encode: Encode,
  value: number,
): Value {
  const key = `${dtype} ${value}`;
  const existing = made.get(key);
  if (existing !== undefined) return existing;
  const tensor = tensorOf(dtype, [], encode(value));
  const created = graph.addInitializer(`gelu_${value.toPrecision(4)}`, tensor);
  made.set(key, created);
  return created;
}

/** Constants of shape [1], [1, 1], … must not have added dims to what they were combined with. */
function keepsShape(m: Match, x: Value): boolean {
  return m.nodes.every((node) =>
    node.inputs.every((input) => {
      const rank = input?.isConstant === true ? (input.tensor?.dims.length ?? 0) : 0;
      return rank === 0 || (x.rank !== undefined && rank <= x.rank);
    }),
  );
}

/** A value as a formula over x and constants, seven operators deep: enough for either form. */
function spell(value: Value, x: Value, depth = 7): string {
  if (value === x) return "x";
  if (value.isConstant) return "c";
  const node = value.producer;
  if (node === undefined || depth === 0) return "?";
  const inputs = node.inputs.map((i) => (i === undefined ? "" : spell(i, x, depth - 1)));
  return `${node.op}(${inputs.join()})`;
}
