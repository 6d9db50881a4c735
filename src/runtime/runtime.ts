// What Octavo asks of a runtime: load a model, feed it, read its outputs. The core knows these interfaces only; node.ts and web.ts bind one.
import type { DType } from "../onnx/dtypes.js";

/** Elements in the typed array of their type; float16 and bfloat16 as their bits, bool as bytes. */
export type Elements =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Array type by element type, for the types that runtimes take and give. */
export const ELEMENTS = {
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

export type RunnableDType = keyof typeof ELEMENTS;

export function isRunnable(dtype: string | undefined): dtype is RunnableDType {
  return dtype !== undefined && Object.hasOwn(ELEMENTS, dtype);
}

export interface RuntimeTensor {
  readonly dtype: RunnableDType;
  readonly dims: readonly number[];
  readonly data: Elements;
}

export type Feeds = Readonly<Record<string, RuntimeTensor>>;

export interface SessionOptions {
  /** Threads within an operator; default: what the runtime chooses. */
  readonly threads?: number;
  /** The runtime's own graph optimizations; default: all. */
  readonly optimize?: "disabled" | "basic" | "extended" | "layout" | "all";
  /** Where the runtime writes the model as it has optimized it. */
  readonly optimizedModelPath?: string;
}

export interface RunOptions {
  /** Outputs to compute; default: all. */
  readonly outputs?: readonly string[];
  /** Buffers that outputs of that name are written into. */
  readonly into?: Feeds;
}

export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Throws RuntimeFailedError. */
  run(feeds: Feeds, options?: RunOptions): Promise<Record<string, RuntimeTensor>>;
  release(): Promise<void>;
}

/** A model's path (external data beside it), or its bytes. */
export type ModelSource = string | Uint8Array;

export interface Runtime {
  readonly name: string;
  /** Throws RuntimeFailedError. */
  load(model: ModelSource, options?: SessionOptions): Promise<Session>;
}
