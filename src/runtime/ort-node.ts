// onnxruntime-node as a Runtime. The library is loaded when the first model is, so that the command line starts at once, and what runs no
// model works without it: it is an optional dependency.
import { createRequire } from "node:module";
import { dirname } from "node:path";
import type * as Ort from "onnxruntime-node";
import { RuntimeFailedError, RuntimeMissingError } from "../errors.js";
import { openModelFile } from "../onnx/files.js";
import { decodeModel } from "../onnx/reader.js";
import { encodeModel } from "../onnx/writer.js";
import { runtimeFailure } from "./failure.js";
import { fromOrt, mapValues, portOf } from "./ort-values.js";
import type {
  Feeds,
  ModelSource,
  Port,
  RunOptions,
  Runtime,
  RuntimeTensor,
  Session,
  SessionOptions,
} from "./runtime.js";
import { unshareWeights } from "./unshare-weights.js";

/** Only what ends a run: onnxruntime's warnings would land in the user's terminal. */
const FATAL_ONLY = 4;

const SPINNING: Readonly<
  Record<NonNullable<SessionOptions["spinning"]>, Readonly<Record<string, string>>>
> = {
  always: {},
  running: { "session.force_spinning_stop": "1" },
  never: { "session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0" },
};

/** Without effect on CPUs whose sums of 8-bit products are exact. */
const EXACT_SUMS: Readonly<Record<string, string>> = { "session.x64quantprecision": "1" };
/** What onnxruntime 1.30 says under that key where two products share a weight or its zero points: a fault of its own rewrite. */
const SHARED_WEIGHT = /AddInitializedOrtValue Attempt to replace the existing tensor/;
/** Where the external data of a model lies that is given as bytes. */
const DATA_FOLDER = "session.model_external_initializers_file_folder_path";

const PACKAGE = "onnxruntime-node";

/** Loads the library. Throws what `import` throws. @internal */
type Library = () => Promise<typeof Ort>;

/**
 * Runs models on the CPU of this machine. A run blocks the thread it is called on until it is done: sessions that shall run beside other
 * work belong into worker threads. `load` throws RuntimeMissingError where the package is not installed, `version` says so.
 *
 * @internal Its declaration would need that of the library.
 */
export function ortNodeOf(library: Library = () => import("onnxruntime-node")): Runtime {
  return {
    name: PACKAGE,
    get version() {
      return installedVersion();
    },
    async load(model, options = {}) {
      const ort = await loaded(library);
      const path = typeof model === "string" ? model : undefined;
      const exact = options.integerSums !== "native";
      const session = await create(ort, model, options, exact).catch((error: unknown) => {
        if (!exact || !(error instanceof RuntimeFailedError && SHARED_WEIGHT.test(error.message)))
          throw error;
        return createUnshared(ort, model, options).catch(() => create(ort, model, options, false));
      });
      return new OrtSession(ort, session, options, path);
    },
  };
}

export const ortNode: Runtime = ortNodeOf();

/** A report of work that ran no model is made without the library, too. */
function installedVersion(): string {
  try {
    const { version } = createRequire(import.meta.url)(`${PACKAGE}/package.json`) as {
      version: string;
    };
    return version;
  } catch {
    return "not installed";
  }
}

async function loaded(library: Library): Promise<typeof Ort> {
  // Since 1.29 the library reports its use to its makers, the model's file name included, unless it is told not to.
  process.env["ORT_DISABLE_TELEMETRY"] ??= "1";
  const ort = await library().catch((cause: unknown) => {
    throw new RuntimeMissingError(PACKAGE, whyMissing(cause), { cause });
  });
  // Its logger is made with the first session. Its default level reports on machines without a GPU that there is none.
  if (ort.env.logLevel === "warning") ort.env.logLevel = "error";
  return ort;
}

/** Not installed, or installed without what this platform needs: only the first line is for people. */
function whyMissing(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ERR_MODULE_NOT_FOUND") return "the package is not installed";
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split("\n", 1)[0] ?? message;
}

