// Writes a layer normalization that an exporter spelled out as the one operator that runtimes have for it.
import type { Node, Value } from "../graph/graph.js";
import {
  any,
  constant,
  emit,
  type Match,
  oneOf,
  op,
  type Pattern,
  rewrite,
  rule,
  scalar,
} from "../graph/match.js";
import { opset, type Model } from "../graph/model.js";
import { numbersOf, scalarOf } from "../onnx/values.js";
import { inferTypes } from "../ops/infer.js";
import { succeed } from "./pass.js";

const x = any("x");

/** Axes as attribute, or as input. */
const mean = (value: Pattern) =>
  oneOf(op("ReduceMean", [value]), op("ReduceMean", [value, constant()]));
const square = (value: Pattern) => oneOf(op("Pow", [value, scalar(2)]), op("Mul", [value, value]));
const deviation = (value: Pattern) =>
  op("Sqrt", [op("Add", [mean(square(value)), constant("epsilon")])]);
const over = (value: Pattern, divisor: Pattern) =>
  oneOf(
    op("Div", [value, divisor]),
    op("Mul", [value, oneOf(op("Div", [scalar(1), divisor]), op("Reciprocal", [divisor]))]),
  );

const CENTERED = op("Sub", [x, mean(x)]);
const scaled = (value: Pattern) => op("Mul", [over(value, deviation(value)), any("scale")]);

/**
 * Writes LayerNormalization for ((x - mean) / √(var + ε)) · scale + bias over the last axis, and onnxruntime's SimplifiedLayerNormalization for the one
 * without mean and bias. Needs operator set 17; below, and for other element types than float32, nothing is done.
 */
export function fuseLayerNorm(model: Model): number {
  if (opset(model) < 17) return 0;
  inferTypes(model);
  const replace = (type: string) => (m: Match, at: Node) => {
    const value = m.get("x");
    const [scale, bias] = [m.get("scale"), m.has("bias") ? m.get("bias") : undefined];
    const epsilon = m.get("epsilon").tensor;
    if (value.dtype !== "float32" || epsilon === undefined) return undefined;
    if (!isOfLastAxis(value, scale) || (bias !== undefined && !isOfLastAxis(value, bias)))
      return undefined;
    const means = m.nodes.filter((node) => node.op === "ReduceMean");
    const small = scalarOf(epsilon);
    if (small === undefined || !means.every((node) => isOverLastAxis(node, value.rank)))
      return undefined;
    const inputs = bias === undefined ? [value, scale] : [value, scale, bias];
    const attributes = { axis: -1, epsilon: { type: "float", value: small } } as const;
    const result = emit(at, type, inputs, attributes, at.name === "" ? {} : { name: at.name });
    succeed(at.output(), result);
    return result;
  };
  return rewrite(model.graph, [
    rule(
      "layer normalization",
      op("Add", [scaled(CENTERED), any("bias")]),
      replace("LayerNormalization"),
    ),
    rule("root mean square", scaled(x), replace("SimplifiedLayerNormalization")),
  ]);
}

/** One factor for each element of the last axis. */
function isOfLastAxis(value: Value, { shape }: Value): boolean {
  const size = value.shape?.at(-1);
  return typeof size === "number" && shape?.length === 1 && shape[0] === size;
}

function isOverLastAxis(node: Node, rank: number | undefined): boolean {
  const tensor = node.input(1)?.tensor;
  const axes = node.ints("axes") ?? (tensor === undefined ? [] : numbersOf(tensor));
  const [axis] = axes;
  const last = axis === -1 || (rank !== undefined && axis === rank - 1);
  return axes.length === 1 && last && node.int("keepdims", 1) === 1;
}
