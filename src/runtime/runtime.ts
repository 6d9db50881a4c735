// What Octavo asks of a runtime: load a model, feed it, read its outputs. The core knows these interfaces only; node.ts and web.ts bind one.
import type { DType } from "../onnx/dtypes.js";
import type { Dim } from "../graph/graph.js";

/** Elements in the typed array of their type; float16 as its bits, bool as bytes. */
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

/** An input or output as the runtime sees it. */
export interface Port {
  readonly name: string;
  /** Undefined for what is no tensor (a sequence, a map). */
  readonly dtype: DType | undefined;
  readonly shape: readonly Dim[] | undefined;
}

export interface SessionOptions {
  /** Threads within an operator; default: what the runtime chooses (the cores). */
  readonly threads?: number;
  /** The runtime's own graph optimizations; default: all. */
  readonly optimize?: "disabled" | "basic" | "extended" | "layout" | "all";
  /** Where the runtime writes the model as it has optimized it. */
  readonly optimizedModelPath?: string;
  /**
   * Whether idle threads of the runtime wait in a loop: "always" is fastest for run after run (the default), "running" stops between runs,
   * "never" leaves the cores to others at all times.
   */
  readonly spinning?: "always" | "running" | "never";
  /**
   * Whether the runtime plans memory anew for each shape of the inputs, and keeps every plan: a little faster, and where shapes change or the
   * graph is long it takes much more memory. Default true.
   */
  readonly memoryPatterns?: boolean;
  /**
   * Sums of 8-bit products: "exact" as the specification has them (the default; "native" where the runtime cannot), or "native" as the
   * runtime makes them unasked. On x86-64 CPUs without VNNI the native ones are faster and saturate at 16 bits.
   */
  readonly integerSums?: "exact" | "native";
  /** Beginning of the path of the profile (JSON of trace events), written when the session is released. */
  readonly profilePrefix?: string;
  /** Further configuration of the runtime by its own keys, as `session.x64quantprecision`. */
  readonly configuration?: Readonly<Record<string, string>>;
}

export interface RunOptions {
  /** Outputs to compute; default: all. */
  readonly outputs?: readonly string[];
  /** Tensors that outputs of that name are written into, and are returned. Type and dims must be the output's. */
  readonly into?: Feeds;
}

export interface Session {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Feeds that the model does not have are ignored. Throws RuntimeFailedError. */
  run(feeds: Feeds, options?: RunOptions): Promise<Record<string, RuntimeTensor>>;
  /** Frees the session; it cannot run any more. Releasing twice does nothing. */
  release(): Promise<void>;
}

/** A model in memory whose tensors lie partly in other files: their bytes by the location that the model names. */
export interface ModelBytes {
  readonly bytes: Uint8Array;
  readonly externalData: Readonly<Record<string, Uint8Array>>;
}

/** A model's path (external data beside it), its bytes, or its bytes with its external data. */
export type ModelSource = string | Uint8Array | ModelBytes;

/** Runtimes that can be named. */
export const RUNTIME_NAMES = ["onnxruntime-node", "onnxruntime-web"] as const;
export type RuntimeName = (typeof RUNTIME_NAMES)[number];

export interface Runtime {
  readonly name: string;
  readonly version: string;
  /** Throws RuntimeFailedError. */
  load(model: ModelSource, options?: SessionOptions): Promise<Session>;
}
