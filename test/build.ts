// Small graphs for tests, built in a few lines.
import type { AttributeInput } from "../src/graph/attribute.js";
import { buildModel as writeModel, GraphBuilder } from "../src/graph/builder.js";
import type { Dim, Graph, Value } from "../src/graph/graph.js";
import { exportModel } from "../src/graph/export.js";
import type { Model } from "../src/graph/model.js";
import type { DType } from "../src/onnx/dtypes.js";
import { tensorOf, type Tensor } from "../src/onnx/tensor.js";
import { encodeModel } from "../src/onnx/writer.js";
import { inferTypes } from "../src/ops/infer.js";

export interface Builder {
  readonly graph: Graph;
  input(name: string, shape: readonly Dim[], dtype?: DType): Value;
  /** A float32 initializer; dims default to [] for a number, [length] for a list. */
  float(name: string, values: number | readonly number[], dims?: readonly number[]): Value;
  /** An int64 initializer. */
  int(name: string, values: number | readonly number[], dims?: readonly number[]): Value;
  /** A node "Domain.Op" or "Op" and its first output, which is called `name`. */
  op(
    name: string,
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes?: Readonly<Record<string, AttributeInput>>,
  ): Value;
  output(...values: readonly Value[]): void;
}

export function buildModel(
  build: (b: Builder) => void,
  { opset = 18, irVersion = 8 }: { opset?: number; irVersion?: number } = {},
): Model {
  const domains = { "com.microsoft": 1 };
  return writeModel({ opset, irVersion, domains }, ({ graph }) => build(builder(graph)));
}

export function builder(graph: Graph): Builder {
  const write = new GraphBuilder(graph);
  const listOf = (values: number | readonly number[]) =>
    typeof values === "number" ? [values] : values;
  const dimsOf = (values: number | readonly number[]) =>
    typeof values === "number" ? [] : [values.length];
  return {
    graph,
    input: (name, shape, dtype) => write.input(name, shape, dtype),
    float: (name, values, dims = dimsOf(values)) =>
      graph.addInitializer(name, tensorOf("float32", dims, Float32Array.from(listOf(values)))),
    int: (name, values, dims = dimsOf(values)) =>
      graph.addInitializer(
        name,
        tensorOf("int64", dims, BigInt64Array.from(listOf(values), BigInt)),
      ),
    op(name, op, inputs, attributes = {}) {
      return write.add(op, inputs, attributes, { outputs: [name] });
    },
    output(...values) {
      write.output(...values);
    },
  };
}

/** The model as the bytes of a file, the types of its outputs inferred. */
export function bytesOf(model: Model): Uint8Array {
  inferTypes(model);
  return encodeModel(exportModel(model));
}

/** Numbers that look random and are the same each time, about -1 to 1. */
export function noise(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  });
}

export function floats(dims: readonly number[], seed = 1): Tensor {
  return tensorOf(
    "float32",
    dims,
    noise(
      dims.reduce((n, d) => n * d, 1),
      seed,
    ),
  );
}
