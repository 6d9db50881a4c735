// A model: the graph and what stands around it in the file.
import type { FunctionProto, ModelProto } from "../onnx/proto.js";
import type { Graph } from "./graph.js";

export interface Model {
  readonly graph: Graph;
  /** Version by operator domain; "" is the default domain. */
  readonly opsets: Map<string, number>;
  irVersion: number;
  /** Model-local functions that have not been inlined. */
  functions: readonly FunctionProto[];
  /** Everything else of the file (producer, metadata, training info, unknown fields), written back as it was; `graph`, `functions`, `opsetImport` in it are ignored. */
  readonly rest: Omit<ModelProto, "graph" | "functions" | "opsetImport" | "irVersion">;
}

/** Version of the default operator set; 0 where the model imports none. */
export function opset(model: Model, domain = ""): number {
  return model.opsets.get(domain) ?? 0;
}
