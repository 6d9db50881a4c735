import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { differences } from "../../test/differences.js";
import { fixture } from "../../test/fixture.js";
import { pagedSource } from "../../test/paged-source.js";
import { block, bytes, number, varint } from "../../test/wire.js";
import { OnnxFormatError } from "../errors.js";
import type { AttributeProto } from "./proto.js";
import { decodeModel, decodeTensor } from "./reader.js";
import { memorySource } from "./source.js";
import { encodeModel } from "./writer.js";

const graph = block(7, block(2, "g"));

function errorOf(read: () => unknown): OnnxFormatError {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(OnnxFormatError);
    return error as OnnxFormatError;
  }
  throw new Error("nothing was thrown");
}

describe("what a file may hold", () => {
  const model = decodeModel(fixture("onnx/kinds.onnx"));
  const every = model.graph?.node?.[0];
  const attribute = (name: string): AttributeProto =>
    every?.attribute?.find((a) => a.name === name) ?? {};

  test("texts, numbers and bytes come out as the exporter put them in", () => {
    expect(every?.name).toBe("every/é");
    expect(every?.input).toEqual(["x", "", "w"]);
    expect(every?.docString).toBe("all kinds 🙂");
    expect(attribute("f").f).toBe(Math.fround(0.1));
    expect(attribute("i").i).toBe(-(2n ** 63n));
    expect(attribute("s").s).toEqual(bytes(0, 255, " bytes"));
    expect(attribute("ints").ints).toEqual([
      0,
      1,
      -1,
      127,
      128,
      2 ** 31,
      -(2 ** 31) - 1,
      2 ** 53 - 1,
      2n ** 53n,
      -(2n ** 53n),
      2n ** 63n - 1n,
    ]);
    expect(attribute("floats").floats).toEqual([
      0,
      -0,
      Infinity,
      -Infinity,
      NaN,
      Math.fround(3.4028235e38),
      1.401298464324817e-45,
    ]);
    expect(attribute("strings").strings).toEqual([bytes(), bytes("a"), bytes("é🙂")]);
    expect(model.modelVersion).toBe(2n ** 60n);
    expect(every?.deviceConfigurations?.[0]?.pipelineStage).toBe(-1);
  });

  test("graphs, tensors, types, functions and training info come out whole", () => {
    expect(attribute("g").g?.node?.[0]?.opType).toBe("Constant");
    expect(attribute("tensors").tensors?.map((t) => t.name)).toEqual(["a", "b"]);
    expect(attribute("sparse_tensor").sparseTensor?.dims).toEqual([6]);
    const kinds = attribute("type_protos").typeProtos?.map((type) => Object.keys(type)[0]);
    expect(kinds?.join()).toBe(
      "tensorType,sequenceType,mapType,optionalType,sparseTensorType,opaqueType",
    );
    expect(model.functions?.[0]?.attributeProto?.[0]?.i).toBe(2);
    expect(model.functions?.[0]?.node?.[0]?.attribute?.[0]?.refAttrName).toBe("alpha");
    expect(model.trainingInfo?.[0]?.updateBinding).toEqual([{ key: "w", value: "step_out" }]);
    expect(model.configuration?.[0]?.device).toEqual(["a", "b"]);
  });

  test("lists of numbers are read packed, one by one, and mixed", () => {
    const dims = [number(1, 2), block(1, varint(3), varint(-1), varint(300)), number(1, 5)];
    expect(decodeTensor(bytes(...dims)).dims).toEqual([2, 3, -1, 300, 5]);
    const two = [0, 0, 0, 64];
    const three = [0, 0, 64, 64];
    const floats = [4 * 8 + 5, ...two];
    const tensor = decodeTensor(bytes(floats, block(4, three, two), floats));
    expect(tensor.floatData?.read()).toEqual(bytes(two, three, two, two));
    const ints = bytes(number(7, -2), block(7, varint(1), varint(2n ** 63n)), number(7, 0));
    const int64 = decodeTensor(ints).int64Data?.read().slice();
    expect([...new BigInt64Array(int64?.buffer ?? new ArrayBuffer(0))]).toEqual([
      -2n,
      1n,
      -(2n ** 63n),
      0n,
    ]);
  });

  test("an int32 is the low half of its varint", () => {
    const codes = decodeTensor(block(5, varint(-1), varint(2n ** 32n + 7n), varint(2 ** 31)));
    const read = codes.int32Data?.read().slice();
    expect([...new Int32Array(read?.buffer ?? new ArrayBuffer(0))]).toEqual([-1, 7, -(2 ** 31)]);
  });

  test("a message in several pieces is merged, the last of a scalar and of a oneof counts", () => {
    const pieces = bytes(number(1, 3), graph, number(1, 4), block(7, block(10, "doc")));
    const merged = decodeModel(pieces);
    expect(merged.irVersion).toBe(4);
    expect(merged.graph).toEqual({ name: "g", docString: "doc" });
    const dim = block(1, number(1, 5), block(2, "n"));
    const type = block(2, block(1, block(2, dim)));
    const input = decodeModel(block(7, block(11, type))).graph?.input?.[0];
    expect(input?.type?.tensorType?.shape?.dim).toEqual([{ dimParam: "n" }]);
  });

  test("unknown fields, groups among them, are kept with their tags and written back", () => {
    const group = bytes(varint(40 * 8 + 3), number(1, 5), block(2, "in"), varint(40 * 8 + 4));
    const odd = bytes(number(33, 7), block(31, "later"), group, varint(50 * 8 + 5), 1, 2, 3, 4);
    const fixed64 = bytes(varint(51 * 8 + 1), 1, 2, 3, 4, 5, 6, 7, 8);
    const file = bytes(number(1, 8), odd, graph, fixed64);
    const model = decodeModel(file);
    expect(model.unknown).toEqual([odd, fixed64]);
    expect(encodeModel(model)).toEqual(bytes(number(1, 8), graph, odd, fixed64));
  });

  test("a known field of another wire type is an unknown field, as protobuf has it", () => {
    const model = decodeModel(bytes(graph, block(1, "text")));
    expect(model.irVersion).toBeUndefined();
    expect(model.unknown).toEqual([block(1, "text")]);
  });

  test("a name that looks like a property of objects is only a name", () => {
    const entry = block(14, block(1, "__proto__"), block(2, "x"));
    const model = decodeModel(bytes(graph, entry));
    expect(model.metadataProps).toEqual([{ key: "__proto__", value: "x" }]);
  });
});

