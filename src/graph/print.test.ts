import { expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import type { DType } from "../onnx/dtypes.js";
import { tensorOf } from "../onnx/tensor.js";
import type { Attribute } from "./attribute.js";
import { Graph } from "./graph.js";
import { print } from "./print.js";

test("a graph reads like a program", () => {
  const model = buildModel((b) => {
    b.graph.name = "bert";
    const ids = b.input("input_ids", ["batch", "seq"], "int64");
    const mask = b.input("mask", ["batch", null], "int64");
    const emb = b.op(
      "emb",
      "Gather",
      [b.float("word_embeddings", Array(32).fill(0), [8, 4]), ids],
      {
        axis: 0,
      },
    );
    const norm = b.op("h", "LayerNormalization", [emb, b.float("w", Array(9).fill(1))], {
      epsilon: { type: "float", value: Math.fround(1e-12) },
    });
    norm.dtype = "float32";
    norm.shape = ["batch", "seq", 64];
    const scaled = b.op("scaled", "Div", [norm, b.float("root", Math.SQRT2)]);
    const flat = b.op("flat", "Reshape", [scaled, b.int("dims", [0, -1])]);
    const split = b.graph.addNode({
      op: "Split",
      inputs: [flat, undefined, mask],
      outputs: ["l", "", "r"],
    });
    b.output(b.op("logits", "com.microsoft.Gelu", [split.output(2)]), norm);
  });
  expect(print(model)).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    graph bert(input_ids: int64[batch, seq], mask: int64[batch, ?])
      %emb = Gather(word_embeddings: float32[8, 4], input_ids) axis=0
      %h: float32[batch, seq, 64] = LayerNormalization(%emb, w: float32[9]) epsilon=1e-12
      %scaled = Div(%h, 1.4142135)
      %flat = Reshape(%scaled, [0, -1])
      %l, _, %r = Split(%flat, _, mask)
      %logits = com.microsoft.Gelu(%r)
      return %logits, %h"
  `);
});

test("constants show their values while those are few", () => {
  const values = (dtype: DType, dims: readonly number[], bytes: ArrayBufferView) =>
    tensorOf(dtype, dims, bytes);
  const utf8 = new TextEncoder();
  const text = { byteLength: 0, read: () => new Uint8Array() };
  const tensors = [
    values("float32", [], Float32Array.of(0.1)),
    values("float32", [6], Float32Array.of(1, -0, 1e30, Infinity, -Infinity, Number.NaN)),
    values("float32", [1, 2, 1], Float32Array.of(16777216, 1 / 3)),
    values("float64", [], Float64Array.of(0.1)),
    values("float16", [2], Uint16Array.of(0x3c00, 0x3555)),
    values("int64", [2], BigInt64Array.of(0n, -(2n ** 63n))),
    values("int64", [], BigInt64Array.of(7n)),
    values("int64", [0], new BigInt64Array(0)),
    values("uint64", [], BigUint64Array.of(2n ** 64n - 1n)),
    values("int32", [1], Int32Array.of(-1)),
    values("uint8", [], Uint8Array.of(255)),
    values("int4", [3], Uint8Array.of(0xf1, 0x07)),
    values("bool", [2], Uint8Array.of(1, 0)),
    {
      dtype: "string" as const,
      dims: [2],
      data: text,
      strings: [utf8.encode('a "b"'), Uint8Array.of(255)],
    },
    values("float32", [9], new Float32Array(9)),
    values("float32", [0, 4], new Float32Array(0)),
    values("complex64", [1], new Float32Array(2)),
  ];
  const { graph } = buildModel((b) => {
    for (const [i, tensor] of tensors.entries())
      b.op(`v${i}`, "Neg", [b.graph.addInitializer(`c${i}`, tensor)]);
    b.output(b.int("result", 3));
  });
  expect(print(graph)).toMatchInlineSnapshot(`
    "graph()
      %v0 = Neg(0.1)
      %v1 = Neg([1.0, -0.0, 1e+30, inf, -inf, nan])
      %v2 = Neg([[[16777216.0], [0.33333334]]])
      %v3 = Neg(float64 0.1)
      %v4 = Neg(float16 [1.0, 0.33325195])
      %v5 = Neg([0, -9223372036854775808])
      %v6 = Neg(7)
      %v7 = Neg([])
      %v8 = Neg(uint64 18446744073709551615)
      %v9 = Neg(int32 [-1])
      %v10 = Neg(uint8 255)
      %v11 = Neg(int4 [1, -1, 7])
      %v12 = Neg([true, false])
      %v13 = Neg(["a \\"b\\"", <ff>])
      %v14 = Neg(c14: float32[9])
      %v15 = Neg(c15: float32[0, 4])
      %v16 = Neg(c16: complex64[1])
      return result: 3"
  `);
});

test("attributes as they are written, long lists cut, graphs indented", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const { graph } = buildModel((b) => {
    const x = b.input("x", [2]);
    const body = (name: string, op: string) => {
      const inner = new Graph(b.graph);
      inner.name = name;
      inner.addInput(`${name}_in`, { dtype: "int64", shape: [] });
      inner.addInitializer(`${name}_spare`, tensorOf("float32", [9], new Float32Array(9)));
      inner.addOutput(inner.addNode({ op, inputs: [x], outputs: [`${name}_out`] }).output());
      return inner;
    };
    const attributes = new Map<string, Attribute>([
      ["i", { type: "int", value: -(2n ** 63n) }],
      ["f", { type: "float", value: 2 }],
      ["s", { type: "string", value: bytes("line\n") }],
      ["raw", { type: "string", value: Uint8Array.from({ length: 20 }, () => 0xfe) }],
      ["t", { type: "tensor", value: tensorOf("float32", [2], Float32Array.of(1, 2)) }],
      ["is", { type: "ints", value: Array.from({ length: 40 }, (_, i) => i) }],
      ["fs", { type: "floats", value: [] }],
      ["ss", { type: "strings", value: [bytes("a"), bytes("b")] }],
      ["ref", { type: "reference", value: "outer", proto: {} }],
      ["kept", { type: "opaque", proto: { type: 11 } }],
      ["g", { type: "graph", value: body("", "Abs") }],
      ["gs", { type: "graphs", value: [body("first", "Neg"), body("second", "Exp")] }],
    ]);
    b.graph.addNode({ op: "Odd", domain: "here", inputs: [x], outputs: ["y"], attributes });
  });
  expect(print(graph)).toMatchInlineSnapshot(`
    "graph(x: float32[2])
      %y = here.Odd(x) i=-9223372036854775808 f=2.0 s="line\\n" raw=<fe fe fe fe fe fe fe fe fe fe fe fe fe fe fe fe … 20 bytes> t=[1.0, 2.0] is=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, … 40 in all] fs=[] ss=["a", "b"] ref=@outer kept=<attribute of type 11>
        g = graph(_in: int64[])
          unused _spare: float32[9]
          %_out = Abs(x)
          return %_out
        gs[0] = first(first_in: int64[])
          unused first_spare: float32[9]
          %first_out = Neg(x)
          return %first_out
        gs[1] = second(second_in: int64[])
          unused second_spare: float32[9]
          %second_out = Exp(x)
          return %second_out
      return"
  `);
});

test("strange names are quoted, long headers folded, other types named, functions listed", () => {
  const model = buildModel((b) => {
    b.graph.name = "main graph";
    const strange = b.graph.addInput("a, b");
    b.input("x", []);
    const sequence = b.graph.addInput("sequence");
    sequence.typeProto = { sequenceType: { elemType: { tensorType: { elemType: 1 } } } };
    const map = { keyType: 8, valueType: { optionalType: { elemType: {} } } };
    b.graph.addInput("map").typeProto = { mapType: map };
    b.graph.addInput("past_key_values.0.key", { dtype: "float16" });
    b.graph.addInput("rank", { shape: [1, null, "n"] });
    b.graph.addSparse("/encoder/layer.0/sparse", { dims: [3, 4] });
    b.output(b.op("out\n", "Neg", [strange]));
  });
  const functions = [{ name: "F", domain: "here", input: ["a"], output: ["b", "c"], node: [{}] }];
  expect(print({ ...model, functions })).toMatchInlineSnapshot(`
    "opset 18, com.microsoft 1
    function here.F(a) -> (b, c), 1 nodes
    graph "main graph"(
        "a, b",
        x: float32[],
        sequence: sequence<float32>,
        map: map<string, optional<?>>,
        past_key_values.0.key: float16,
        rank: ?[1, ?, n],
    )
      unused /encoder/layer.0/sparse: sparse[3, 4]
      %"out\\n" = Neg("a, b")
      return %"out\\n""
  `);
  expect(print(new Graph())).toMatchInlineSnapshot(`
    "graph()
      return"
  `);
});
