// Models of one node, to hold what Octavo says about an operator against what onnxruntime does.
import { exportModel } from "../src/graph/export.js";
import { Graph, type Node } from "../src/graph/graph.js";
import type { AttributeInput } from "../src/graph/attribute.js";
import type { Model } from "../src/graph/model.js";
import { encodeModel } from "../src/onnx/writer.js";
import type { Tensor } from "../src/onnx/tensor.js";
import { fromOrt, openSession, toOrt } from "./run.js";

export interface OneNode {
  readonly op: string;
  readonly domain?: string;
  readonly opset?: number;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  readonly outputs?: number;
}

/** The model, its inputs named i0, i1, … with their dims, and its node. */
export function modelOf({
  op,
  domain = "",
  opset = 18,
  inputs,
  attributes = {},
  outputs,
}: OneNode): {
  model: Model;
  node: Node;
} {
  const graph = new Graph();
  graph.name = "one";
  const values = inputs.map(
    (t, i) => t && graph.addInput(`i${i}`, { dtype: t.dtype, shape: t.dims }),
  );
  const node = graph.addNode({ op, domain, inputs: values, attributes, outputs: outputs ?? 1 });
  for (const value of node.outputs) if (value) graph.addOutput(value);
  const opsets = new Map([["", opset]]);
  if (domain !== "") opsets.set(domain, 1);
  return { model: { graph, opsets, irVersion: 8, functions: [], rest: {} }, node };
}

/** What onnxruntime computes. */
export async function runNode(spec: OneNode): Promise<Tensor[]> {
  const { model, node } = modelOf(spec);
  const session = await openSession(encodeModel(exportModel(model)), { level: "disabled" });
  const feeds = Object.fromEntries(
    spec.inputs.flatMap((t, i) => (t === undefined ? [] : [[`i${i}`, toOrt(t)]])),
  );
  try {
    const results = await session.run(feeds);
    return node.outputs.map((v) =>
      fromOrt(results[v?.name ?? ""] as Parameters<typeof fromOrt>[0]),
    );
  } finally {
    await session.release();
  }
}
