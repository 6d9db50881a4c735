// Raises a model to a newer default operator set, for what the quantized form needs (DynamicQuantizeLinear is opset 11, scales per channel 13).
import { UnsupportedError } from "../errors.js";
import { toAttribute } from "../graph/attribute.js";
import type { Graph, Node } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import type { DType } from "../onnx/dtypes.js";
import { float32ToBfloat16, float32ToFloat16 } from "../onnx/float.js";
import { float32Tensor, int64Tensor, tensorOf, type Tensor } from "../onnx/tensor.js";

/** What a version of the operator set changed for one operator, done to one node in place. Rows stand only where the meaning changed. */
interface Upgrade {
  readonly since: number;
  readonly apply: (node: Node) => void;
}

/** From version 7 on broadcasting is as today. */
const OLDEST = 7;
/** Later versions changed operators that are not in the table yet. */
const NEWEST = 19;

const UPGRADES: Partial<Record<string, readonly Upgrade[]>> = {
  Slice: [{ since: 10, apply: (n) => moveInts(n, ["starts", "ends", "axes"], 1) }],
  TopK: [{ since: 10, apply: (n) => moveInts(n, ["k"], 1) }],
  Clip: [{ since: 11, apply: (n) => moveFloats(n, ["min", "max"], 1) }],
  Pad: [
    {
      since: 11,
      apply(n) {
        moveInts(n, ["pads"], 1);
        moveFloats(n, ["value"], 2);
      },
    },
  ],
  RoiAlign: [
    {
      since: 16,
      apply: (n) => keepDefault(n, "coordinate_transformation_mode", "output_half_pixel"),
    },
  ],
  Resize: [{ since: 13, apply: requireModeOfToday }],
  Scatter: [{ since: 11, apply: (n) => rename(n, "ScatterElements") }],
  Dropout: [{ since: 12, apply: (n) => moveFloats(n, ["ratio"], 1) }],
  Softmax: [{ since: 13, apply: lastAxisOnly }],
  LogSoftmax: [{ since: 13, apply: lastAxisOnly }],
  Hardmax: [{ since: 13, apply: lastAxisOnly }],
  Squeeze: [{ since: 13, apply: (n) => moveInts(n, ["axes"], 1) }],
  Unsqueeze: [{ since: 13, apply: (n) => moveInts(n, ["axes"], 1) }],
  ReduceSum: [{ since: 13, apply: (n) => moveInts(n, ["axes"], 1) }],
  Split: [
    { since: 13, apply: (n) => moveInts(n, ["split"], 1) },
    {
      since: 18,
      apply(n) {
        if (n.input(1) === undefined)
          n.attributes.set("num_outputs", { type: "int", value: n.outputs.length });
      },
    },
  ],
  ...Object.fromEntries(
    ["Max", "Min", "Mean", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"].map((kind) => [
      `Reduce${kind}`,
      [{ since: 18, apply: (n: Node) => moveInts(n, ["axes"], 1) }],
    ]),
  ),
};

/** Operators whose old form has no exact counterpart here. */
const GONE: Partial<Record<string, number>> = {
  Upsample: 10,
  Resize: 11,
  BatchNormalization: 9,
  Scan: 9,
};

/**
 * Raises the default operator set to at least `version` (7 to 19) and returns the number of nodes changed. What each node computes stays the
 * same. Throws UnsupportedError for older models and for nodes whose meaning has no counterpart.
 */
export function raiseOpset(model: Model, version: number): number {
  const from = model.opsets.get("") ?? 1;
  if (from >= version) return 0;
  const advice = `Export the model with opset ${version} or later.`;
  if (from < OLDEST || version > NEWEST)
    throw new UnsupportedError(
      `A model of operator set ${from}`,
      `it would have to be raised to ${version}, and this works from ${OLDEST} to ${NEWEST}`,
      advice,
    );
  let changed = 0;
  for (const node of model.graph.allNodes()) {
    if (node.domain !== "") continue;
    const gone = GONE[node.opType];
    if (gone !== undefined && from < gone && gone <= version)
      throw new UnsupportedError(
        `Operator ${node.op} of operator set ${from}`,
        "its meaning changed",
        advice,
      );
    for (const { since, apply } of UPGRADES[node.opType] ?? []) {
      if (since <= from || since > version) continue;
      apply(node);
      changed++;
    }
  }
  model.opsets.set("", version);
  model.irVersion = Math.max(model.irVersion, irVersionFor(version));
  return changed;
}

