// Linting of models that are quantized already: what every target's lint sees of a graph (operands behind Q/DQ, what quantizes a result, what it finds).
import type { Graph, Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import type { DType } from "../onnx/dtypes.js";
import { numbersOf } from "../onnx/values.js";
import { hasTrait } from "../ops/traits.js";
import type { SiteKind } from "../quant/sites.js";
import { namer } from "../quant/site-names.js";

/** Where a product or a look-up of a quantized model runs, and as what. */
export interface Verdict {
  /** `stored`: 8 bits (or fewer) in the file, floats at run time. */
  readonly runs: "int8" | "stored" | "float";
  /** The operator that the runtime makes of it; absent where it stays the float operator it is. */
  readonly kernel?: string;
  /** Why it does not run in INT8, and what to do; of one that does, what is wrong with it. */
  readonly reason?: string;
}

export interface Finding extends Verdict {
  readonly name: string;
  readonly kind: SiteKind;
  /** Dims of the constant as the product uses it where that is a matrix, else as it is stored; empty where there is none. */
  readonly shape: readonly number[];
  readonly node: Node;
}

/** What is found of a node, before it has a name. */
export type Judged = Omit<Finding, "name" | "node"> & {
  /** The constant that names it. */
  readonly constant?: Value | undefined;
};

export type Judge = (node: Node, context: LintContext) => Judged | undefined;

export interface LintContext {
  readonly model: Model;
  /** True of what the runtime computes once, on loading. */
  readonly isFolded: (value: Value) => boolean;
}

/** Judges every node of the model that has a row in `rules`, in the order of the graph. Types must have been inferred. */
export function lintWith(model: Model, rules: Readonly<Partial<Record<string, Judge>>>): Finding[] {
  const folded = foldedValues(model.graph);
  const context = { model, isFolded: (value: Value) => value.isConstant || folded.has(value) };
  const nameOf = namer();
  const findings: Finding[] = [];
  for (const node of model.graph.allNodes()) {
    const judged = rules[node.op]?.(node, context);
    if (judged === undefined) continue;
    const { constant, ...verdict } = judged;
    const names = [constant, biasBehind(node)].map((value) => value?.name.replace(CODES, ""));
    names.push(node.name, node.outputs[0]?.name);
    const name = nameOf(names, `${node.opType.toLowerCase()}.${findings.length}`);
    findings.push({ ...verdict, name, node });
  }
  return findings;
}

/** Where integer products hold their bias themselves. */
const BIAS_INPUTS: Readonly<Partial<Record<string, number>>> = {
  "com.microsoft.MatMulIntegerToFloat": 6,
  "com.microsoft.DynamicQuantizeMatMul": 4,
};

/** The constant that is added in or behind a product, which often has a better name than its weight. */
function biasBehind(node: Node): Value | undefined {
  const inside = BIAS_INPUTS[node.op];
  if (inside !== undefined && node.input(inside) !== undefined)
    return constantBehind(node.input(inside));
  let value = node.outputs[0];
  for (let i = 0; i < 5; i++) {
    const next: Node | undefined = value?.onlyUse?.node;
    if (next !== undefined && hasTrait(next, "sum"))
      return next.inputs.map(constantBehind).find((constant) => (constant?.rank ?? 0) > 0);
    if (next === undefined || !isScaling(next)) return undefined;
    value = next.outputs[0];
  }
  return undefined;
}

/** What stands between an integer product and the Add of its bias. */
function isScaling(node: Node): boolean {
  return node.op === "Cast" || node.op === "Mul" || hasTrait(node, "quantizes", "dequantizes");
}

/** What tools append to a weight's name for its codes. */
const CODES = /(?:_quantized|_int8|_uint8|_q4|_quant)$/;

/** A value that a DequantizeLinear makes. */
export interface Dequantized {
  readonly node: Node;
  readonly codes: Value;
  readonly dtype: DType | undefined;
  readonly scale: Value | undefined;
  readonly zeroPoint: Value | undefined;
}

export function dequantizedBy(node: Node): Dequantized | undefined {
  const [codes, scale, zeroPoint] = node.inputs;
  if (!hasTrait(node, "dequantizes") || codes === undefined) return undefined;
  return { node, codes, dtype: codes.dtype, scale, zeroPoint };
}

/** True for one constant scale and, where there is a zero point, one constant zero point. */
export function isConstantScalar({ scale, zeroPoint }: Pick<Dequantized, "scale" | "zeroPoint">) {
  const single = (value: Value | undefined) =>
    value?.isConstant === true && value.tensor?.dims.every((dim) => dim === 1) === true;
  return single(scale) && (zeroPoint === undefined || single(zeroPoint));
}

/** The elements of a small constant; undefined for what is no constant. */
export function elementsOf(value: Value | undefined): readonly number[] | undefined {
  return value?.isConstant === true && value.tensor !== undefined
    ? numbersOf(value.tensor)
    : undefined;
}

/** The constant that a value is made of by operators with one input that move or dequantize elements; undefined where an input is reached. */
export function constantBehind(value: Value | undefined): Value | undefined {
  let at = value;
  for (let i = 0; at !== undefined && i < 16; i++) {
    if (at.isConstant) return at;
    const node: Node | undefined = at.producer;
    if (node === undefined || !isMoving(node)) return undefined;
    at = node.input(0);
  }
  return undefined;
}

function isMoving(node: Node): boolean {
  return hasTrait(node, "same elements", "rearranges", "quantizes", "dequantizes");
}

export function dimsOf(value: Value | undefined): readonly number[] {
  return value?.tensor?.dims ?? [];
}

/** Values that depend on constants alone and are computed on loading. Runtimes keep DequantizeLinear, so what stands behind it is not among them. */
function foldedValues(root: Graph): ReadonlySet<Value> {
  const folded = new Set<Value>();
  for (const node of root.allNodes()) {
    if (!isFoldable(node) || [...node.subgraphs()].length > 0 || node.inputs.length === 0) continue;
    if (!node.inputs.every((v) => v === undefined || v.isConstant || folded.has(v))) continue;
    for (const output of node.outputs) if (output !== undefined) folded.add(output);
  }
  return folded;
}

function isFoldable(node: Node): boolean {
  return !hasTrait(node, "random", "dequantizes");
}
