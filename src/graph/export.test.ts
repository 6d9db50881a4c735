import { describe, expect, test } from "vitest";
import { differences } from "../../test/differences.js";
import { floatProto, modelProto, names, nodeProto } from "../../test/protos.js";
import { foreignGraphs, hasShared, sharedModels, zooGraphs } from "../../test/shared.js";
import type { ExternalData } from "../onnx/external.js";
import { openModelFile } from "../onnx/files.js";
import type { GraphProto, ModelProto, NodeProto } from "../onnx/proto.js";
import { decodeModel } from "../onnx/reader.js";
import { encodeModel } from "../onnx/writer.js";
import { tensorOf } from "../onnx/tensor.js";
import { exportModel } from "./export.js";
import { Graph } from "./graph.js";
import { importModel } from "./import.js";
import type { Model } from "./model.js";
import { print } from "./print.js";
import { verify } from "./verify.js";

/** A message without what the graph does not keep: types of inner values, absent or empty. */
function essence(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(essence);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (typeof Reflect.get(value, "read") === "function") return value;
  const out: Record<string, unknown> = {};
  for (const [k, inner] of Object.entries(value)) {
    const dropped = k === "valueInfo";
    const empty =
      inner === undefined ||
      inner === "" ||
      inner === "ai.onnx" ||
      (Array.isArray(inner) && inner.length === 0);
    if (!dropped && !empty) out[k] = essence(inner);
  }
  return out;
}

/** False where a node of the outermost graph reads what a later one makes. */
function isOrdered({ node = [] }: GraphProto): boolean {
  const later = new Set(node.flatMap((n) => n.output ?? []));
  return node.every((n) => {
    const early = n.input?.every((name) => name === "" || !later.has(name));
    for (const name of n.output ?? []) later.delete(name);
    return early;
  });
}

function sortBy<T>(list: T[] = [], key: (item: T) => string = String): void {
  list.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function roundTrip(proto: ModelProto, external?: ExternalData): string[] {
  const imported = importModel(proto, external);
  verify(imported);
  const back = exportModel(imported);
  const again = importModel(decodeModel(encodeModel(back)));
  const found = print(again) === print(importModel(back)) ? [] : ["a file of it differs"];
  const ordered = isOrdered(proto.graph ?? {});
  for (const { graph } of [proto, back]) {
    sortBy(graph?.initializer, (tensor) => tensor.name ?? "");
    if (!ordered) sortBy(graph?.node, (node) => node.output?.join() ?? "");
  }
  return [...found, ...differences(essence(proto), essence(back))];
}

test("every kind of field survives import and export", () => {
  const sparse = { values: floatProto("s"), indices: floatProto("i"), dims: [8] };
  const rich: GraphProto = {
    name: "g",
    docString: "about",
    metadataProps: [{ key: "k", value: "v" }],
    unknown: [Uint8Array.of(0xa0, 0x06, 1)],
    input: [
      { name: "x", docString: "in", type: { denotation: "IMAGE", tensorType: { elemType: 1 } } },
      { name: "c" },
    ],
    sparseInitializer: [sparse],
    quantizationAnnotation: [{ tensorName: "y" }],
    node: [
      {
        ...nodeProto("Odd", ["x", "s", ""], ["", "y"]),
        name: "odd",
        domain: "here",
        overload: "o",
        docString: "d",
        metadataProps: [{ key: "n", value: "m" }],
        unknown: [Uint8Array.of(0xa0, 0x06, 2)],
        attribute: [
          { name: "f", type: 1, f: 0.5 },
          { name: "i", type: 2, i: 2n ** 60n },
          { name: "s", type: 3, s: Uint8Array.of(255) },
          { name: "t", type: 4, t: { ...floatProto("inner"), docString: "kept" } },
          { name: "fs", type: 6, floats: [1, 2] },
          { name: "is", type: 7, ints: [1, -2] },
          { name: "ss", type: 8, strings: [Uint8Array.of(1)] },
          { name: "ts", type: 9, tensors: [floatProto("a"), floatProto("b")] },
          {
            name: "gs",
            type: 10,
            graphs: [{ node: [nodeProto("Neg", ["x"], ["q"])], output: names("q") }],
          },
          { name: "sparse", type: 11, sparseTensor: sparse },
          { name: "tp", type: 13, tp: { tensorType: { elemType: 1 } } },
          { name: "r", type: 2, refAttrName: "outer" },
        ],
      },
    ],
  };
  const around: ModelProto = {
    ...modelProto(rich),
    producerName: "p",
    metadataProps: [{ key: "a", value: "b" }],
    functions: [{ name: "F", domain: "here", node: [nodeProto("Neg", ["a"], ["b"])] }],
    unknown: [Uint8Array.of(0xa0, 0x06, 3)],
  };
  expect(roundTrip(around)).toEqual([]);
});

test("types are written as they were declared, or as they are known by now", () => {
  const graph = new Graph();
  const x = graph.addInput("x", { dtype: "float32", shape: ["batch", null, 2] });
  const w = graph.addInitializer("w", tensorOf("float32", [1], Float32Array.of(1)));
  const sum = graph.addNode({ op: "Add", inputs: [x, w], outputs: ["sum"] }).output();
  const cast = graph.addNode({ op: "Cast", inputs: [sum], outputs: ["y"], attributes: { to: 10 } });
  cast.output().typeProto = { denotation: "old", tensorType: { elemType: 1 } };
  cast.output().dtype = "float16";
  graph.addOutput(sum);
  graph.addOutput(cast.output());
  const model: Model = {
    graph,
    opsets: new Map([["", 18]]),
    irVersion: 8,
    functions: [],
    rest: {},
  };
  const proto = exportModel(model).graph;
  const dim = [{ dimParam: "batch" }, {}, { dimValue: 2 }];
  expect(proto?.input).toEqual([
    { name: "x", type: { tensorType: { elemType: 1, shape: { dim } } } },
  ]);
  expect(proto?.output).toEqual([
    { name: "sum" },
    { name: "y", type: { tensorType: { elemType: 10 } } },
  ]);
});

/** Leaves one Constant of each name, the last, at the place of the first; returns how many went. */
function lastOnly(graph: GraphProto = {}): number {
  const nodes = graph.node ?? [];
  const isRepeat = (n: NodeProto, i: number) =>
    n.opType === "Constant" && nodes.findIndex((o) => o.output?.[0] === n.output?.[0]) < i;
  const repeats = nodes.filter(isRepeat);
  const last = new Map(repeats.map((n) => [n.output?.[0], n]));
  graph.node = nodes.filter((n, i) => !isRepeat(n, i)).map((n) => last.get(n.output?.[0]) ?? n);
  return repeats.length;
}

describe.skipIf(!hasShared)("graphs of the shared folder, imported and exported", () => {
  test.each([...zooGraphs(), ...foreignGraphs(), ...sharedModels()])("$name", ({ name, path }) => {
    const file = openModelFile(path);
    const proto = decodeModel(file.source);
    // Its last 48 Constants have the names of others, with other content; the last of a name holds.
    const printed = print(importModel(proto, file.external));
    const repeats = lastOnly(proto.graph);
    expect(repeats).toBe(name.endsWith("gpt2_past.onnx") ? 48 : 0);
    expect(print(importModel(proto, file.external))).toBe(printed);
    expect(roundTrip(proto, file.external)).toEqual([]);
    file.close();
  });
});
