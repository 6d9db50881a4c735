// What OpenVINO's compiler needs to run a written graph in integers, as a walk over the graph: what breaks it, one line each.
import type { Node, Value } from "../src/graph/graph.js";
import type { Model } from "../src/graph/model.js";
import { numbersOf } from "../src/onnx/values.js";

/** Types must have been inferred. */
export function openvinoViolations(model: Model): string[] {
  const broken: string[] = [];
  const say = (node: Node, what: string): void =>
    void broken.push(`${node.op} "${node.name || node.output().name}" ${what}`);
  const constants = constantsOf(model);
  for (const node of model.graph.allNodes()) {
    if (node.op === "IsNaN") say(node, "guards against NaN, which takes time");
    if (/^(DynamicQuantizeLinear|MatMulInteger)$/.test(node.op)) say(node, "runs in float");
    if (node.op === "MatMul") for (const what of productOf(node)) say(node, what);
    if (node.op === "Cast" && constants.has(node.output()) && node.input(0)?.dtype === "int8")
      say(node, "ends a constant INT8 path with a Convert");
  }
  return broken;
}

function productOf(node: Node): string[] {
  const quantized = node.inputs.filter((input) => dequantizerOf(input) !== undefined);
  if (quantized.length === 0) return [];
  if (quantized.length === 1) return ["has one operand quantized, the other not"];
  const weighted = dequantizerOf(node.input(1))?.input(0)?.isConstant === true;
  if (weighted) return [];
  const free = node.inputs.filter((input) => zeroPointOf(input) !== 0);
  return free.length === 0 ? [] : ["is a product of activations with a zero point"];
}

function dequantizerOf(value: Value | undefined): Node | undefined {
  const node = value?.producer;
  if (node?.op === "Transpose") return dequantizerOf(node.input(0));
  return node?.op === "DequantizeLinear" ? node : undefined;
}

function zeroPointOf(value: Value | undefined): number | undefined {
  const tensor = dequantizerOf(value)?.input(2)?.tensor;
  return tensor && numbersOf(tensor)[0];
}

/** Values that no input of the model reaches. */
function constantsOf({ graph }: Model): ReadonlySet<Value> {
  const constants = new Set<Value>();
  for (const node of graph.allNodes())
    if (node.inputs.every((v) => v === undefined || v.isConstant || constants.has(v)))
      for (const output of node.outputs) if (output !== undefined) constants.add(output);
  return constants;
}
