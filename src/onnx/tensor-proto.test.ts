import { describe, expect, test } from "vitest";
import { fixture, fixtureJson } from "../../test/fixture.js";
import { ExternalDataError, TensorDataError } from "../errors.js";
import { DTYPES } from "./dtypes.js";
import type { ExternalData } from "./external.js";
import type { TensorProto } from "./proto.js";
import { decodeModel } from "./reader.js";
import { blobOf, memorySource } from "./source.js";
import { tensorOf, type Tensor } from "./tensor.js";
import { tensorFromProto, tensorToProto } from "./tensor-proto.js";
import { bigintsOf, floatsOf, numbersOf } from "./values.js";

const text = new TextDecoder();

function initializers(name: string): TensorProto[] {
  return decodeModel(fixture(`onnx/${name}.onnx`)).graph?.initializer ?? [];
}

function plain(tensor: Tensor): unknown[] {
  if (tensor.strings !== undefined) return tensor.strings.map((bytes) => text.decode(bytes));
  const { kind, bits } = DTYPES[tensor.dtype];
  if (kind === "bool") return numbersOf(tensor).map(Boolean);
  if (kind === "int" || kind === "uint") return bigintsOf(tensor).map(String);
  if (kind === "complex") {
    const view = new DataView(tensor.data.read().slice().buffer);
    return Array.from({ length: (3 * bits) / 32 }, (_, i) =>
      bits === 64 ? view.getFloat32(i * 4, true) : i % 2 === 0 ? view.getFloat64(i * 4, true) : 0,
    );
  }
  return numbersOf(tensor);
}

const COMPLEX: Record<string, number[]> = {
  COMPLEX64: [1, 2, -0, -0.5, 3.25, 0],
  COMPLEX128: [1, 0, 2, 0, -0, 0, -0.5, 0, 3.25, 0, 0, 0],
};

test("every element type is read, raw and from its typed field, as the onnx package wrote it", () => {
  const expected = fixtureJson("onnx/dtypes.json") as Record<string, unknown[]>;
  const read = new Set<string>();
  for (const proto of initializers("dtypes")) {
    const [name = "", form] = (proto.name ?? "").split(".");
    const tensor = tensorFromProto(proto);
    if (form === undefined || name === "empty") continue;
    expect(plain(tensor), proto.name).toEqual(COMPLEX[name] ?? expected[name]);
    read.add(tensor.dtype);
  }
  expect([...read].toSorted()).toEqual(Object.keys(DTYPES).toSorted());
});

test("tensors without elements need no bytes; a scalar has no dims", () => {
  const named = new Map(initializers("dtypes").map((proto) => [proto.name, proto]));
  const empty = tensorFromProto(named.get("empty.raw") ?? {});
  expect([empty.dims, floatsOf(empty).length]).toEqual([[0, 3], 0]);
  const typed = tensorFromProto(named.get("empty.typed") ?? {});
  expect([typed.dims, bigintsOf(typed)]).toEqual([[2, 0], []]);
  const scalar = tensorFromProto(named.get("scalar") ?? {});
  expect([scalar.dims, numbersOf(scalar)]).toEqual([[], [2.5]]);
});

describe("what does not fit is an error that names the tensor", () => {
  const raw = (bytes: number) => blobOf(new Uint8Array(bytes));
  const float = DTYPES.float32.code;
  const cases: [string, TensorProto, string][] = [
    ["no element type", { dims: [1] }, "no element type"],
    ["an unknown element type", { dataType: 99, dims: [1] }, "element type 99"],
    ["a negative dim", { dataType: float, dims: [-1], rawData: raw(4) }, "negative dimension, -1"],
    [
      "too few bytes",
      { dataType: float, dims: [2, 3], rawData: raw(23) },
      "24 bytes, the file holds 23",
    ],
    [
      "too many bytes",
      { dataType: float, dims: [2, 3], rawData: raw(25) },
      "24 bytes, the file holds 25",
    ],
    ["bytes without elements", { dataType: float, dims: [0], rawData: raw(4) }, "0 bytes"],
    ["no data", { dataType: float, dims: [2] }, "needs 2 stored numbers, the file holds none"],
    ["too few numbers", { dataType: float, dims: [2], floatData: raw(4) }, "holds 1 in floatData"],
    ["numbers in another field", { dataType: float, dims: [1], doubleData: raw(8) }, "holds none"],
    [
      "an odd number of halves",
      { dataType: DTYPES.int4.code, dims: [3], int32Data: raw(12) },
      "needs 2",
    ],
    ["segments", { dataType: float, dims: [1], segment: {}, rawData: raw(4) }, "segments"],
    ["an unknown data location", { dataType: float, dims: [1], dataLocation: 2 }, "location 2"],
    ["raw strings", { dataType: 8, dims: [1], rawData: raw(1) }, "string_data"],
    ["missing strings", { dataType: 8, dims: [2], stringData: [] }, "needs 2 strings"],
    [
      "dims whose product wraps around 64 bits",
      { dataType: float, dims: [4194305, 4194305, 211106198978564], rawData: raw(4) },
      "larger than any file",
    ],
    [
      "a dim beyond 2^53",
      { dataType: float, dims: [2n ** 62n], rawData: raw(0) },
      "4611686018427387904",
    ],
    [
      "a huge dim without data",
      { dataType: float, dims: [2 ** 52], rawData: raw(4) },
      "larger than",
    ],
  ];
  test.each(cases)("%s", (_, proto, message) => {
    const read = () => tensorFromProto({ name: "w", ...proto });
    expect(read).toThrow(TensorDataError);
    expect(read).toThrow('Tensor "w"');
    expect(read).toThrow(message);
  });

  test("nothing is read to find that out", () => {
    const rawData = {
      byteLength: 8,
      read(): Uint8Array {
        throw new Error("read");
      },
    };
    expect(tensorFromProto({ dataType: float, dims: [2], rawData }).data).toBe(rawData);
    expect(() => tensorFromProto({ dataType: float, dims: [3], rawData })).toThrow(TensorDataError);
  });
});

