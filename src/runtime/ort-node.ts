// onnxruntime-node as a Runtime. The library is loaded when the first model is, so that the command line starts at once.
import type * as Ort from "onnxruntime-node";
import { RuntimeFailedError } from "../errors.js";
import {
  isRunnable,
  type Elements,
  type Feeds,
  type ModelSource,
  type RunOptions,
  type Runtime,
  type RuntimeTensor,
  type Session,
  type SessionOptions,
} from "./runtime.js";

/** Only what ends a run: onnxruntime's warnings would land in the user's terminal. */
const FATAL_ONLY = 4;

export const ortNode: Runtime = {
  name: "onnxruntime-node",
  async load(model, options = {}) {
    const ort = await import("onnxruntime-node");
    const session = await create(ort, model, options);
    return new OrtSession(ort, session);
  },
};

async function create(
  ort: typeof Ort,
  model: ModelSource,
  options: SessionOptions,
): Promise<Ort.InferenceSession> {
  const settings: Ort.InferenceSession.SessionOptions = {
    graphOptimizationLevel: options.optimize ?? "all",
    logSeverityLevel: FATAL_ONLY,
    ...(options.threads === undefined
      ? {}
      : { intraOpNumThreads: options.threads, interOpNumThreads: 1 }),
    ...(options.optimizedModelPath === undefined
      ? {}
      : { optimizedModelFilePath: options.optimizedModelPath }),
  };
  try {
    return typeof model === "string"
      ? await ort.InferenceSession.create(model, settings)
      : await ort.InferenceSession.create(model, settings);
  } catch (cause) {
    throw failure("load", cause, typeof model === "string" ? model : undefined);
  }
}

class OrtSession implements Session {
  readonly #ort: typeof Ort;
  readonly #session: Ort.InferenceSession;

  constructor(ort: typeof Ort, session: Ort.InferenceSession) {
    this.#ort = ort;
    this.#session = session;
  }

  get inputNames(): readonly string[] {
    return this.#session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#session.outputNames;
  }

  async run(feeds: Feeds, options: RunOptions = {}): Promise<Record<string, RuntimeTensor>> {
    const { outputs = this.outputNames, into = {} } = options;
    const fetches = Object.fromEntries(
      outputs.map((name) => [name, into[name] === undefined ? null : this.#toOrt(into[name])]),
    );
    const inputs = Object.fromEntries(
      Object.entries(feeds).map(([name, tensor]) => [name, this.#toOrt(tensor)]),
    );
    let results: Ort.InferenceSession.OnnxValueMapType;
    try {
      results = await this.#session.run(inputs, fetches);
    } catch (cause) {
      throw failure("run", cause);
    }
    return Object.fromEntries(
      Object.entries(results).map(([name, value]) => [name, fromOrt(name, value as Ort.Tensor)]),
    );
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  #toOrt({ dtype, data, dims }: RuntimeTensor): Ort.Tensor {
    // The library's types tie each name to its array; ELEMENTS holds the same pairs.
    return new this.#ort.Tensor(dtype as "float32", data as Float32Array, dims);
  }
}

function fromOrt(name: string, tensor: Ort.Tensor): RuntimeTensor {
  if (!isRunnable(tensor.type))
    throw new RuntimeFailedError("run", `output "${name}" has type ${tensor.type}`, undefined);
  return { dtype: tensor.type, dims: tensor.dims, data: tensor.data as Elements };
}

function failure(stage: "load" | "run", cause: unknown, path?: string): RuntimeFailedError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const node = /(?:Node|node) ?\(?(?:with name |Name:)?['"]?([^'")\s]+)['"]?/.exec(message)?.[1];
  return new RuntimeFailedError(stage, message, node, path, { cause });
}
