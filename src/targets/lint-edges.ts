// How onnxruntime moves Q/DQ along a graph before it fuses: which DequantizeLinear an operand gets, and which QuantizeLinear a result.
import type { Node, Value } from "../graph/graph.js";
import type { DType } from "../onnx/dtypes.js";
import { hasTrait } from "../ops/traits.js";
import { dequantizedBy, elementsOf, isConstantScalar, type Dequantized } from "./lint.js";

/** Operators by which onnxruntime hands Q/DQ on, forwards and backwards: its own list, Flatten is not in it. */
const CARRIERS: ReadonlySet<string> = new Set([
  "Reshape",
  "Transpose",
  "Squeeze",
  "Unsqueeze",
  "Slice",
  "MaxPool",
]);

/** The DequantizeLinear that a value comes from, through operators that carry it along. */
export function dequantizerOf(value: Value): Dequantized | undefined {
  let at = value;
  for (let i = 0; i < 64; i++) {
    const node = at.producer;
    if (node === undefined) return undefined;
    const dq = dequantizedBy(node);
    if (dq !== undefined) return i === 0 || carries(dq, value) ? dq : undefined;
    const next = node.input(0);
    if (!CARRIERS.has(node.op) || next === undefined || at.isOutput) return undefined;
    at = next;
  }
  return undefined;
}

/**
 * The type that a value's codes have when fusing begins. Before it, on x86-64 and in WebAssembly, s8 becomes u8 where one DequantizeLinear reads
 * what one QuantizeLinear writes; every reader of a DequantizeLinear gets one of its own. `reshaped`: a Reshape is put behind the value, and a pair behind that.
 */
export function activationType(value: Value, reshaped = false): DType | undefined {
  const dq = dequantizerOf(value);
  if (dq?.dtype !== "int8") return dq?.dtype;
  if (reshaped && isConstantScalar(dq) && hasZero(dq.zeroPoint)) return "uint8";
  if (dq.node.output() !== value) {
    // A pair that was inserted behind the last carrier.
    const edges = [...value.uses].filter((use) => use.kind === "node").length;
    return edges === 1 && hasZero(dq.zeroPoint) ? "uint8" : "int8";
  }
  const q = dq.codes.producer;
  return q !== undefined && hasTrait(q, "quantizes") ? codesType(q) : "int8";
}

/** The type of what a QuantizeLinear writes, when fusing begins. */
function codesType(q: Node): DType | undefined {
  const codes = q.output();
  const dtype = codes.dtype ?? q.input(2)?.dtype ?? "uint8";
  if (dtype !== "int8" || codes.isOutput) return dtype;
  const readers = [...codes.consumers()];
  const [reader] = readers;
  if (readers.length !== 1 || reader === undefined) return dtype;
  const dq = dequantizedBy(reader);
  if (dq === undefined || !hasZero(dq.zeroPoint) || !hasZero(q.input(2))) return dtype;
  const next = secondPair(dq);
  if (next !== undefined) return codesType(next);
  const { uses, onlyUse } = reader.output();
  return uses.size > 1 || (onlyUse !== undefined && isPushedOn(onlyUse.node)) ? dtype : "uint8";
}

/** A Transpose goes behind a Concat that reads it throughout, several times: each input then has a pair of its own. */
function isPushedOn(node: Node): boolean {
  const turned = node.outputs[0];
  if (node.op !== "Transpose" || turned === undefined || turned.uses.size < 2) return false;
  const readers = [...turned.consumers()];
  return readers.every((r) => r.op === "Concat" && r.inputs.every((input) => input === turned));
}

/** The QuantizeLinear of a pair right behind a pair: onnxruntime merges the two. */
function secondPair({ node, dtype }: Dequantized): Node | undefined {
  const q = node.output().onlyUse?.node;
  if (q === undefined || !isCarriedBack(q) || !hasZero(q.input(2))) return undefined;
  const reader = q.output().onlyUse?.node;
  const isPair = reader !== undefined && dequantizedBy(reader) !== undefined;
  return isPair && q.input(2)?.dtype === dtype ? q : undefined;
}

function hasZero(zeroPoint: Value | undefined): boolean {
  return zeroPoint?.isConstant === true && zeroPoint.tensor?.dims.every((d) => d === 1) === true;
}

/** Scales per channel of a constant travel through Transpose alone, which turns the constant itself. */
function carries(dq: Dequantized, to: Value): boolean {
  if (isConstantScalar(dq)) return true;
  return (
    dq.codes.isConstant &&
    to.producer?.op === "Transpose" &&
    to.producer.input(0) === dq.node.output()
  );
}