describe("external data", () => {
  const opened: string[] = [];
  const external: ExternalData = {
    open(location) {
      opened.push(location);
      return memorySource(fixture("onnx/external.bin"));
    },
  };
  const [first = {}, second = {}] = initializers("external");

  test("is found by location, offset and length; keys that nobody knows mean nothing", () => {
    expect(numbersOf(tensorFromProto(first, external))).toEqual([1, 2, 3, 4]);
    const tensor = tensorFromProto(second, external);
    expect([tensor.dims, numbersOf(tensor)]).toEqual([
      [2, 2],
      [5, 6, 7, 8],
    ]);
    expect(opened).toEqual(["external.bin", "external.bin"]);
  });

  const entries = (values: Record<string, string>) => ({
    ...first,
    externalData: Object.entries(values).map(([key, value]) => ({ key, value })),
  });
  test.each([
    ["no location", entries({ offset: "0" }), "names no file"],
    ["a length that does not fit", entries({ location: "f", length: "15" }), "needs 16 bytes"],
    ["a negative offset", entries({ location: "f", offset: "-4" }), 'offset is "-4"'],
    ["an offset that is no number", entries({ location: "f", offset: "1e1" }), 'offset is "1e1"'],
    ["an offset beyond 2^53", entries({ location: "f", offset: "9".repeat(16) }), "offset is"],
    ["an offset beyond the file", entries({ location: "f", offset: "65" }), "the file has 80"],
  ])("%s is an error that names tensor and file", (_, proto, message) => {
    const read = () => tensorFromProto(proto, external);
    expect(read).toThrow(ExternalDataError);
    expect(read).toThrow('tensor "first"');
    expect(read).toThrow(message);
  });

  test("without the model's folder it is an error that says so", () => {
    expect(() => tensorFromProto(first)).toThrow(ExternalDataError);
    expect(() => tensorFromProto(first)).toThrow("without its folder");
  });

  test("becomes raw data when written, without a trace of the input's file", () => {
    const tensor = tensorFromProto({ ...first, docString: "d" }, external);
    const { rawData, ...rest } = tensorToProto("w", tensor);
    expect(rest).toEqual({ name: "w", dims: [4], dataType: 1, docString: "d" });
    expect(rawData?.read()).toEqual(new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer));
  });
});

describe("back to messages", () => {
  test("a tensor that came from a file keeps its message under the new name", () => {
    const proto = { name: "a", dataType: 1, dims: [1], floatData: blobOf(Float32Array.of(3)) };
    const tensor = tensorFromProto(proto);
    expect(tensorToProto("b", tensor)).toEqual({ ...proto, name: "b" });
    expect(tensorToProto(undefined, tensor)).toBe(proto);
  });

  test("a tensor of Octavo's own becomes raw data", () => {
    const tensor = tensorOf("int8", [2, 1], Int8Array.of(1, -1));
    const { rawData, ...rest } = tensorToProto("q", tensor);
    expect(rest).toEqual({ name: "q", dims: [2, 1], dataType: 3 });
    expect(rawData).toBe(tensor.data);
    const strings = [new TextEncoder().encode("a")];
    const words = { dtype: "string", dims: [1], data: tensor.data, strings } as const;
    expect(tensorToProto("s", words)).toEqual({
      name: "s",
      dims: [1],
      dataType: 8,
      stringData: strings,
    });
  });

  test("dims that were changed since win over the message's", () => {
    const proto = { name: "a", dataType: 1, dims: [2], floatData: blobOf(Float32Array.of(3, 4)) };
    const tensor = { ...tensorFromProto(proto), dims: [2, 1] };
    const { rawData, ...rest } = tensorToProto("a", tensor);
    expect(rest).toEqual({ name: "a", dims: [2, 1], dataType: 1 });
    expect(rawData?.byteLength).toBe(8);
  });
});