async function create(
  ort: typeof Ort,
  model: ModelSource,
  options: SessionOptions,
  exactSums: boolean,
): Promise<Ort.InferenceSession> {
  const { threads, optimizedModelPath, profilePrefix } = options;
  const settings: Ort.InferenceSession.SessionOptions = {
    graphOptimizationLevel: options.optimize ?? "all",
    logSeverityLevel: FATAL_ONLY,
    extra: {
      ...SPINNING[options.spinning ?? "always"],
      ...(exactSums ? EXACT_SUMS : {}),
      ...options.configuration,
    },
    ...(options.memoryPatterns === undefined ? {} : { enableMemPattern: options.memoryPatterns }),
    ...(threads === undefined ? {} : { intraOpNumThreads: threads, interOpNumThreads: 1 }),
    ...(optimizedModelPath === undefined ? {} : { optimizedModelFilePath: optimizedModelPath }),
    ...(profilePrefix === undefined
      ? {}
      : { enableProfiling: true, profileFilePrefix: profilePrefix }),
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

async function createUnshared(
  ort: typeof Ort,
  model: ModelSource,
  options: SessionOptions,
): Promise<Ort.InferenceSession> {
  const again = (bytes: Uint8Array) => encodeModel(unshareWeights(decodeModel(bytes)));
  if (model instanceof Uint8Array) return create(ort, again(model), options, true);
  if (typeof model !== "string")
    return create(ort, { ...model, bytes: again(model.bytes) }, options, true);
  const file = openModelFile(model);
  try {
    const bytes = encodeModel(unshareWeights(decodeModel(file.source)));
    const configuration = { [DATA_FOLDER]: dirname(model), ...options.configuration };
    return await create(ort, bytes, { ...options, configuration }, true);
  } finally {
    file.close();
  }
}

class OrtSession implements Session {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly #ort: typeof Ort;
  #session: Ort.InferenceSession | undefined;
  readonly #profiling: boolean;
  readonly #path: string | undefined;

  constructor(
    ort: typeof Ort,
    session: Ort.InferenceSession,
    options: SessionOptions,
    path: string | undefined,
  ) {
    this.#path = path;
    this.#ort = ort;
    this.#session = session;
    this.#profiling = options.profilePrefix !== undefined;
    this.inputs = session.inputMetadata.map(portOf);
    this.outputs = session.outputMetadata.map(portOf);
  }

  async run(feeds: Feeds, options: RunOptions = {}): Promise<Record<string, RuntimeTensor>> {
    if (this.#session === undefined)
      throw new Error("internal: a session was run after its release");
    const { into = {} } = options;
    const outputs = options.outputs ?? this.outputs.map((port) => port.name);
    // onnxruntime takes an empty list for "all".
    if (outputs.length === 0) return {};
    const results: Record<string, RuntimeTensor> = {};
    try {
      const inputs = mapValues(feeds, (tensor) => this.#toOrt(tensor));
      const fetches: Record<string, Ort.Tensor | null> = {};
      for (const name of outputs) {
        if (!this.outputs.some((port) => port.name === name))
          throw new RangeError(`the model has no output "${name}"`);
        const target = into[name];
        fetches[name] = target === undefined ? null : this.#toOrt(target);
      }
      const values = await this.#session.run(inputs, fetches);
      for (const name of outputs)
        results[name] = into[name] ?? fromOrt(name, values[name] as Ort.Tensor);
    } catch (cause) {
      throw cause instanceof RuntimeFailedError ? cause : runtimeFailure("run", cause, this.#path);
    }
    return results;
  }

  async release(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    if (this.#profiling) session.endProfiling();
    await session.release();
  }

  #toOrt({ dtype, data, dims }: RuntimeTensor): Ort.Tensor {
    // The library's types tie each name to its array; ELEMENTS holds the same pairs.
    return new this.#ort.Tensor(dtype as "float32", data as Float32Array, dims);
  }
}
