// Writes the float parts of a model in FP16: weights, activations, scales; inputs and outputs of the model keep their types. What needs more range or
// more digits stays in FP32, with casts around it.
import type { Graph, Node, Value } from "../graph/graph.js";
import { emit } from "../graph/match.js";
import type { Model } from "../graph/model.js";
import { DTYPES, type DType } from "../onnx/dtypes.js";
import { float32ToFloat16 } from "../onnx/float.js";
import { lazyTensor } from "../onnx/tensor.js";
import { floatsOf } from "../onnx/values.js";

/** Operators that compute in the type of their inputs; any other keeps FP32. */
const GENERIC: ReadonlySet<string> = new Set(
  (
    "Abs Add Cast Clip Concat Conv DequantizeLinear Div Dropout Elu Erf Exp Expand Flatten Gather GatherElements GatherND Gelu Gemm GlobalAveragePool " +
    "HardSigmoid Identity LayerNormalization LeakyRelu MatMul Max Mean Min Mul Neg Pad QuantizeLinear Relu Reshape ScatterND Sigmoid Slice Softmax " +
    "Split Squeeze Sub Sum Tanh Tile Transpose Unsqueeze Where Equal Greater GreaterOrEqual Less LessOrEqual IsNaN"
  ).split(" "),
);

/** Where the range of FP16 or its digits are not enough: powers, means and roots of normalizations. */
const STATISTICS: ReadonlySet<string> = new Set([
  "Pow",
  "ReduceMean",
  "ReduceSum",
  "ReduceSumSquare",
  "ReduceL2",
  "Sqrt",
  "Reciprocal",
]);
/** What stands between them and belongs to them: its result is one of the statistics too. */
const PASSING_ON: ReadonlySet<string> = new Set(["Add", "Sub"]);
/** What uses them: computed in FP32, its result is a common activation again. */
const ENDING: ReadonlySet<string> = new Set(["Div", "Mul"]);

/** Angles and places: their digits count. */
const EXACT: ReadonlySet<string> = new Set([
  "Cos",
  "Sin",
  "Log",
  "Floor",
  "Ceil",
  "Round",
  "Mod",
  "Sign",
]);
/** What is computed before these is an activation, not an angle or a place. */
const ACTIVATIONS: ReadonlySet<string> = new Set([
  "DequantizeLinear",
  "Gemm",
  "Conv",
  "LayerNormalization",
  "Softmax",
]);

/** Half of what FP16 holds, so that sums of two (a mask's fill and a score, two masks) stay finite; whatever is far below any score is as good as any other fill. */
const LARGEST = 32752;
/** The smallest above 0: divisors and scales must not become 0. */
const SMALLEST = 2 ** -24;

/**
 * Rewrites the model in place. Types must have been inferred. Needs operator set 19 where the model has QuantizeLinear. Returns the number of
 * nodes that compute in FP16 now.
 */
export function toHalf(model: Model): number {
  const half = new Half(model, keptIn32(model));
  half.graph(model.graph);
  return half.changes;
}

class Half {
  changes = 0;
  readonly #halves = new Set<Value>();
  readonly #constants = new Map<Value, Value>();
  readonly #casts = new Map<Graph, Map<Value, Value>>();
  readonly #model: Model;
  readonly #kept: ReadonlySet<Node>;

  constructor(model: Model, kept: ReadonlySet<Node>) {
    this.#model = model;
    this.#kept = kept;
  }

