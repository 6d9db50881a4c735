import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { differences } from "../../test/differences.js";
import { fixture } from "../../test/fixture.js";
import { arbitraryMessage } from "../../test/messages.js";
import { pagedSource } from "../../test/paged-source.js";
import { ModelTooLargeError } from "../errors.js";
import type { ModelProto } from "./proto.js";
import { decodeModel, decodeTensor } from "./reader.js";
import { blobOf } from "./source.js";
import { encodeChunks, encodedSize, encodeModel, encodeTensor } from "./writer.js";

function modelWith(...sizes: number[]): ModelProto {
  const initializer = sizes.map((size, i) => ({
    name: `w${i}`,
    rawData: blobOf(new Uint8Array(size).fill(i + 1)),
  }));
  return { irVersion: 8, graph: { initializer, name: "g" } };
}

test.each(["kinds", "dtypes", "external"])(
  "%s.onnx, written by the onnx package, is written back byte for byte",
  (name) => {
    const file = fixture(`onnx/${name}.onnx`);
    for (const model of [decodeModel(file), decodeModel(pagedSource(file))])
      expect(Buffer.compare(encodeModel(model), file)).toBe(0);
  },
);

test("every message that can be built is read back as it was, from memory and from a file", () => {
  fc.assert(
    fc.property(arbitraryMessage("ModelProto"), (message) => {
      const model = { ...message, graph: message.graph ?? {} };
      const file = encodeModel(model);
      expect(encodedSize(model)).toBe(file.length);
      expect(differences(decodeModel(file), model)).toEqual([]);
      expect(differences(decodeModel(pagedSource(file)), model)).toEqual([]);
      expect(Buffer.compare(Buffer.concat([...encodeChunks(model)]), file)).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test("every tensor message that can be built is read back as it was", () => {
  fc.assert(
    fc.property(arbitraryMessage("TensorProto"), (tensor) => {
      expect(differences(decodeTensor(encodeTensor(tensor)), tensor)).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test("half a character is written as the replacement character", () => {
  const model = { graph: { name: "a\ud83d|\ude42b🙂" } };
  expect(decodeModel(encodeModel(model)).graph?.name).toBe("a\ufffd|\ufffdb🙂");
});

test("numbers may be given as bigints, and are read as numbers where those are exact", () => {
  const model = { irVersion: 9n, modelVersion: -(2n ** 63n), graph: {} };
  expect(decodeModel(encodeModel(model))).toEqual({ ...model, irVersion: 9 });
});

test("what is no integer of 64 bits is an internal mistake, not a damaged file", () => {
  for (const irVersion of [0.5, NaN, 2 ** 60, 2n ** 63n])
    expect(() => encodeModel({ irVersion, graph: {} })).toThrow("internal: ");
});

describe("streaming", () => {
  test("tensors are read one at a time, when their turn comes", () => {
    const log: string[] = [];
    const model = modelWith(10_000, 20_000, 10);
    for (const tensor of model.graph?.initializer ?? []) {
      const inner = tensor.rawData;
      tensor.rawData = {
        byteLength: inner?.byteLength ?? 0,
        read() {
          log.push(`read ${tensor.name}`);
          return inner?.read() ?? new Uint8Array(0);
        },
      };
    }
    for (const chunk of encodeChunks(model)) log.push(`got ${chunk.length > 9000}`);
    // The small tensor is copied in between the fields at once.
    expect(log).toEqual([
      "read w2",
      "got false",
      "read w0",
      "got true",
      "got false",
      "read w1",
      "got true",
      "got false",
    ]);
  });

  test("large tensors in memory are handed over as they are, without a copy", () => {
    const model = modelWith(100_000);
    const raw = model.graph?.initializer?.[0]?.rawData?.read();
    expect([...encodeChunks(model)].some((chunk) => chunk.buffer === raw?.buffer)).toBe(true);
  });

  test("a blob that gives other than it said is an internal mistake", () => {
    for (const byteLength of [10, 10_000]) {
      const rawData = { byteLength, read: () => new Uint8Array(9) };
      expect(() => encodeModel({ graph: { initializer: [{ rawData }] } })).toThrow("internal: ");
    }
  });
});

test("beyond 2 GB a model is an error before a tensor is read, but its size is known", () => {
  const rawData = {
    byteLength: 1.5e9,
    read(): Uint8Array {
      throw new Error("read");
    },
  };
  const model = { graph: { initializer: [{ rawData }, { rawData }] } };
  expect(encodedSize(model)).toBeGreaterThan(3e9);
  expect(encodedSize(model)).toBeLessThan(3e9 + 100);
  expect(() => encodeChunks(model)).toThrow(ModelTooLargeError);
  expect(() => encodeModel(model)).toThrow(ModelTooLargeError);
});
