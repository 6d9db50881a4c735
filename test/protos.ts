// Messages of small models for tests, as a reader of files would give them.
import type { AttributeProto, GraphProto, ModelProto, NodeProto } from "../src/onnx/proto.js";
import { blobOf } from "../src/onnx/source.js";

export function nodeProto(
  opType: string,
  input: string[],
  output: string[],
  attribute: AttributeProto[] = [],
): NodeProto {
  return { opType, input, output, attribute };
}

export function floatProto(name: string, values = [1, 2]) {
  const rawData = blobOf(new Uint8Array(Float32Array.from(values).buffer));
  return { name, dims: [values.length], dataType: 1, rawData };
}

/** Inputs or outputs that say no more than their names. */
export function names(...list: string[]): { name: string }[] {
  return list.map((name) => ({ name }));
}

export function bodyProto(name: string, g: GraphProto): AttributeProto {
  return { name, type: 5, g };
}

/** An If on c whose other branch negates x. */
export function choiceProto(then: GraphProto, output = "y"): NodeProto {
  const otherwise = { node: [nodeProto("Neg", ["x"], ["e"])], output: names("e") };
  const branches = [bodyProto("then_branch", then), bodyProto("else_branch", otherwise)];
  return nodeProto("If", ["c"], [output], branches);
}

/** A model with the inputs x and c and the output y, where the graph does not say otherwise. */
export function modelProto(graph: GraphProto): ModelProto {
  return {
    irVersion: 8,
    opsetImport: [{ version: 18 }],
    graph: { input: names("x", "c"), output: names("y"), ...graph },
  };
}
