// The core: bytes and typed data in, bytes and typed data out. No file system and no runtime, so it runs in a page or a worker.
import { exportModel } from "./graph/export.js";
import { importModel } from "./graph/import.js";
import type { Model } from "./graph/model.js";
import { decodeModel } from "./onnx/reader.js";
import { encodeModel } from "./onnx/writer.js";
import type { ExternalData } from "./onnx/external.js";

/**
 * Reads an ONNX file from memory; tensors stay views over `bytes`. `external` opens the files that hold external data. Throws
 * OnnxFormatError, InvalidGraphError, TensorDataError, ExternalDataError.
 */
export function readModel(bytes: Uint8Array, external?: ExternalData): Model {
  return importModel(decodeModel(bytes), external);
}

/** The model as one ONNX file. Throws ModelTooLargeError beyond 2 GB, and what reading its tensors throws. */
export function writeModel(model: Model): Uint8Array {
  return encodeModel(exportModel(model));
}

export { quantizeBytes, type QuantizedBytes } from "./pipeline/bytes.js";
export type { QuantizeBytesOptions } from "./options/quantize-bytes.js";
export {
  fates,
  lowerPlan,
  makePlan,
  planModel,
  requireFloat,
  type Planned,
  type PlanOptions,
} from "./plan/plan-model.js";
export { prepare, type Preparation } from "./plan/prepare.js";
export { print } from "./graph/print.js";
export { verify } from "./graph/verify.js";
export { Graph, type Dim, type Node, type Value } from "./graph/graph.js";
export type { Model } from "./graph/model.js";
export type { ExternalData } from "./onnx/external.js";
export type { ByteSource } from "./onnx/source.js";
export { quantizedForm } from "./quant/already.js";
export { parsePlan, planToJson, type Mode, type Plan, type SitePlan } from "./quant/plan.js";
export { findSites, type Site, type SiteKind } from "./quant/sites.js";
export { targetFor, TARGET_NAMES, type TargetName } from "./targets/all.js";
export type {
  AttentionChoice,
  Choices,
  Fate,
  LoweringOptions,
  ResidualChoice,
  Target,
  DimsOf,
} from "./targets/target.js";
export { inferTypes } from "./ops/infer.js";
export { float32Tensor, int64Tensor, lazyTensor, tensorOf } from "./onnx/tensor.js";
export { bigintsOf, floatsOf, numbersOf } from "./onnx/values.js";
export { differentiate, type DifferentiateOptions } from "./autodiff/differentiate.js";
export { addLoss } from "./train/losses.js";
export { trainLoop } from "./train/loop.js";
export { finishTraining, trainingGraph } from "./train/training-graph.js";
export { reportPage } from "./report/page.js";
export { parseReport, type PageReport, type Parsed } from "./report/schema.js";
export type { SiteReport } from "./report/report.js";
export * from "./errors.js";

// What the types above contain.
export type { Backward } from "./autodiff/backward.js";
export type { Attributes, BuilderOptions, GraphBuilder, Inputs, Naming } from "./graph/builder.js";
export type { GradientRule, GradientTable } from "./autodiff/rule.js";
export type { Attribute, AttributeInput, AttributeValue } from "./graph/attribute.js";
export type { NewNode } from "./graph/graph.js";
export type { Use } from "./graph/node.js";
export type { DType } from "./onnx/dtypes.js";
export type * from "./onnx/proto.js";
export type { Tensor } from "./onnx/tensor.js";
export type { Fact } from "./ops/facts.js";
export type { GrowingTypes } from "./ops/infer.js";
export type { OperandOptions, SiteOptions, WeightOptions } from "./options/groups.js";
export type { LowerOptions } from "./plan/plan-model.js";
export type { PrepareOptions } from "./plan/prepare.js";
export type { Operand } from "./quant/operands.js";
export type {
  ActivationSpec,
  BlockWeight,
  ChannelWeight,
  Range,
  WeightForm,
  WeightRange,
  WeightSpec,
} from "./quant/plan.js";
export type { RoundedWeight, RoundedWeights } from "./quant/rounded.js";
export type {
  AttentionSite,
  ConvolutionSite,
  EmbeddingSite,
  LinearSite,
  OpaqueSite,
  ResidualSite,
  SiteBase,
} from "./quant/sites.js";
export type { MatrixView } from "./quant/weight-view.js";
export type {
  BenchmarkReport,
  BenchmarkedModel,
  EnvironmentReport,
  RatioReport,
  TimingReport,
} from "./report/benchmark.js";
export type {
  AgreementReport,
  ChangeReport,
  CompareReport,
  EvaluateReport,
  MetricChangeReport,
  MetricReport,
  SiteSensitivityReport,
  SiteErrorReport,
  TensorErrorReport,
  TestReport,
} from "./report/evaluation.js";
export type {
  CalibrationReport,
  CheckReport,
  ClippedReport,
  QuantizeReport,
} from "./report/report.js";
export type { AblationReport, ActivationReport, PartReport } from "./report/run.js";
export type { CurvePointReport, QatReport, TrainReport } from "./report/train.js";
export type {
  Elements,
  Feeds,
  ModelBytes,
  ModelSource,
  Port,
  RunOptions,
  RunnableDType,
  Runtime,
  RuntimeTensor,
  Session,
  SessionOptions,
} from "./runtime/runtime.js";
export type { Finding, Verdict } from "./targets/lint.js";
export type { Rewrite, TargetChoices, WrittenModel } from "./targets/target.js";
export type { LossTerm, PooledBy, Weighted } from "./train/losses.js";
export type { Parameter } from "./train/parameters.js";
export type { Schedule } from "./train/schedule.js";
export type { Copy } from "./train/shared-matrices.js";
export type { TrainingGraph } from "./train/training-graph.js";
export type {
  CheckpointStore,
  CurvePoint,
  OptimizerOptions,
  StepProgress,
  TrainLoopOptions,
  Trainable,
  Trained,
  TrainingBatch,
  TrainingBatches,
  TrainingState,
  LateOptions,
} from "./train/training.js";
