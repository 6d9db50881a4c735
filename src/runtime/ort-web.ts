// onnxruntime-web's WebAssembly build as a Runtime, in pages and in Node. The library is an optional peer: who wants it installs it.
import type * as Ort from "onnxruntime-web";
import { RuntimeFailedError, UnsupportedError } from "../errors.js";
import { runtimeFailure } from "./failure.js";
import { fromOrt, mapValues, portOf } from "./ort-values.js";
import type {
  Elements,
  Feeds,
  ModelSource,
  Port,
  RunOptions,
  Runtime,
  RuntimeTensor,
  Session,
  SessionOptions,
} from "./runtime.js";

/** Only what ends a run. */
const FATAL_ONLY = 4;

/** All sessions of a process (of a page) share the library's threads. */
let threadsInUse: number | undefined;

/**
 * Loads the library. A path (in a page: an address) is read by the library itself, which takes no data files beside it: give a model that has
 * some as bytes with `externalData`. `spinning` has no effect. Throws UnsupportedError where the package is not installed; `load` throws it
 * for files that the library cannot write, and for another number of threads than the first model was loaded with.
 */
export async function ortWeb(
  library: () => Promise<typeof Ort> = () => import("onnxruntime-web"),
): Promise<Runtime> {
  const ort = await library().catch((cause: unknown) => {
    throw notInstalled(cause);
  });
  ort.env.logLevel = "error";
  return {
    name: "onnxruntime-web",
    version: ort.env.versions.web ?? ort.env.versions.common,
    async load(model, options = {}) {
      requireWritesNothing(options);
      useThreads(ort, options.threads);
      const session = await create(ort, model, options);
      return new OrtWebSession(ort, session, typeof model === "string" ? model : undefined);
    },
  };
}

function notInstalled(cause: unknown): unknown {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "ERR_MODULE_NOT_FOUND"
    ? new UnsupportedError(
        "Running with onnxruntime-web",
        "the package is not installed",
        "Install it beside Octavo: npm install onnxruntime-web",
      )
    : cause;
}

function requireWritesNothing({ optimizedModelPath, profilePrefix }: SessionOptions): void {
  if (optimizedModelPath === undefined && profilePrefix === undefined) return;
  throw new UnsupportedError(
    optimizedModelPath === undefined ? "A profile" : "An optimized model",
    "onnxruntime-web has no files to write to",
    "Use onnxruntime-node.",
  );
}

function useThreads({ env }: typeof Ort, threads: number | undefined): void {
  if (threads !== undefined) {
    if (threadsInUse !== undefined && threadsInUse !== threads)
      throw new UnsupportedError(
        `A model with ${threads} threads in onnxruntime-web`,
        `its threads are set once, with the first model, to ${threadsInUse === 0 ? "its own choice" : threadsInUse}`,
        "Use the same number, or another process.",
      );
    env.wasm.numThreads = threads;
  }
  // 0 stands for the library's own choice.
  threadsInUse ??= threads ?? 0;
}

async function create(
  ort: typeof Ort,
  model: ModelSource,
  options: SessionOptions,
): Promise<Ort.InferenceSession> {
  const settings: Ort.InferenceSession.SessionOptions = {
    executionProviders: ["wasm"],
    graphOptimizationLevel: options.optimize ?? "all",
    logSeverityLevel: FATAL_ONLY,
    ...(options.configuration === undefined ? {} : { extra: options.configuration }),
  };
  try {
    if (typeof model === "string") return await ort.InferenceSession.create(model, settings);
    if (model instanceof Uint8Array) return await ort.InferenceSession.create(model, settings);
    const externalData = Object.entries(model.externalData).map(([path, data]) => ({ path, data }));
    return await ort.InferenceSession.create(model.bytes, { ...settings, externalData });
  } catch (cause) {
    throw runtimeFailure("load", cause, typeof model === "string" ? model : undefined);
  }
}

class OrtWebSession implements Session {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly #ort: typeof Ort;
  readonly #path: string | undefined;
  #session: Ort.InferenceSession | undefined;

  constructor(ort: typeof Ort, session: Ort.InferenceSession, path: string | undefined) {
    this.#ort = ort;
    this.#session = session;
    this.#path = path;
    this.inputs = session.inputMetadata.map(portOf);
    this.outputs = session.outputMetadata.map(portOf);
  }

  async run(feeds: Feeds, options: RunOptions = {}): Promise<Record<string, RuntimeTensor>> {
    const session = this.#session;
    if (session === undefined) throw new Error("internal: a session was run after its release");
    const { into = {}, outputs = this.outputs.map((port) => port.name) } = options;
    // An empty list is taken for "all".
    if (outputs.length === 0) return {};
    try {
      const known = Object.entries(feeds).filter(([name]) => session.inputNames.includes(name));
      const inputs = mapValues(Object.fromEntries(known), (tensor) => this.#toOrt(tensor));
      const values = await session.run(inputs, outputs);
      return Object.fromEntries(
        outputs.map((name) => {
          const value = values[name];
          if (value === undefined) throw new RangeError(`the model has no output "${name}"`);
          const result = fromOrt(name, value);
          const target = into[name];
          return [name, target === undefined ? result : copied(name, result, target)];
        }),
      );
    } catch (cause) {
      throw cause instanceof RuntimeFailedError ? cause : runtimeFailure("run", cause, this.#path);
    }
  }

  async release(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }

  #toOrt({ dtype, data, dims }: RuntimeTensor): Ort.Tensor {
    // The library's types tie each name to its array; ELEMENTS holds the same pairs.
    return new this.#ort.Tensor(dtype as "float32", data as Float32Array, dims);
  }
}

/** The library's memory is its own: nothing can be computed in place, so what was computed is copied there. */
function copied(name: string, from: RuntimeTensor, to: RuntimeTensor): RuntimeTensor {
  if (from.dtype !== to.dtype || from.dims.join() !== to.dims.join())
    throw new RangeError(
      `output "${name}" is ${from.dtype} [${from.dims.join(", ")}], the tensor given for it ${to.dtype} [${to.dims.join(", ")}]`,
    );
  (to.data as { set(elements: Elements): void }).set(from.data);
  return to;
}
