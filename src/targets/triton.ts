// The configuration of a model for Triton Inference Server: what its inputs and outputs are there, and which backend runs it on a target.
import { UnsupportedError } from "../errors.js";
import type { Dim, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import type { DType } from "../onnx/dtypes.js";
import type { TargetName } from "./all.js";
import { message, text, word, type Field } from "./pbtxt.js";
import { shapeProfiles } from "./trtexec.js";
import type { DimsOf } from "./target.js";

interface Backend {
  readonly backend: "onnxruntime" | "openvino";
  readonly instances: "KIND_CPU" | "KIND_GPU";
  /** The file is not called as the backend's own format is. */
  readonly namesFile?: true;
  readonly accelerator?: "tensorrt";
}

const CPU: Backend = { backend: "onnxruntime", instances: "KIND_CPU" };
const BACKENDS: Readonly<Record<TargetName, Backend>> = {
  cpu: CPU,
  // The model for web holds the operators of the one for cpu.
  web: CPU,
  openvino: { backend: "openvino", instances: "KIND_CPU", namesFile: true },
  tensorrt: { backend: "onnxruntime", instances: "KIND_GPU", accelerator: "tensorrt" },
};

/** Element types: in the configuration, and in a request. */
const TYPES: Partial<Record<DType, readonly [config: string, request: string]>> = {
  bool: ["TYPE_BOOL", "BOOL"],
  uint8: ["TYPE_UINT8", "UINT8"],
  uint16: ["TYPE_UINT16", "UINT16"],
  uint32: ["TYPE_UINT32", "UINT32"],
  uint64: ["TYPE_UINT64", "UINT64"],
  int8: ["TYPE_INT8", "INT8"],
  int16: ["TYPE_INT16", "INT16"],
  int32: ["TYPE_INT32", "INT32"],
  int64: ["TYPE_INT64", "INT64"],
  float16: ["TYPE_FP16", "FP16"],
  float32: ["TYPE_FP32", "FP32"],
  float64: ["TYPE_FP64", "FP64"],
  bfloat16: ["TYPE_BF16", "BF16"],
  string: ["TYPE_STRING", "BYTES"],
};

/** An input or output as Triton knows it. */
export interface TritonTensor {
  readonly name: string;
  readonly type: string;
  readonly requestType: string;
  /** Of the whole tensor, its batch included; −1 is free. */
  readonly dims: readonly number[];
}

export interface TritonModel {
  readonly inputs: readonly TritonTensor[];
  readonly outputs: readonly TritonTensor[];
  /** Why requests cannot be put together into batches; undefined where they can. */
  readonly unbatched?: string;
}

export interface TritonSettings {
  readonly name: string;
  readonly target: TargetName;
  /** Requests in a batch at most. */
  readonly maxBatch: number;
  /** For the shapes that an engine is built for. */
  readonly dimsOf: DimsOf;
}

/** Operators that the target's engine does not have: their nodes run one by one elsewhere. */
const FOREIGN_TO_TENSORRT: ReadonlySet<string> = new Set([
  "DynamicQuantizeLinear",
  "MatMulInteger",
  "ConvInteger",
  "QLinearMatMul",
  "QLinearConv",
]);

/** What clients feed: inputs without a default. */
function fedInputs({ graph }: Model): Value[] {
  return graph.inputs.filter((value) => value.tensor === undefined);
}

/** The inputs and outputs of a model whose types are inferred. Throws UnsupportedError for one that Triton cannot take. */
export function tritonModel(model: Model): TritonModel {
  const inputs = fedInputs(model);
  const { outputs } = model.graph;
  const unbatched = whyUnbatched(inputs, outputs);
  return {
    inputs: inputs.map(tensorOf),
    outputs: outputs.map(tensorOf),
    ...(unbatched === undefined ? {} : { unbatched }),
  };
}

function tensorOf(value: Value): TritonTensor {
  const { name, dtype, shape } = value;
  const types = dtype === undefined ? undefined : TYPES[dtype];
  if (types === undefined || shape === undefined) {
    const got = dtype === undefined ? "no tensor of a known type" : `of type ${dtype}`;
    throw new UnsupportedError(
      `Serving "${name}" from Triton`,
      types === undefined ? `it is ${got}` : "the graph does not tell how many dims it has",
      "Export the model with tensors of usual types and known rank as inputs and outputs.",
    );
  }
  const [type, requestType] = types;
  const dims = shape.map((dim) => (typeof dim === "number" ? dim : -1));
  return { name, type, requestType, dims };
}

/**
 * Free first dims of inputs are taken for the batch, whatever they are called: exporters give each input symbols of its own. Outputs must have
 * one of these, or one that inference could not follow.
 */
function whyUnbatched(inputs: readonly Value[], outputs: readonly Value[]): string | undefined {
  const batches = new Set<Dim | undefined>([null, ...inputs.map((value) => value.shape?.[0])]);
  for (const value of [...inputs, ...outputs]) {
    const first = value.shape?.[0];
    if (first === undefined) return `"${value.name}" has no dims`;
    if (typeof first === "number") return `the first dim of "${value.name}" is fixed at ${first}`;
    if (!batches.has(first))
      return `the first dim of output "${value.name}" is ${first}, that of no input`;
  }
  return inputs.length === 0 ? "it has no inputs" : undefined;
}

/** Nodes by operator that TensorRT does not take, "" where there are none. */
export function foreignToTensorrt(model: Model): string {
  const counts = new Map<string, number>();
  for (const { op, domain } of model.graph.allNodes())
    if (domain === "com.microsoft" || FOREIGN_TO_TENSORRT.has(op))
      counts.set(op, (counts.get(op) ?? 0) + 1);
  return [...counts].map(([op, count]) => `${op} × ${count}`).join(", ");
}

/** The engine of a GPU that TensorRT builds from the file keeps INT8 where the file says so. */
function precisionOf(model: Model): "INT8" | "FP16" {
  const explicit = [...model.graph.allNodes()].some((node) => node.op === "QuantizeLinear");
  return explicit ? "INT8" : "FP16";
}

/**
 * The text of config.pbtxt, a `ModelConfig` in protobuf's text format (Triton's model configuration; the accelerator's keys are those of its
 * onnxruntime backend).
 */
export function tritonConfig(model: Model, settings: TritonSettings): string {
  const { inputs, outputs, unbatched } = tritonModel(model);
  const { name, target, maxBatch } = settings;
  const { backend, instances, namesFile, accelerator } = BACKENDS[target];
  const batched = unbatched === undefined && maxBatch > 0;
  const fields: Field[] = [
    ["name", text(name)],
    ["backend", text(backend)],
    ...(namesFile ? [["default_model_filename", text("model.onnx")] as const] : []),
    ["max_batch_size", word(batched ? maxBatch : 0)],
    ...inputs.map((tensor): Field => ["input", io(tensor, batched)]),
    ...outputs.map((tensor): Field => ["output", io(tensor, batched)]),
    ...(batched ? [["dynamic_batching", message([])] as const] : []),
    ["instance_group", message([["kind", word(instances)]])],
  ];
  if (accelerator !== undefined)
    fields.push([
      "optimization",
      acceleration(model, settings.dimsOf, batched ? maxBatch : undefined),
    ]);
  return message(fields).body;
}

function io({ name, type, dims }: TritonTensor, batched: boolean) {
  const own = batched ? dims.slice(1) : dims;
  // A shape without dims cannot be written down: a client sends one value, and the server takes the dim away.
  const scalar = own.length === 0;
  return message([
    ["name", text(name)],
    ["data_type", word(type)],
    ["dims", word(`[ ${(scalar ? [1] : own).join(", ")} ]`)],
    ...(scalar ? [["reshape", message([["shape", word("[ ]")]])] as const] : []),
  ]);
}

function acceleration(model: Model, dimsOf: DimsOf, maxBatch: number | undefined) {
  const inputs = fedInputs(model);
  // Names that hold the separators of a profile cannot stand in one; then an engine is built for each new shape.
  const profiled = !inputs.some(({ name }) => /[:,]/.test(name));
  const profiles = profiled ? shapeProfiles(dimsOf, maxBatch) : [];
  const keys = [
    ["precision_mode", precisionOf(model)],
    ["trt_engine_cache_enable", "1"],
    ...profiles.map((shapes, i) => [`trt_profile_${["min", "opt", "max"][i]}_shapes`, shapes]),
  ];
  const parameters = keys.map(([key = "", value = ""]): Field => [
    "parameters",
    message([
      ["key", text(key)],
      ["value", text(value)],
    ]),
  ]);
  const gpu = message([["name", text("tensorrt")], ...parameters]);
  return message([["execution_accelerators", message([["gpu_execution_accelerator", gpu]])]]);
}