  graph(graph: Graph): void {
    for (const node of graph.nodes()) this.#node(node);
    for (const value of graph.outputs) {
      if (!this.#halves.has(value)) continue;
      const uses = [...value.uses].filter((use) => use.kind === "output" && use.graph === graph);
      const cast = graph.addNode({
        op: "Cast",
        inputs: [value],
        attributes: { to: DTYPES.float32.code },
      });
      typed(cast.output(), "float32", value);
      graph.replaceUses(value, cast.output(), uses);
    }
  }

  #node(node: Node): void {
    for (const sub of node.subgraphs()) this.graph(sub);
    const generic = node.domain === "" && GENERIC.has(node.opType) && !this.#kept.has(node);
    node.inputs.forEach((input, i) => {
      if (input === undefined) return;
      if (this.#halves.has(input) && !generic) node.setInput(i, this.#cast(node, input, "float32"));
      else if (generic && node.op !== "Cast" && input.dtype === "float32")
        node.setInput(i, this.#asHalf(node, input));
    });
    if (!generic) return;
    const to = node.attributes.get("to");
    if (to?.type === "int" && Number(to.value) === DTYPES.float32.code)
      node.attributes.set("to", { type: "int", value: DTYPES.float16.code });
    let changed = false;
    node.outputs.forEach((output, i) => {
      // The statistics of a LayerNormalization are FP32 in any case.
      if (output?.dtype !== "float32" || (node.op === "LayerNormalization" && i > 0)) return;
      output.dtype = "float16";
      this.#halves.add(output);
      changed = true;
    });
    if (changed) this.changes++;
  }

  #asHalf(at: Node, value: Value): Value {
    if (this.#halves.has(value)) return value;
    const { tensor } = value;
    if (!value.isConstant || tensor === undefined) return this.#cast(at, value, "float16");
    let made = this.#constants.get(value);
    if (made === undefined) {
      made = this.#model.graph.addInitializer(
        `${value.name}_fp16`,
        lazyTensor("float16", tensor.dims, () => {
          const codes = float32ToFloat16(floatsOf(tensor).map(within));
          return new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength);
        }),
      );
      this.#constants.set(value, made);
    }
    return made;
  }

  #cast(at: Node, value: Value, to: "float16" | "float32"): Value {
    const { graph } = at;
    if (graph === undefined) throw new Error("internal: node without a graph");
    const known = this.#casts.get(graph) ?? new Map<Value, Value>();
    this.#casts.set(graph, known);
    let cast = known.get(value);
    if (cast === undefined) {
      cast = typed(emit(at, "Cast", [value], { to: DTYPES[to].code }), to, value);
      known.set(value, cast);
    }
    return cast;
  }
}

function typed(value: Value, dtype: DType, from: Value): Value {
  value.dtype = dtype;
  value.shape = from.shape;
  return value;
}

/** Infinities mean something (a mask), other values must stay within what FP16 holds. */
function within(value: number): number {
  const size = Math.abs(value);
  if (size > LARGEST && size !== Infinity) return Math.sign(value) * LARGEST;
  return size > 0 && size < SMALLEST ? Math.sign(value) * SMALLEST : value;
}

function keptIn32(model: Model): Set<Node> {
  const kept = new Set<Node>();
  const passing = new Set<Value>();
  const places: Value[] = [];
  for (const node of model.graph.allNodes()) {
    const reads = node.inputs.some((input) => input !== undefined && passing.has(input));
    const statistic = STATISTICS.has(node.op);
    if (statistic || (reads && (PASSING_ON.has(node.op) || ENDING.has(node.op)))) kept.add(node);
    if (statistic || (reads && PASSING_ON.has(node.op))) passing.add(node.output());
    if (EXACT.has(node.op) || isCastToInteger(node))
      for (const input of node.inputs) if (input?.dtype === "float32") places.push(input);
  }
  for (let value = places.pop(); value !== undefined; value = places.pop()) {
    const node = value.producer;
    if (node === undefined || kept.has(node) || ACTIVATIONS.has(node.op)) continue;
    kept.add(node);
    for (const input of node.inputs) if (input?.dtype === "float32") places.push(input);
  }
  return kept;
}

function isCastToInteger(node: Node): boolean {
  if (node.op !== "Cast") return false;
  const { dtype } = node.output();
  return dtype !== undefined && (DTYPES[dtype].kind === "int" || DTYPES[dtype].kind === "uint");
}
