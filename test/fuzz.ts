// Damages models and reads them: each damaged copy is an error for the user or a model that can be written again. Nothing else may happen.
import { readFileSync, statSync } from "node:fs";
import { OctavoError, OnnxFormatError } from "../src/errors.js";
import { tensorFromProto } from "../src/onnx/tensor-proto.js";
import type { ModelProto, TensorProto } from "../src/onnx/proto.js";
import { decodeModel } from "../src/onnx/reader.js";
import { messageType, type MessageType, type PlainMessage } from "../src/onnx/schema.js";
import { encodeModel } from "../src/onnx/writer.js";
import { differences } from "./differences.js";
import { fixture } from "./fixture.js";
import { mutate, randomFrom } from "./mutate.js";
import { pagedSource } from "./paged-source.js";
import { zooGraphs } from "./shared.js";

export interface FuzzResult {
  readonly mutations: number;
  readonly errors: number;
  readonly models: number;
  readonly tensors: number;
  readonly badTensors: number;
  readonly seconds: number;
}

/** Three small models of the repository, and the three smallest of the zoo where that is at hand. */
function fuzzModels(): Uint8Array[] {
  const own = ["kinds", "dtypes", "external"].map((name) => fixture(`onnx/${name}.onnx`));
  const zoo = zooGraphs()
    .toSorted((a, b) => statSync(a.path).size - statSync(b.path).size)
    .slice(0, 3)
    .map(({ path }) => Uint8Array.from(readFileSync(path)));
  return [...own, ...zoo];
}

/**
 * Runs `count` seeded mutations. Throws an error that names the mutation when anything but an OctavoError or a writable model comes out,
 * or when memory and file do not give the same.
 */
export function fuzz(count: number, seed: number, models = fuzzModels()): FuzzResult {
  const start = performance.now();
  const tally = { errors: 0, models: 0, tensors: 0, badTensors: 0 };
  for (let i = 0; i < count; i++) {
    const random = randomFrom(seed * 1_000_003 + i);
    // The small models ten times as often as the large ones, which take that much longer.
    const own = Math.min(3, models.length);
    const index = random() < 0.9 ? random() * own : random() * models.length;
    const base = models[Math.floor(index)];
    const donor = models[Math.floor(random() * models.length)];
    if (base === undefined || donor === undefined) throw new Error("internal: no models");
    try {
      check(mutate(base, donor, random), tally, i % 8 === 0);
    } catch (error) {
      throw new Error(`mutation ${i} of seed ${seed}: ${String(error)}`, { cause: error });
    }
  }
  return { mutations: count, ...tally, seconds: (performance.now() - start) / 1000 };
}

interface Tally {
  errors: number;
  models: number;
  tensors: number;
  badTensors: number;
}

function check(bytes: Uint8Array, tally: Tally, asFile: boolean): void {
  const first = outcome(() => decodeModel(bytes));
  if (asFile) {
    const second = outcome(() => decodeModel(pagedSource(bytes)));
    const same =
      first instanceof OnnxFormatError
        ? second instanceof OnnxFormatError && second.message === first.message
        : differences(first, second).length === 0;
    if (!same) throw new Error("memory and file differ");
  }
  if (first instanceof OnnxFormatError) {
    tally.errors++;
    return;
  }
  tally.models++;
  const written = encodeModel(first);
  const again = encodeModel(decodeModel(written));
  if (Buffer.compare(written, again) !== 0) throw new Error("written differently the second time");
  for (const proto of tensorsOf(first as PlainMessage, messageType("ModelProto"))) {
    tally.tensors++;
    try {
      const tensor = tensorFromProto(proto);
      if (tensor.strings === undefined && tensor.data.read().length !== tensor.data.byteLength)
        throw new Error("a tensor gave other than it said");
    } catch (error) {
      if (!(error instanceof OctavoError)) throw error;
      tally.badTensors++;
    }
  }
}

function outcome(read: () => ModelProto): ModelProto | OnnxFormatError {
  try {
    return read();
  } catch (error) {
    if (error instanceof OnnxFormatError) return error;
    throw error;
  }
}

function* tensorsOf(message: PlainMessage, type: MessageType): Generator<TensorProto> {
  for (const field of type.fields) {
    const value = message[field.name];
    if (field.shape !== "message" || value === undefined) continue;
    for (const inner of (field.many ? value : [value]) as PlainMessage[])
      if (field.type.name === "TensorProto") yield inner;
      else yield* tensorsOf(inner, field.type);
  }
}