export interface After {
  /** Every QuantizeLinear that reads the result. */
  readonly quantizers: readonly Node[];
  /** How many inputs of nodes read it. */
  readonly edges: number;
  /** The type of the codes that a QuantizeLinear writes there, when fusing begins. */
  readonly dtype: DType | undefined;
  /** A Relu or Clip in between: taken in by the QuantizeLinear behind it, or not; absent where there is none. */
  readonly clip?: "taken in" | "kept";
}

/** What reads a product's result, as onnxruntime's selectors see it. */
export function quantizersAfter(result: Value): After {
  const direct = readersOf(result);
  const [only] = [...result.consumers()];
  if (direct.edges !== 1 || only === undefined || !(only.op === "Relu" || only.op === "Clip"))
    return direct;
  const behind = readersOf(only.output());
  if (behind.edges !== 1 || only.output().isOutput) return direct;
  const [q] = behind.quantizers;
  return q !== undefined && isRedundant(only, q)
    ? { ...behind, clip: "taken in" }
    : { quantizers: [], edges: 1, dtype: undefined, clip: "kept" };
}

/** The same of a product that hands its result to an inserted Reshape, whose result is `value`. */
export function quantizersBehindReshape(value: Value): After {
  const reader = value.onlyUse?.node;
  const q = reader !== undefined && isCarriedBack(reader) ? reader : reader && carriedBack(reader);
  return q === undefined ? { quantizers: [], edges: 1, dtype: undefined } : inserted(q);
}

/** A pair that was inserted at the product, where nothing else reads it: s8 becomes u8. */
function inserted(q: Node): After {
  const { dtype = "uint8" } = q.output();
  return { quantizers: [q], edges: 1, dtype: dtype === "int8" ? "uint8" : dtype };
}

function isCarriedBack(node: Node): boolean {
  return (
    hasTrait(node, "quantizes") &&
    isConstantScalar({ scale: node.input(1), zeroPoint: node.input(2) })
  );
}

function readersOf(value: Value): After {
  const readers = [...value.uses].flatMap((use) => (use.kind === "node" ? [use.node] : []));
  const quantizers = readers.flatMap((node) => quantizerIn(node) ?? []);
  const [only] = readers;
  const [q] = quantizers;
  if (readers.length !== 1 || only === undefined || q !== undefined)
    return { quantizers, edges: readers.length, dtype: q && codesType(q) };
  const carried = value.isOutput ? undefined : carriedBack(only);
  if (carried === undefined) return { quantizers, edges: 1, dtype: undefined };
  return inserted(carried);
}

/** A QuantizeLinear, or one behind a Relu or Clip that it makes redundant, which goes before. */
function quantizerIn(node: Node): Node | undefined {
  if (hasTrait(node, "quantizes")) return node;
  if (node.op !== "Relu" && node.op !== "Clip") return undefined;
  const q = node.output().onlyUse?.node;
  return q !== undefined && hasTrait(q, "quantizes") && isRedundant(node, q) ? q : undefined;
}

/** A QuantizeLinear of one scale moves back to the product, over carriers that have one reader each. */
function carriedBack(reader: Node): Node | undefined {
  let node = reader;
  for (let i = 0; i < 64 && CARRIERS.has(node.op); i++) {
    const use = node.output().onlyUse;
    if (use === undefined || use.index !== 0) return undefined;
    node = use.node;
    if (hasTrait(node, "quantizes")) return isCarriedBack(node) ? node : undefined;
  }
  return undefined;
}

/** True where no code of `quantizer` stands for a value that `clip` would cut. */
function isRedundant(clip: Node, quantizer: Node): boolean {
  const [scale] = elementsOf(quantizer.input(1)) ?? [];
  const zeros = quantizer.input(2);
  const [zero] = zeros === undefined ? [0] : (elementsOf(zeros) ?? []);
  if (scale === undefined || zero === undefined) return false;
  const [low, high] = zeros?.dtype === "int8" ? [-128, 127] : [0, 255];
  const [min, max] = clip.op === "Relu" ? [0, Infinity] : limitsOf(clip);
  return (low - zero) * scale >= min && (high - zero) * scale <= max;
}

function limitsOf(clip: Node): readonly [number, number] {
  const [, low, high] = clip.inputs;
  const min = low === undefined ? clip.float("min", -Infinity) : elementsOf(low)?.[0];
  const max = high === undefined ? clip.float("max", Infinity) : elementsOf(high)?.[0];
  return [min ?? Infinity, max ?? -Infinity];
}
