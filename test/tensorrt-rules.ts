// The rules of explicit quantization for TensorRT, as a walk over a written graph: what breaks them, one line each.
import type { Node, Value } from "../src/graph/graph.js";
import type { Model } from "../src/graph/model.js";
import { numbersOf, scalarOf } from "../src/onnx/values.js";
import { isProbability } from "../src/quant/operands.js";

const SMALLEST_SIDE = 16;
const PRODUCTS: ReadonlySet<string> = new Set(["MatMul", "Gemm"]);
const SUMS: ReadonlySet<string> = new Set(["Add", "Sum"]);
/** Ranges found at run time, integers without scales, another runtime's operators. */
const FOREIGN = /^(DynamicQuantizeLinear|MatMulInteger|ConvInteger|QLinear\w+|com\.microsoft\..*)$/;

export interface Expected {
  readonly residual: "none" | "skip" | "both";
  readonly fp16?: boolean;
}

/** Types must have been inferred. */
export function violations(model: Model, { residual, fp16 = false }: Expected): string[] {
  const broken: string[] = [];
  const pairs = new Map<Value, Set<Value>>();
  const say = (node: Node, what: string): void =>
    void broken.push(`${node.op} "${node.name || node.output().name}" ${what}`);
  const opset = model.opsets.get("") ?? 0;
  if (opset < 13) broken.push(`operator set ${opset} has no scales per channel`);
  if (fp16 && opset < 19) broken.push(`operator set ${opset} has no FP16 scales`);
  for (const input of model.graph.inputs)
    if (input.dtype === "uint8") broken.push(`input "${input.name}" is UINT8`);
  for (const node of model.graph.allNodes()) {
    if (FOREIGN.test(node.op)) say(node, "is no operator of explicit quantization");
    for (const value of [...node.inputs, ...node.outputs])
      if (value?.dtype === "uint8") say(node, `touches the UINT8 tensor "${value.name}"`);
    if (node.op === "QuantizeLinear" || node.op === "DequantizeLinear")
      for (const what of scaleOf(node)) say(node, what);
    if (node.op === "QuantizeLinear") {
      const [x] = node.inputs;
      if (x === undefined) continue;
      if (x.isConstant) say(node, "quantizes a constant at run time");
      pairs.set(x, (pairs.get(x) ?? new Set()).add(node.output()));
    }
    if (node.op === "DequantizeLinear") for (const what of readersOf(node)) say(node, what);
    if (PRODUCTS.has(node.op)) for (const what of productOf(node, fp16)) say(node, what);
    if (SUMS.has(node.op)) for (const what of sumOf(node, residual)) say(node, what);
    if (fp16) for (const what of precisionOf(node)) say(node, what);
  }
  for (const [value, codes] of pairs)
    if (codes.size > 1) broken.push(`"${value.name}" is quantized ${codes.size} times`);
  return [...new Set(broken)];
}

function scaleOf(node: Node): string[] {
  const [x, scale, zero] = node.inputs;
  const found: string[] = [];
  const constantWeight = node.op === "DequantizeLinear" && x?.isConstant === true;
  const codes = node.op === "QuantizeLinear" ? node.output() : x;
  if (codes?.dtype !== "int8") found.push(`has codes of type ${codes?.dtype ?? "unknown"}`);
  if (scale?.isConstant !== true) found.push("has a scale that is no constant");
  if (zero === undefined && node.op === "QuantizeLinear") found.push("makes UINT8 by default");
  const zeros = zero?.tensor === undefined ? [] : numbersOf(zero.tensor);
  if (zeros.some((point) => point !== 0)) found.push("has a zero point that is not 0");
  const dims = scale?.tensor?.dims ?? [];
  if (!constantWeight && dims.length > 0) found.push("has scales per channel of an activation");
  if (constantWeight) {
    const axis = node.int("axis", 1);
    const n = x.tensor?.dims.at(-1);
    if (dims.length !== 1 || dims[0] !== n || axis !== (x.tensor?.dims.length ?? 0) - 1)
      found.push("has no scale per output channel");
  }
  const probability = node.op === "QuantizeLinear" && x !== undefined && isProbability(x);
  const step = scale?.tensor && scalarOf(scale.tensor);
  if (probability && Math.abs((step ?? 0) * 127 - 1) > 1e-3)
    found.push("has a range of probabilities that is not [0, 1]");
  return found;
}

/** Who reads what was quantized: products, and the sums that go around blocks. */
function readersOf(node: Node): string[] {
  const found: string[] = [];
  const fromConstant = node.input(0)?.isConstant === true;
  if (!fromConstant && node.input(0)?.producer?.op !== "QuantizeLinear")
    found.push("stands without its QuantizeLinear");
  for (const use of node.output().uses) {
    if (use.kind === "output") {
      found.push("is an output of the model");
      continue;
    }
    const { op } = use.node;
    if (fromConstant && (!PRODUCTS.has(op) || use.index !== 1))
      found.push(`dequantizes a constant for ${op}, which is no weight of a product`);
    if (!fromConstant && !PRODUCTS.has(op) && !SUMS.has(op))
      found.push(`is read by ${op}, which has no INT8 output`);
  }
  return found;
}

