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
} from "./targets/target.js";
export { reportPage } from "./report/page.js";
export { parseReport, type PageReport, type Parsed } from "./report/schema.js";
export type { SiteReport } from "./report/report.js";
export * from "./errors.js";
