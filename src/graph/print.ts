// The graph as text, for people and for tests that compare it before and after a pass. `%` marks what a node makes; inputs and initializers
// go by their bare names. Small constants show their values, so a reader need not look them up.
import { DTYPES, dtypeOfCode, elementCount, type DType } from "../onnx/dtypes.js";
import type { FunctionProto, TypeProto } from "../onnx/proto.js";
import type { Tensor } from "../onnx/tensor.js";
import { bigintsOf, numbersOf } from "../onnx/values.js";
import type { Attribute } from "./attribute.js";
import { Graph, type Dim, type Node, type Value } from "./graph.js";
import type { Model } from "./model.js";

/** Elements a constant may have to be shown by its values. */
const INLINE = 8;
/** Entries of an attribute's list that are shown. */
const LISTED = 16;
const WIDTH = 100;

/**
 * The graph (of a model: below a line with its operator sets) as readable, deterministic text: one line per node,
 * `%output: type = Operator(inputs) attributes`, subgraphs indented. Types stand where they are known. A float always has a point or an
 * exponent; constants that are neither float32 nor int64 say their type.
 */
export function print(graph: Graph | Model): string {
  const lines: string[] = [];
  if (graph instanceof Graph) printGraph(graph, "", lines);
  else {
    const opsets = [...graph.opsets].map(([domain, v]) =>
      domain === "" ? `${v}` : `${domain} ${v}`,
    );
    if (opsets.length > 0) lines.push(`opset ${opsets.join(", ")}`);
    for (const f of graph.functions) lines.push(functionLine(f));
    printGraph(graph.graph, "", lines);
  }
  return lines.join("\n");
}

/** `attribute` is the one of its node that holds the graph. */
function printGraph(graph: Graph, indent: string, lines: string[], attribute = ""): void {
  const name = graph.name === "" ? "graph" : nameText(graph.name);
  const keyword = attribute === "" ? (graph.name === "" ? "" : "graph ") : `${attribute} = `;
  const head = `${indent}${keyword}${name}`;
  const inputs = graph.inputs.map(inputText);
  const inner = `${indent}  `;
  const line = `${head}(${inputs.join(", ")})`;
  if (line.length <= WIDTH) lines.push(line);
  else lines.push(`${head}(`, ...inputs.map((input) => `${inner}  ${input},`), `${indent})`);
  for (const value of graph.initializers())
    if (value.uses.size === 0 && !value.isInput)
      lines.push(`${inner}unused ${nameText(value.name)}: ${contentText(value)}`);
  for (const node of graph.nodes()) printNode(node, inner, lines);
  const outputs = graph.outputs.map((value) => ` ${outputText(value)}`);
  lines.push(`${inner}return${outputs.join(",")}`);
}

function inputText(value: Value): string {
  const content = value.tensor ?? value.sparse;
  return `${nameText(value.name)}${typeSuffix(value)}${content === undefined ? "" : ` = ${contentText(value)}`}`;
}

function printNode(node: Node, indent: string, lines: string[]): void {
  const outputs = node.outputs.map((v) =>
    v === undefined ? "_" : `%${nameText(v.name)}${typeSuffix(v)}`,
  );
  const inputs = node.inputs.map((v) => (v === undefined ? "_" : operandText(v)));
  const words = [`${nameText(node.op)}(${inputs.join(", ")})`];
  const bodies: [string, Graph][] = [];
  for (const [name, attribute] of node.attributes)
    if (attribute.type === "graph") bodies.push([name, attribute.value]);
    else if (attribute.type === "graphs")
      attribute.value.forEach((body, i) => bodies.push([`${name}[${i}]`, body]));
    else words.push(`${name}=${attributeText(attribute)}`);
  const left = outputs.length === 0 ? "" : `${outputs.join(", ")} = `;
  lines.push(`${indent}${left}${words.join(" ")}`);
  for (const [name, body] of bodies) printGraph(body, `${indent}  `, lines, name);
}

/** A value where it is read. */
function operandText(value: Value): string {
  if (value.producer !== undefined) return `%${nameText(value.name)}`;
  if (value.isInput) return nameText(value.name);
  if (value.tensor !== undefined && isSmall(value.tensor)) return elementsText(value.tensor);
  return `${nameText(value.name)}: ${contentText(value)}`;
}

/** A value that the graph returns: its name is part of what it is. */
function outputText(value: Value): string {
  const constant = value.producer === undefined && !value.isInput;
  return constant ? `${nameText(value.name)}: ${contentText(value)}` : operandText(value);
}

function contentText(value: Value): string {
  if (value.tensor !== undefined) return tensorText(value.tensor);
  return value.sparse === undefined ? "?" : `sparse[${(value.sparse.dims ?? []).join(", ")}]`;
}

function tensorText(tensor: Tensor): string {
  return isSmall(tensor) ? elementsText(tensor) : `${tensor.dtype}${shapeText(tensor.dims)}`;
}