const isDequantized = (value: Value | undefined): boolean =>
  value?.producer?.op === "DequantizeLinear";

function productOf(node: Node, fp16: boolean): string[] {
  const found: string[] = [];
  const [left, right, bias] = node.inputs;
  const quantized = [left, right].filter(isDequantized).length;
  if (quantized === 1) found.push("has one operand quantized, the other not");
  if (isDequantized(bias)) found.push("has a quantized bias");
  if (quantized === 2) {
    const [m, k, n] = [left?.shape?.at(-2), left?.shape?.at(-1), right?.shape?.at(-1)];
    if (n === 1 || (left?.shape?.slice(0, -1).every((dim) => dim === 1) ?? m === 1))
      found.push("is a product with a vector");
    if ([k, n].some((dim) => typeof dim === "number" && dim < SMALLEST_SIDE))
      found.push(`is a narrow product (${k} × ${n})`);
    if (fp16 && node.output().dtype !== "float16") found.push("is quantized, but not FP16");
  }
  const use = node.output().onlyUse;
  const other = use?.node.input(1 - use.index);
  const scales =
    (use?.node.op === "Mul" || use?.node.op === "Div") &&
    other?.tensor !== undefined &&
    scalarOf(other.tensor) !== undefined;
  if (use !== undefined && scales && reaches(use.node.output(), "Softmax"))
    found.push("has its scale behind it, in front of the Softmax");
  return found;
}

function reaches(from: Value, op: string): boolean {
  let at: Value | undefined = from;
  for (let steps = 0; at !== undefined && steps < 6; steps++) {
    const next: Node | undefined = at.onlyUse?.node;
    if (next?.op === op) return true;
    if (next === undefined || !["Add", "Where", "Reshape", "Cast"].includes(next.op)) return false;
    at = next.output();
  }
  return false;
}

/** A sum with quantized operands: a residual, as was asked for; a bias or a mask never. */
function sumOf(node: Node, residual: Expected["residual"]): string[] {
  const quantized = node.inputs.filter(isDequantized);
  if (quantized.length === 0) return [];
  if (residual === "none") return ["is quantized, and no residual was asked for"];
  if (node.inputs.some((value) => value?.isConstant === true)) return ["is a bias, and quantized"];
  const wanted = residual === "both" ? 2 : 1;
  if (quantized.length !== wanted) return [`has ${quantized.length} operands quantized`];
  const plain = node.inputs.map((value) =>
    isDequantized(value) ? value?.producer?.input(0)?.producer?.input(0) : value,
  );
  return plain.some((value) => value !== undefined && isResult(value))
    ? []
    : ["is quantized, and no residual"];
}

/** The result of a product with a quantized weight, or of one that is too small, its bias added. */
function isResult(value: Value, steps = 0): boolean {
  const node = value.producer;
  if (node === undefined || steps > 8) return false;
  if (PRODUCTS.has(node.op)) {
    const weight = node.input(1);
    const codes = isDequantized(weight) ? weight?.producer?.input(0) : weight;
    return codes?.isConstant === true;
  }
  const passing = SUMS.has(node.op) || ["Cast", "Identity", "Reshape"].includes(node.op);
  return passing && node.inputs.some((input) => input !== undefined && isResult(input, steps + 1));
}

function precisionOf(node: Node): string[] {
  const found: string[] = [];
  if (node.op === "Pow" || node.op === "ReduceMean") {
    const types = [...node.inputs.slice(0, 1), ...node.outputs].map((value) => value?.dtype);
    if (types.includes("float16")) found.push("is FP16: squares and means need FP32");
  }
  if (node.op === "LayerNormalization") {
    if (node.int("stash_type", 1) !== 1) found.push("has statistics in FP16");
    if (node.output().dtype !== "float16") found.push("is not FP16");
  }
  if (["MatMul", "Softmax", "Erf", "Tanh"].includes(node.op)) {
    const dtype = node.output().dtype;
    if (dtype === "float32" && !isAngle(node)) found.push("is left in FP32");
  }
  return found;
}

/** Angles of rotary positions are FP32 on purpose. */
function isAngle(node: Node): boolean {
  let at: Value | undefined = node.output();
  for (let steps = 0; at !== undefined && steps < 5; steps++) {
    const next: Node[] = [...at.consumers()];
    if (next.some(({ op }) => op === "Cos" || op === "Sin")) return true;
    at = next[0]?.outputs[0];
  }
  return false;
}
