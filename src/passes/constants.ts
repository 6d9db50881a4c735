// Brings every constant into one form, the initializer: Constant nodes, and inputs whose default nobody means to override.
import type { Attribute } from "../graph/attribute.js";
import type { Graph, Node } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import type { Int64 } from "../onnx/proto.js";
import { tensorOf, type Tensor } from "../onnx/tensor.js";
import { graphsOf } from "./pass.js";

/** The first version of the IR in which an initializer need not be an input too. */
const PLAIN_INITIALIZERS = 4;

/**
 * Constant nodes become initializers of the same name (a Constant that is itself a graph's output, or sparse, stays a node). Inputs with a
 * default become plain initializers where they are weights by habit: always below IR version 4, which knows no others (the model is lifted to
 * version 4), and later where the export lists all its initializers as inputs. A single optional input stays what it is.
 */
export function hoistConstants(model: Model): number {
  let changes = hoistDefaults(model);
  for (const graph of graphsOf(model.graph))
    for (const node of graph.nodes()) if (hoistConstant(graph, node)) changes++;
  return changes;
}

function hoistDefaults(model: Model): number {
  const { graph } = model;
  const isOld = model.irVersion < PLAIN_INITIALIZERS;
  const initializers = [...graph.initializers()];
  if (!isOld && !initializers.every((value) => value.isInput)) return 0;
  const defaults = initializers.filter((value) => value.isInput);
  for (const value of defaults) graph.removeInput(value);
  if (!isOld) return defaults.length;
  model.irVersion = PLAIN_INITIALIZERS;
  return defaults.length + 1;
}

function hoistConstant(graph: Graph, node: Node): boolean {
  if (node.op !== "Constant") return false;
  const value = node.outputs[0];
  const tensor = constantTensor(node);
  if (value === undefined || tensor === undefined || value.isOutput) return false;
  const { name } = value;
  graph.rename(value, graph.freshName(name));
  const initializer = graph.addNamedInitializer(name, tensor);
  initializer.docString = value.docString;
  initializer.metadata = value.metadata;
  graph.replaceUses(value, initializer);
  graph.removeNode(node);
  return true;
}

type Reader<T extends Attribute["type"]> = (value: Extract<Attribute, { type: T }>) => Tensor;

const utf8Dims = (strings: readonly Uint8Array[], dims: readonly number[]): Tensor => ({
  dtype: "string",
  dims,
  strings,
  data: {
    byteLength: 0,
    read: () => {
      throw new Error("internal: strings have no raw form");
    },
  },
});

const int64s = (values: readonly Int64[]) => BigInt64Array.from(values, BigInt);

/** How each attribute of Constant holds its tensor; `sparse_value` has no row. */
const READERS: { readonly [name: string]: (attribute: Attribute) => Tensor | undefined } = {
  value: reader("tensor", (a) => a.value),
  value_float: reader("float", (a) => tensorOf("float32", [], Float32Array.of(a.value))),
  value_floats: reader("floats", (a) =>
    tensorOf("float32", [a.value.length], Float32Array.from(a.value)),
  ),
  value_int: reader("int", (a) => tensorOf("int64", [], int64s([a.value]))),
  value_ints: reader("ints", (a) => tensorOf("int64", [a.value.length], int64s(a.value))),
  value_string: reader("string", (a) => utf8Dims([a.value], [])),
  value_strings: reader("strings", (a) => utf8Dims(a.value, [a.value.length])),
};

function reader<T extends Attribute["type"]>(type: T, read: Reader<T>) {
  return (attribute: Attribute) =>
    attribute.type === type ? read(attribute as Extract<Attribute, { type: T }>) : undefined;
}

/** The tensor that a Constant node stands for; undefined for a sparse one, and for a reference to a function's attribute. */
function constantTensor(node: Node): Tensor | undefined {
  for (const [name, attribute] of node.attributes) {
    const read = Object.hasOwn(READERS, name) ? READERS[name] : undefined;
    const tensor = read?.(attribute);
    if (tensor !== undefined) return tensor;
  }
  return undefined;
}
