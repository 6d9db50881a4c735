// Runs models through onnxruntime-node in tests, and reads what PyTorch computed for the zoo's graphs.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { readSafetensors } from "../src/data/safetensors.js";
import { type DType, elementCount } from "../src/onnx/dtypes.js";
import { tensorOf, type Tensor } from "../src/onnx/tensor.js";
import { decodeModel } from "../src/onnx/reader.js";
import { encodeModel } from "../src/onnx/writer.js";
import { unshareWeights } from "../src/runtime/unshare-weights.js";
import { shared } from "./shared.js";

export type Feeds = Readonly<Record<string, Tensor>>;
export type Level = "disabled" | "basic" | "extended" | "layout" | "all";

export interface RunOptions {
  /** onnxruntime's own optimizations; default "all", as users run it. */
  readonly level?: Level;
  readonly threads?: number;
}

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const satisfies Partial<Record<DType, unknown>>;

type Runnable = keyof typeof ARRAYS;

function isRunnable(dtype: string): dtype is Runnable {
  return Object.hasOwn(ARRAYS, dtype);
}

/** The elements of a tensor in the typed array of its dtype (a copy where the bytes are not aligned). */
export function elementsOf(tensor: Tensor): InstanceType<(typeof ARRAYS)[Runnable]> {
  if (!isRunnable(tensor.dtype)) throw new Error(`no typed array for ${tensor.dtype}`);
  const kind = ARRAYS[tensor.dtype];
  const bytes = tensor.data.read();
  const aligned = bytes.byteOffset % kind.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new kind(
    aligned.buffer as ArrayBuffer,
    aligned.byteOffset,
    aligned.byteLength / kind.BYTES_PER_ELEMENT,
  );
}

/** The elements as numbers. */
export function numbers(tensor: Tensor): number[] {
  return Array.from(elementsOf(tensor), Number);
}

export function toOrt(tensor: Tensor): ort.Tensor {
  if (!isRunnable(tensor.dtype)) throw new Error(`no typed array for ${tensor.dtype}`);
  return new ort.Tensor(tensor.dtype as "float32", elementsOf(tensor) as Float32Array, tensor.dims);
}

export function fromOrt(tensor: ort.Tensor): Tensor {
  if (!isRunnable(tensor.type)) throw new Error(`no dtype for ${tensor.type}`);
  return tensorOf(tensor.type, tensor.dims, tensor.data as Float32Array);
}

export async function openSession(
  model: Uint8Array | string,
  options: RunOptions & { readonly saveOptimized?: string } = {},
): Promise<ort.InferenceSession> {
  const settings: ort.InferenceSession.SessionOptions = {
    intraOpNumThreads: options.threads ?? 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: options.level ?? "all",
    logSeverityLevel: 4,
    ...(options.saveOptimized === undefined
      ? {}
      : { optimizedModelFilePath: options.saveOptimized }),
  };
  const create = (from: Uint8Array | string, extra: Record<string, unknown>) =>
    ort.InferenceSession.create(from as string, { ...settings, extra });
  // Sums as the specification has them, also on CPUs whose own saturate; onnxruntime cannot where products share a weight.
  const exact = { session: { x64quantprecision: "1" } };
  return create(model, exact)
    .catch(() => {
      const bytes = typeof model === "string" ? readFileSync(model) : model;
      return create(encodeModel(unshareWeights(decodeModel(bytes))), exact);
    })
    .catch(() => create(model, {}));
}

/** Runs a model (bytes or a path) once; feeds that the model does not take are left out. */
export async function runModel(
  model: Uint8Array | string,
  feeds: Feeds,
  options: RunOptions = {},
): Promise<Record<string, Tensor>> {
  const session = await openSession(model, options);
  try {
    return await runSession(session, feeds);
  } finally {
    await session.release();
  }
}

export async function runSession(
  session: ort.InferenceSession,
  feeds: Feeds,
): Promise<Record<string, Tensor>> {
  const given = Object.entries(feeds).filter(([name]) => session.inputNames.includes(name));
  const results = await session.run(Object.fromEntries(given.map(([n, t]) => [n, toOrt(t)])));
  return Object.fromEntries(session.outputNames.map((n) => [n, fromOrt(results[n] as ort.Tensor)]));
}

/** The model as onnxruntime has optimized it (level "all" by default), as the bytes of an ONNX file. */
export async function optimizedByOrt(
  model: Uint8Array | string,
  options: RunOptions = {},
): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "octavo-optimized-"));
  try {
    const path = join(folder, "model.onnx");
    const session = await openSession(model, { ...options, saveOptimized: path });
    await session.release();
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface ReferenceCase {
  readonly inputs: Feeds;
  readonly outputs: Feeds;
}

export interface Reference {
  /** Case 0 and case 1: what goes in, and what PyTorch computed. */
  readonly cases: readonly ReferenceCase[];
  /** Everything in the file by its full name: `labels`, `loss`, `grad/…` too. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** `reference.safetensors` of a graph of the zoo, by its folder's name. */
export function reference(name: string): Reference {
  const { tensors, metadata } = readSafetensors(
    readFileSync(shared("zoo", name, "reference.safetensors")),
  );
  const part = (prefix: string): Feeds =>
    Object.fromEntries(
      [...tensors]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, tensor]) => [key.slice(prefix.length), tensor]),
    );
  const cases = [0, 1].map((i) => ({
    inputs: part(`case${i}/input/`),
    outputs: part(`case${i}/output/`),
  }));
  return { cases, tensors, metadata };
}

/**
 * Signal-to-noise ratio of `got` against `ref` in dB: Infinity where both are equal (NaN equals NaN), -Infinity where only one is finite at
 * some place. Throws where dims differ.
 */
export function snr(ref: Tensor, got: Tensor): number {
  if (ref.dims.join() !== got.dims.join() || elementCount(ref.dims) !== elementCount(got.dims))
    throw new Error(`shapes differ: [${ref.dims.join(", ")}] and [${got.dims.join(", ")}]`);
  const a = elementsOf(ref);
  const b = elementsOf(got);
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < a.length; i++) {
    const x = Number(a[i]);
    const y = Number(b[i]);
    if (Object.is(x, y) || x === y) {
      if (Number.isFinite(x)) signal += x * x;
      continue;
    }
    if (!Number.isFinite(x) || !Number.isFinite(y)) return -Infinity;
    signal += x * x;
    noise += (x - y) * (x - y);
  }
  return noise === 0 ? Infinity : 10 * Math.log10(signal / noise);
}