describe("damage", () => {
  const nested = (depth: number) => {
    let content = bytes();
    for (let i = 0; i < depth; i++) content = block(4, block(1, content));
    return block(7, block(11, block(2, content)));
  };
  const groups = (depth: number) =>
    bytes(Array.from({ length: depth }, () => [0x83, 0x02]).flat(), graph);
  const cases: Record<string, [Uint8Array, number | undefined, string]> = {
    "an empty file": [bytes(), 0, "empty"],
    "no graph": [number(1, 8), undefined, "no graph"],
    "field number 0": [bytes(graph, 0x02, 0), 5, "number 0"],
    "wire type 6": [bytes(graph, 0x0e), 5, "wire type 6"],
    "wire type 7": [bytes(graph, 0x0f), 5, "wire type 7"],
    "a group that never began": [bytes(graph, 0x0c), 5, "never began"],
    "a group without end": [bytes(graph, 0x83, 0x02), 5, "no end"],
    "a group that ends as another": [bytes(graph, 0x83, 0x02, 0x8c, 0x02), 7, "ends as group 33"],
    "a varint of 11 bytes": [
      bytes(
        8,
        Array.from({ length: 10 }, () => 0xff),
        1,
      ),
      1,
      "10 bytes",
    ],
    "a varint of 65 bits": [
      bytes(
        8,
        Array.from({ length: 9 }, () => 0xff),
        2,
      ),
      1,
      "64 bits",
    ],
    "a varint cut short": [bytes(graph, 8, 0x80), 6, "within a number"],
    "a field number beyond 32 bits": [bytes(varint(2n ** 40n)), 0, "too large"],
    "a length beyond the file": [bytes(0x3a, varint(2n ** 50n)), 1, "1125899906842624"],
    "a length beyond its message": [block(7, 0x12, 9, "g"), 3, "a length of 9 where 1"],
    "a number beyond its message": [bytes(block(7, block(5, 0x10)), 1), 4, "past its end"],
    "a list of numbers that ends within one": [
      block(7, block(5, block(1, 0x80)), [1]),
      6,
      "within a number",
    ],
    "floats of 5 bytes": [block(7, block(5, block(4, 1, 2, 3, 4, 5))), 6, "5 bytes"],
    "a text that is not UTF-8": [block(7, block(2, [0x61, 0xff])), 4, "UTF-8"],
    "a text of half a character": [block(7, block(2, [0xc3])), 4, "UTF-8"],
    "messages nested 1000 deep": [nested(500), undefined, "200 deep"],
    "groups nested 100,000 deep": [groups(100_000), undefined, "200 deep"],
  };
  test.each(Object.entries(cases))("%s is an error that names the byte", (_, [file, at, text]) => {
    for (const source of [memorySource(file), pagedSource(file)]) {
      const error = errorOf(() => decodeModel(source));
      expect(error.message).toContain(text);
      if (at !== undefined) expect(error.offset).toBe(at);
    }
  });

  test("messages nested 180 deep, some 60 graphs in each other, are fine", () => {
    expect(decodeModel(nested(90)).graph).toBeDefined();
  });

  test.each(["kinds", "dtypes", "external"])(
    "%s.onnx cut short anywhere is an error that names the byte, or a whole model that lacks later fields",
    (name) => {
      const file = fixture(`onnx/${name}.onnx`);
      let errors = 0;
      for (let length = 0; length < file.length; length++) {
        const part = file.subarray(0, length);
        try {
          const model = decodeModel(part);
          expect(Buffer.compare(encodeModel(model), part)).toBe(0);
        } catch (error) {
          expect(error).toBeInstanceOf(OnnxFormatError);
          errors++;
        }
      }
      expect(errors).toBeGreaterThan(file.length * 0.6);
    },
  );

  test.each([
    ["version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n", "git lfs pull"],
    ["<!DOCTYPE html><html>", "web page"],
    ["PK\x03\x04..............", "ZIP"],
    ["\x20\0\0\0ORTM.........", "ORT format"],
    ['\x20\0\0\0\0\0\0\0{"a":{"dtype"', "safetensors"],
    ['{"model_type":"bert"}', "JSON"],
  ])("what is no ONNX file at all is called by its name (%j)", (text, name) => {
    expect(errorOf(() => decodeModel(bytes(text))).message).toContain(name);
  });

  test("any bytes are a model or an OnnxFormatError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (file) => {
        try {
          encodeModel(decodeModel(bytes(graph, file)));
        } catch (error) {
          expect(error).toBeInstanceOf(OnnxFormatError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("memory and files", () => {
  const weights = new Uint8Array(1_000_000).map((_, i) => i % 251);
  const tensor = bytes(block(8, "w"), block(9, weights));
  const nodes = Array.from({ length: 3000 }, (_, i) => block(1, block(1, `input ${i}`)));
  const file = bytes(block(7, ...nodes, block(5, tensor), block(5, tensor), block(2, "end")));

  test("over memory a tensor is a view of the file, not a copy", () => {
    const raw = decodeModel(file).graph?.initializer?.[1]?.rawData?.read();
    expect(raw?.buffer).toBe(file.buffer);
    expect(raw && Buffer.compare(raw, weights)).toBe(0);
  });

  test("over a file, tensors are not read until somebody asks, and then each time anew", () => {
    const source = pagedSource(file);
    const model = decodeModel(source);
    const total = source.reads.reduce((sum, { length }) => sum + length, 0);
    expect(total).toBeLessThan(file.length - 1_600_000);
    expect(model.graph?.name).toBe("end");
    expect(model.graph?.node?.[2999]?.input).toEqual(["input 2999"]);
    const before = source.reads.length;
    const raw = model.graph?.initializer?.[0]?.rawData?.read();
    expect(raw && Buffer.compare(raw, weights)).toBe(0);
    expect(source.reads.slice(before).map(({ length }) => length)).toEqual([1_000_000]);
  });

  test("small parts that come out of pages are copies of their own", () => {
    const part = block(5, block(9, [1, 2, 3]));
    const model = decodeModel(pagedSource(bytes(block(7, part), block(99, "unknown"))));
    expect(model.graph?.initializer?.[0]?.rawData?.read().buffer.byteLength).toBe(3);
    expect(model.unknown?.[0]?.buffer.byteLength).toBe(10);
  });

  test("long runs of varints are decoded when asked for", () => {
    const values = Array.from({ length: 5000 }, (_, i) => (i % 2 === 0 ? i * 1e9 : -i));
    const run = block(7, ...values.map(varint));
    for (const from of [run, pagedSource(run)]) {
      const data = decodeTensor(from).int64Data;
      expect(data?.byteLength).toBe(40_000);
      const read = data?.read() ?? bytes();
      expect(new BigInt64Array(read.buffer)).toEqual(BigInt64Array.from(values.map(BigInt)));
    }
  });

  test.each(["kinds", "dtypes", "external"])("%s.onnx reads the same from both", (name) => {
    const small = fixture(`onnx/${name}.onnx`);
    expect(differences(decodeModel(small), decodeModel(pagedSource(small)))).toEqual([]);
  });

  test("a graph of 100,000 nodes is read in well under a second", () => {
    const many = Array.from({ length: 100_000 }, (_, i) =>
      block(1, block(1, `/layer.${i}/out`), block(2, `/layer.${i + 1}/out`), block(4, "Relu")),
    );
    const parts = Buffer.concat(many);
    const large = Buffer.concat([bytes(0x3a), varint(parts.length), parts]);
    const start = performance.now();
    expect(decodeModel(large).graph?.node).toHaveLength(100_000);
    expect(performance.now() - start).toBeLessThan(1500);
  });
});