/** First IR version that came with an operator set. */
function irVersionFor(version: number): number {
  if (version >= 19) return 9;
  if (version >= 15) return 8;
  if (version >= 12) return 7;
  if (version >= 11) return 6;
  return version >= 10 ? 5 : 4;
}

/** What an attribute that is left out meant in the old version is written down where the new one means something else. */
function keepDefault(node: Node, name: string, value: string): void {
  if (!node.attributes.has(name)) node.attributes.set(name, toAttribute(value));
}

/** From version 13 on there is no `tf_half_pixel_for_nn`. */
function requireModeOfToday(node: Node): void {
  const name = "coordinate_transformation_mode";
  if (node.string(name) !== "tf_half_pixel_for_nn") return;
  throw new UnsupportedError(
    `${node.op} "${node.name}"`,
    `operator set 13 has no ${name} "tf_half_pixel_for_nn"`,
    "Export the model with opset 13 or later.",
  );
}

/** Attributes become int64 inputs from position `at` on; inputs between that stay absent are left out. */
function moveInts(node: Node, names: readonly string[], at: number): void {
  names.forEach((name, i) => {
    const attribute = node.attributes.get(name);
    const list =
      attribute?.type === "int"
        ? [attribute.value]
        : attribute?.type === "ints"
          ? attribute.value
          : undefined;
    if (list !== undefined) moveTo(node, name, at + i, int64Tensor(list));
  });
}

function moveFloats(node: Node, names: readonly string[], at: number): void {
  names.forEach((name, i) => {
    const attribute = node.attributes.get(name);
    if (attribute?.type !== "float") return;
    moveTo(node, name, at + i, scalarLike(node.input(0)?.dtype, attribute.value));
  });
}

/** A number in the type of the tensor beside it; where that is not known, or holds no floats, as float32. */
function scalarLike(dtype: DType | undefined, value: number): Tensor {
  if (dtype === "float64") return tensorOf(dtype, [], Float64Array.of(value));
  if (dtype === "float16") return tensorOf(dtype, [], float32ToFloat16(Float32Array.of(value)));
  if (dtype === "bfloat16") return tensorOf(dtype, [], float32ToBfloat16(Float32Array.of(value)));
  return float32Tensor(value);
}

function moveTo(node: Node, name: string, index: number, tensor: Tensor): void {
  const value = ownerOf(node).root.addInitializer(`${node.name || node.opType}_${name}`, tensor);
  node.attributes.delete(name);
  node.setInput(index, value);
}

/** Up to version 12 these flatten everything from `axis` (default 1) on into one row; from 13 on they work along one axis. */
function lastAxisOnly(node: Node): void {
  const x = node.input(0);
  const rank = x?.rank;
  if (x === undefined || rank === undefined)
    throw new UnsupportedError(
      `${node.op} "${node.name}"`,
      "the rank of its input is not known, so it cannot be raised to operator set 13",
      "Export the model with opset 13 or later.",
    );
  const given = node.int("axis", 1);
  const axis = given < 0 ? given + rank : given;
  node.attributes.set("axis", { type: "int", value: -1 });
  if (axis === rank - 1) return;
  const graph = ownerOf(node);
  node.setInput(
    0,
    graph.addNode({ op: "Flatten", inputs: [x], attributes: { axis }, before: node }).output(),
  );
  const result = node.output();
  const readers = [...result.uses];
  const before = node.next;
  const shape = graph.addNode({ op: "Shape", inputs: [x], before }).output();
  const back = graph.addNode({ op: "Reshape", inputs: [result, shape], before }).output();
  back.dtype = x.dtype;
  back.shape = x.shape;
  for (const use of readers) {
    if (use.kind === "node") use.node.setInput(use.index, back);
    else use.graph.setOutput(use.index, back);
  }
  if (back.isOutput) {
    const { name } = result;
    graph.rename(result, graph.freshName(`${name}_flat`));
    graph.rename(back, name);
  }
}

function rename(node: Node, op: string): void {
  const graph = ownerOf(node);
  const made = graph.addNode({
    op,
    name: node.name,
    inputs: node.inputs,
    outputs: node.outputs.length,
    attributes: new Map(node.attributes),
    before: node,
  });
  node.outputs.forEach((old, i) => {
    if (old === undefined) return;
    const next = made.output(i);
    next.dtype = old.dtype;
    next.shape = old.shape;
    graph.replaceUses(old, next);
  });
  graph.removeNode(node);
}

function ownerOf(node: Node): Graph {
  if (node.graph === undefined) throw new Error("internal: node without a graph");
  return node.graph;
}
