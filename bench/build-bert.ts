// Writes a BERT of any size with random weights, node for node as PyTorch's current exporter writes it (dynamo, opset 18, NaN guards and all).
import { exportModel } from "../src/graph/export.js";
import { Graph, type Value } from "../src/graph/graph.js";
import type { AttributeInput } from "../src/graph/attribute.js";
import { writeModelFile } from "../src/onnx/files.js";
import { float32Tensor, int64Tensor, lazyTensor, tensorOf } from "../src/onnx/tensor.js";

export interface BertSize {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Width of the feed-forward blocks. */
  readonly inner: number;
  readonly vocabulary: number;
  readonly positions: number;
  readonly classes: number;
}

/** bert-base-uncased with two classes. */
export const BERT_BASE: BertSize = {
  layers: 12,
  width: 768,
  heads: 12,
  inner: 3072,
  vocabulary: 30_522,
  positions: 512,
  classes: 2,
};

/** About 3 GB of floats, more than one protobuf file holds. */
export const BERT_3GB: BertSize = {
  ...BERT_BASE,
  layers: 25,
  width: 1536,
  heads: 16,
  inner: 6144,
};

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

/** Deviation of BERT's weights before training. */
const DEVIATION = 0.02;

/** Writes the model; weights are made when their turn to be written comes, so memory follows the largest. Returns the bytes of all files. */
export function writeBert(path: string, size: BertSize, seed = 1): number {
  const graph = new Bert(size, seed).build();
  const opsets = new Map([["", 18]]);
  const rest = { producerName: "pytorch", producerVersion: "2.13.0+cpu" };
  const model = { graph, opsets, irVersion: 10, functions: [], rest };
  return writeModelFile(path, exportModel(model), { force: true }).bytes;
}

class Bert {
  readonly #graph = new Graph();
  readonly #constants = new Map<string, Value>();
  #seed: number;
  #serial = 0;

  constructor(
    readonly size: BertSize,
    seed: number,
  ) {
    this.#seed = seed * 1_000_003;
  }

