// Attributes of a node as a tagged union; graphs inside them are Graph objects, tensors are handles.
import type { AttributeProto } from "../onnx/proto.js";
import type { Int64 } from "../onnx/proto.js";
import type { Tensor } from "../onnx/tensor.js";
import type { Graph } from "./graph.js";

/** `docString`: what the file says of it. */
export type Attribute = { readonly docString?: string } & AttributeValue;

export type AttributeValue =
  | { readonly type: "int"; readonly value: Int64 }
  | { readonly type: "float"; readonly value: number }
  | { readonly type: "string"; readonly value: Uint8Array }
  | { readonly type: "tensor"; readonly value: Tensor }
  | { readonly type: "graph"; readonly value: Graph }
  | { readonly type: "ints"; readonly value: readonly Int64[] }
  | { readonly type: "floats"; readonly value: readonly number[] }
  | { readonly type: "strings"; readonly value: readonly Uint8Array[] }
  | { readonly type: "tensors"; readonly value: readonly Tensor[] }
  | { readonly type: "graphs"; readonly value: readonly Graph[] }
  /** A reference to an attribute of the enclosing function (`ref_attr_name`). */
  | { readonly type: "reference"; readonly value: string; readonly proto: AttributeProto }
  /** Sparse tensors and type protos: kept, not interpreted. */
  | { readonly type: "opaque"; readonly proto: AttributeProto };

/** What `addNode` takes for an attribute: plain values for the common kinds, or a tagged Attribute. */
export type AttributeInput = Attribute | number | string | readonly number[];

const utf8 = new TextEncoder();

/** Whole numbers become ints; a float is written as `{ type: "float", value }`. */
export function toAttribute(input: AttributeInput): Attribute {
  if (typeof input === "string") return { type: "string", value: utf8.encode(input) };
  if (typeof input === "number") return { type: "int", value: whole(input) };
  if (isNumberList(input)) return { type: "ints", value: input.map(whole) };
  return input;
}

function whole(value: number): number {
  if (Number.isInteger(value)) return value;
  throw new Error(`internal: ${value} is no int attribute; write { type: "float", value }`);
}

function isNumberList(input: AttributeInput): input is readonly number[] {
  return Array.isArray(input);
}
