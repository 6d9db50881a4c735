// Reads the graph of an opened model: where every verb begins.
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { decodeModel } from "../onnx/reader.js";
import type { OpenedModel } from "./host.js";

/** The graph as the file holds it. Throws OnnxFormatError, InvalidGraphError, TensorDataError, ExternalDataError. */
export function readGraph(file: OpenedModel): Model {
  return importModel(decodeModel(file.source), file.external);
}