  build(): Graph {
    const graph = this.#graph;
    graph.name = "main_graph";
    const { layers, width, classes } = this.size;
    const ids = graph.addInput("input_ids", { dtype: "int64", shape: ["s10", "s11"] });
    const mask = graph.addInput("attention_mask", { dtype: "int64", shape: ["s86", "s11"] });
    const types = graph.addInput("token_type_ids", { dtype: "int64", shape: ["s10", "s11"] });
    const batch = this.#op("Shape", [ids], { end: 1, start: 0 });
    const length = this.#op("Shape", [types], { end: 2, start: 1 });
    let hidden = this.#embeddings(ids, types, length);
    const bias = this.#maskBias(mask, batch, length);
    const heads = this.#op("Concat", [batch, length, this.#ints([-1]), this.#headWidth()], {
      axis: 0,
    });
    const merged = this.#op("Concat", [batch, length, this.#ints([-1])], { axis: 0 });
    for (let i = 0; i < layers; i++)
      hidden = this.#layer(`m.bert.encoder.layer.${i}`, hidden, bias, heads, merged);
    const first = this.#op("Gather", [hidden, this.#int(0)], { axis: 1 });
    const pooled = this.#op("Tanh", [this.#gemm("m.bert.pooler.dense", first, width, width)]);
    const logits = this.#gemm("m.classifier", pooled, width, classes);
    graph.rename(logits, "logits");
    logits.dtype = "float32";
    logits.shape = ["s10", classes];
    graph.addOutput(logits);
    return graph;
  }

  #embeddings(ids: Value, types: Value, length: Value): Value {
    const { vocabulary, positions, width } = this.size;
    const name = "m.bert.embeddings";
    const order = BigInt64Array.from({ length: positions }, (_, i) => BigInt(i));
    const places = this.#graph.addNamedInitializer(
      `${name}.position_ids`,
      tensorOf("int64", [1, positions], order),
    );
    const used = this.#op("Slice", [
      places,
      this.#ints([0]),
      length,
      this.#ints([1]),
      this.#ints([1]),
    ]);
    const rows = (table: string, count: number, indices: Value) =>
      this.#op("Gather", [this.#weight(`${name}.${table}.weight`, [count, width]), indices], {
        axis: 0,
      });
    const sum = this.#op("Add", [
      rows("word_embeddings", vocabulary, ids),
      rows("token_type_embeddings", 2, types),
    ]);
    const all = this.#op("Add", [sum, rows("position_embeddings", positions, used)]);
    return this.#norm(`${name}.LayerNorm`, all);
  }

  /** 0 where a token may be seen, the lowest float where not: [batch, 1, length, length]. */
  #maskBias(mask: Value, batch: Value, length: Value): Value {
    const seen = this.#op("Cast", [mask], { to: 9 });
    const count = (dim: Value) =>
      this.#op("Range", [this.#int(0), this.#op("Squeeze", [dim]), this.#int(1)]);
    const rows = this.#op("Unsqueeze", [count(batch), this.#ints([1, 2])]);
    const row = this.#op("Unsqueeze", [rows, this.#ints([3])]);
    const places = this.#op("Unsqueeze", [count(length), this.#ints([0, 1])]);
    const query = this.#op("Unsqueeze", [places, this.#ints([3])]);
    const key = this.#op("Unsqueeze", [places, this.#ints([2])]);
    const always = this.#op("And", [
      this.#truth(),
      this.#op("GreaterOrEqual", [query, this.#int(0)]),
    ]);
    const shape = this.#op("Shape", [this.#op("Max", [row, key])], { start: 0 });
    const last = this.#ints([-1]);
    const indices = [row, key].map((part) =>
      this.#op("Unsqueeze", [this.#op("Expand", [part, shape]), last]),
    );
    const pairs = this.#op("Concat", indices, { axis: -1 });
    const picked = this.#op("GatherND", [seen, pairs], { batch_dims: 0 });
    const allowed = this.#op("And", [always, picked]);
    return this.#op("Where", [allowed, this.#float(0), this.#float(-3.4028234663852886e38)]);
  }

  #layer(name: string, x: Value, bias: Value, heads: Value, merged: Value): Value {
    const { width, inner } = this.size;
    const split = (part: string) => {
      const flat = this.#linear(`${name}.attention.self.${part}`, x, width, width);
      const view = this.#op("Reshape", [flat, heads], { allowzero: 1 });
      return this.#op("Transpose", [view], { perm: [0, 2, 1, 3] });
    };
    const [query, key, value] = [split("query"), split("key"), split("value")];
    const seen = this.#attention(query, this.#swapped(key), value, bias);
    const back = this.#op("Transpose", [seen], { perm: [0, 2, 1, 3] });
    const flat = this.#op("Reshape", [back, merged], { allowzero: 1 });
    const attended = this.#linear(`${name}.attention.output.dense`, flat, width, width);
    const middle = this.#norm(`${name}.attention.output.LayerNorm`, this.#op("Add", [attended, x]));
    const wide = this.#gelu(this.#linear(`${name}.intermediate.dense`, middle, width, inner));
    const narrow = this.#linear(`${name}.output.dense`, wide, inner, width);
    return this.#norm(`${name}.output.LayerNorm`, this.#op("Add", [narrow, middle]));
  }

  /** The exporter's way to transpose the last two of any number of dims. */
  #swapped(key: Value): Value {
    const shape = this.#op("Shape", [key], { start: 0 });
    const dims = (from: number | bigint, to: number | bigint) =>
      this.#op("Slice", [shape, this.#ints([from]), this.#ints([to])]);
    const last = dims(-1, INT64.max);
    const before = dims(-2, -1);
    const rest = dims(INT64.min, -2);
    const flat = this.#op("Concat", [this.#ints([-1]), before, last], { axis: 0 });
    const matrix = this.#op("Reshape", [key, flat], { allowzero: 0 });
    const turned = this.#op("Transpose", [matrix], { perm: [0, 2, 1] });
    const whole = this.#op("Concat", [rest, last, before], { axis: 0 });
    return this.#op("Reshape", [turned, whole], { allowzero: 0 });
  }

  #attention(query: Value, key: Value, value: Value, bias: Value): Value {
    const { width, heads } = this.size;
    const root = this.#float(Math.sqrt(1 / Math.sqrt(width / heads)));
    const scores = this.#op("MatMul", [
      this.#op("Mul", [query, root]),
      this.#op("Mul", [key, root]),
    ]);
    const shares = this.#op("Softmax", [this.#op("Add", [scores, bias])], { axis: -1 });
    const isNaN = this.#op("IsNaN", [shares]);
    const guarded = this.#op("Where", [isNaN, this.#float(0), shares]);
    return this.#op("MatMul", [guarded, value]);
  }

  #gelu(x: Value): Value {
    const erf = this.#op("Erf", [this.#op("Div", [x, this.#float(Math.SQRT2)])]);
    const half = this.#op("Mul", [this.#float(0.5), this.#op("Add", [erf, this.#float(1)])]);
    return this.#op("Mul", [x, half]);
  }

  #norm(name: string, x: Value): Value {
    const { width } = this.size;
    const scale = this.#weight(`${name}.weight`, [width], 1);
    const shift = this.#weight(`${name}.bias`, [width]);
    const attributes = { stash_type: 1, epsilon: real(1e-12), axis: -1 };
    return this.#op("LayerNormalization", [x, scale, shift], attributes);
  }

  /** Weights of products are transposed by the exporter, which takes their names from them. */
  #linear(name: string, x: Value, from: number, to: number): Value {
    const weight = this.#weight(`val_w${++this.#serial}`, [from, to]);
    return this.#op("Add", [this.#op("MatMul", [x, weight]), this.#weight(`${name}.bias`, [to])]);
  }

  #gemm(name: string, x: Value, from: number, to: number): Value {
    const inputs = [
      x,
      this.#weight(`${name}.weight`, [to, from]),
      this.#weight(`${name}.bias`, [to]),
    ];
    return this.#op("Gemm", inputs, { beta: real(1), transB: 1, alpha: real(1), transA: 0 });
  }

  #op(
    op: string,
    inputs: readonly Value[],
    attributes: Readonly<Record<string, AttributeInput>> = {},
  ): Value {
    const name = `node_${op}_${++this.#serial}`;
    const outputs = [`val_${this.#serial}`];
    return this.#graph.addNode({ op, name, inputs, outputs, attributes }).output();
  }

  #weight(name: string, dims: readonly number[], mean = 0): Value {
    const seed = (this.#seed += 7919);
    const count = dims.reduce((product, dim) => product * dim, 1);
    const tensor = lazyTensor("float32", dims, () => noise(count, seed, mean));
    return this.#graph.addNamedInitializer(name, tensor);
  }

  #constant(key: string, make: () => Value): Value {
    const known = this.#constants.get(key) ?? make();
    this.#constants.set(key, known);
    return known;
  }

  #ints(values: readonly (number | bigint)[]): Value {
    const name = `ints_${values.join("_")}`;
    const tensor = tensorOf("int64", [values.length], BigInt64Array.from(values, BigInt));
    return this.#constant(name, () => this.#graph.addInitializer(name, tensor));
  }

  #int(value: number): Value {
    const name = `int_${value}`;
    return this.#constant(name, () => this.#graph.addInitializer(name, int64Tensor(value)));
  }

  #float(value: number): Value {
    const name = `float_${value}`;
    return this.#constant(name, () => this.#graph.addInitializer(name, float32Tensor(value)));
  }

  #truth(): Value {
    const tensor = tensorOf("bool", [], Uint8Array.of(1));
    return this.#constant("true", () => this.#graph.addInitializer("true", tensor));
  }

  #headWidth(): Value {
    return this.#ints([this.size.width / this.size.heads]);
  }
}

function real(value: number): AttributeInput {
  return { type: "float", value };
}

/** Normal numbers as bytes: sums of four 16-bit parts of a fast generator, for hundreds of millions of them. */
function noise(count: number, seed: number, mean: number): Uint8Array {
  const values = new Float32Array(count);
  // A sum of four uniform parts 0…65,535 has this deviation.
  const scale = DEVIATION / (65_536 / Math.sqrt(3));
  let state = seed | 1;
  const draw = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
  for (let i = 0; i < count; i++) {
    const a = draw();
    const b = draw();
    const sum = (a & 0xffff) + (a >>> 16) + (b & 0xffff) + (b >>> 16);
    values[i] = mean + scale * (sum - 131_070);
  }
  return new Uint8Array(values.buffer);
}