function isSmall({ dtype, dims }: Tensor): boolean {
  if (dims.length > 4 || DTYPES[dtype].kind === "complex") return false;
  const count = elementCount(dims);
  // An empty vector says all about itself, an empty matrix does not.
  return count === 0 ? dims.length === 1 : count <= INLINE;
}

function elementsText(tensor: Tensor): string {
  const texts = elementTexts(tensor);
  let at = 0;
  const nest = (axis: number): string => {
    if (axis === tensor.dims.length) return texts[at++] ?? "?";
    const parts = Array.from({ length: tensor.dims[axis] ?? 0 }, () => nest(axis + 1));
    return `[${parts.join(", ")}]`;
  };
  const text = nest(0);
  return SPELT_PLAINLY.has(tensor.dtype) ? text : `${tensor.dtype} ${text}`;
}

/** Types whose constants can be told by their spelling: 0.5, 1, true, "text". */
const SPELT_PLAINLY: ReadonlySet<DType> = new Set(["float32", "int64", "bool", "string"]);

function elementTexts(tensor: Tensor): string[] {
  switch (DTYPES[tensor.dtype].kind) {
    case "string":
      return (tensor.strings ?? []).map(bytesText);
    case "bool":
      return numbersOf(tensor).map((n) => (n === 0 ? "false" : "true"));
    case "float":
      return numbersOf(tensor).map(tensor.dtype === "float64" ? doubleText : floatText);
    default:
      return bigintsOf(tensor).map(String);
  }
}

/** The shortest decimal that reads back as the same float32. */
function floatText(value: number): string {
  for (let digits = 1; digits < 9 && value !== 0; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return doubleText(short);
  }
  return doubleText(value);
}

function doubleText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
  const text = Object.is(value, -0) ? "-0" : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function attributeText(attribute: Exclude<Attribute, { type: "graph" | "graphs" }>): string {
  switch (attribute.type) {
    case "int":
      return String(attribute.value);
    case "float":
      return floatText(attribute.value);
    case "string":
      return bytesText(attribute.value);
    case "tensor":
      return tensorText(attribute.value);
    case "ints":
      return listText(attribute.value, String);
    case "floats":
      return listText(attribute.value, floatText);
    case "strings":
      return listText(attribute.value, bytesText);
    case "tensors":
      return listText(attribute.value, tensorText);
    case "reference":
      return `@${attribute.value}`;
    case "opaque":
      return `<attribute of type ${attribute.proto.type ?? 0}>`;
  }
}

function listText<T>(list: readonly T[], text: (item: T) => string): string {
  const shown = list.slice(0, LISTED).map(text);
  if (list.length > LISTED) shown.push(`… ${list.length} in all`);
  return `[${shown.join(", ")}]`;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

function bytesText(bytes: Uint8Array): string {
  try {
    return JSON.stringify(strictUtf8.decode(bytes));
  } catch {
    const hex = Array.from(bytes.subarray(0, LISTED), (b) => b.toString(16).padStart(2, "0"));
    return `<${hex.join(" ")}${bytes.length > LISTED ? ` … ${bytes.length} bytes` : ""}>`;
  }
}

function typeSuffix(value: Value): string {
  if (value.dtype === undefined && value.shape === undefined) {
    const type = value.typeProto === undefined ? "?" : typeText(value.typeProto);
    return type === "?" ? "" : `: ${type}`;
  }
  return `: ${value.dtype ?? "?"}${value.shape === undefined ? "" : shapeText(value.shape)}`;
}

function typeText(type: TypeProto): string {
  const { tensorType, sparseTensorType, sequenceType, optionalType, mapType } = type;
  const inner = (t: TypeProto | undefined): string => (t === undefined ? "?" : typeText(t));
  if (tensorType !== undefined) return dtypeOfCode(tensorType.elemType ?? 0) ?? "?";
  if (sparseTensorType !== undefined)
    return `sparse<${dtypeOfCode(sparseTensorType.elemType ?? 0) ?? "?"}>`;
  if (sequenceType !== undefined) return `sequence<${inner(sequenceType.elemType)}>`;
  if (optionalType !== undefined) return `optional<${inner(optionalType.elemType)}>`;
  if (mapType !== undefined)
    return `map<${dtypeOfCode(mapType.keyType ?? 0) ?? "?"}, ${inner(mapType.valueType)}>`;
  return "?";
}

function shapeText(shape: readonly Dim[]): string {
  return `[${shape.map((dim) => dim ?? "?").join(", ")}]`;
}

/** Names as exporters make them stand bare; one with spaces, commas or the like is quoted. */
function nameText(name: string): string {
  return /^[\p{L}\p{N}_./:@$+*|~<>-]+$/u.test(name) ? name : JSON.stringify(name);
}

function functionLine({ domain, name, input, output, node }: FunctionProto): string {
  const called = nameText(domain ? `${domain}.${name ?? ""}` : (name ?? ""));
  const size = node?.length ?? 0;
  return `function ${called}(${(input ?? []).join(", ")}) -> (${(output ?? []).join(", ")}), ${size} nodes`;
}
