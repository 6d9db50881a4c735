// Writes octavo.FakeQuantize in operators that runtimes have, and products of two of them as the integer products that the exported model will run.
import { GraphBuilder } from "../graph/builder.js";
import type { Node, Value } from "../graph/graph.js";
import { emit } from "../graph/match.js";
import type { Model } from "../graph/model.js";
import { DTYPES } from "../onnx/dtypes.js";
import { tensorOf } from "../onnx/tensor.js";
import { affineOf, restOf } from "../quant/affine.js";
import {
  alongAxis,
  DOMAIN,
  FAKE_QUANTIZE,
  formOf,
  inSteps,
  valuesOf,
  zeroOf,
  type FakeQuantizeForm,
  type Writer,
} from "./fake-quantize.js";

/** What a quantizer comes to. */
interface Parts {
  readonly codes: Value;
  /** A scalar, or [N]. */
  readonly step: Value;
  /** Of the type of the codes; absent where it is 0. */
  readonly zero: Value | undefined;
  readonly result: Value;
}

export interface ExpandOptions {
  /** Write codes of weights unsigned, too: the same values, and the form whose sums no CPU saturates. */
  readonly unsignedWeights?: boolean;
}

/**
 * Expands every octavo.FakeQuantize in place. Forward products of a quantized activation and a quantized weight [K, N] become com.microsoft.MatMulIntegerToFloat:
 * exactly what an exported model computes, and several times as fast as in float.
 */
export function expandQuantizers(model: Model, options: ExpandOptions = {}): void {
  const expansion = new Expansion(model, options);
  const parts = new Map<Value, Parts>();
  for (const node of model.graph.allNodes())
    if (node.op === FAKE_QUANTIZE) parts.set(node.output(), expansion.expand(node));
  if (parts.size === 0) return;
  for (const node of model.graph.allNodes())
    if (node.op === "MatMul") expansion.product(node, parts);
  for (const value of parts.keys()) {
    const { producer } = value;
    const result = parts.get(value)?.result;
    if (producer?.graph === undefined || result === undefined) continue;
    producer.graph.replaceUses(value, result);
    producer.graph.removeNode(producer);
  }
  model.opsets.delete(DOMAIN);
}

/** Added to signed codes and to their zero point: the same values. Products with unsigned activations are several times as fast on x86-64. */
const UNSIGNED = 128;

class Expansion {
  readonly #model: Model;
  readonly #builder: GraphBuilder;
  readonly #unsignedWeights: boolean;

  constructor(model: Model, { unsignedWeights = false }: ExpandOptions) {
    this.#model = model;
    this.#unsignedWeights = unsignedWeights;
    this.#builder = new GraphBuilder(model.graph, { constants: "quantizer_constant" });
  }

  expand(node: Node): Parts {
    const form = formOf(node);
    const { axis } = form;
    return axis === undefined ? this.#tensor(node, form) : this.#channels(node, form, axis);
  }

  #tensor(node: Node, form: FakeQuantizeForm): Parts {
    const { x, base, ratio, shift } = valuesOf(node);
    const write = this.#builder.at(node);
    const step = write.add("Mul", [base, ratio]);
    const offset = form.low < 0 ? UNSIGNED : 0;
    const moved = (zero: Value): Value =>
      offset === 0 ? zero : write.add("Add", [zero, write.number(offset)]);
    const zero =
      shift === undefined
        ? this.#codes("uint8", form.zero + offset)
        : write.add("Cast", [moved(zeroOf(write, form, shift))], { to: DTYPES.uint8.code });
    const codes = write.add("QuantizeLinear", [x, step, zero]);
    const first = write.add("DequantizeLinear", [codes, step, zero]);
    const result = form.terms === 2 ? this.#withRest(write, x, first, step) : first;
    return { codes, step, zero, result: typed(result, x) };
  }

  /** As the exported model does it: what the codes leave, over the range that its step has. */
  #withRest(write: Writer, x: Value, first: Value, step: Value): Value {
    const { min, max } = restOf({ scale: 1, zeroPoint: 0 });
    const spec = { dtype: "uint8", granularity: "per-tensor", range: { min, max } } as const;
    const { scale, zeroPoint } = affineOf(spec);
    const fine = write.add("Mul", [step, write.number(scale)]);
    const zero = this.#codes("uint8", zeroPoint);
    const codes = write.add("QuantizeLinear", [write.add("Sub", [x, first]), fine, zero]);
    return write.add("Add", [first, write.add("DequantizeLinear", [codes, fine, zero])]);
  }

  /** The step multiplies a whole column at once, which DequantizeLinear does element by element. */
  #channels(node: Node, form: FakeQuantizeForm, axis: number): Parts {
    const { x, base, ratio } = valuesOf(node);
    const write = this.#builder.at(node);
    const step = write.add("Mul", [base, ratio]);
    const along = alongAxis(write, x, step, axis);
    const { held } = inSteps(write, x, along, form);
    const one = write.number(1);
    const unsigned = this.#unsignedWeights;
    const zero = unsigned ? this.#codes("uint8", UNSIGNED) : this.#codes("int8", 0);
    const codes = write.add("QuantizeLinear", [held, one, zero]);
    const whole = write.add("DequantizeLinear", [codes, one, zero]);
    const result = typed(write.add("Mul", [whole, along]), x);
    return { codes, step, zero: unsigned ? zero : undefined, result };
  }

  /** Where both operands are quantized, an integer product; it gives what the float product of both would. */
  product(node: Node, parts: ReadonlyMap<Value, Parts>): void {
    const [left, right] = node.inputs;
    const activation = left && parts.get(left);
    const weight = right && parts.get(right);
    if (activation === undefined || weight === undefined || node.graph === undefined) return;
    if (left?.producer === undefined || right?.producer === undefined) return;
    const [leftForm, rightForm] = [formOf(left.producer), formOf(right.producer)];
    const isMatrix = right.rank === 2 && (rightForm.axis === -1 || rightForm.axis === 1);
    if (leftForm.axis !== undefined || leftForm.terms === 2 || !isMatrix) return;
    const operands = [activation.codes, weight.codes, activation.step, weight.step];
    const inputs = [...operands, activation.zero, ...(weight.zero ? [weight.zero] : [])];
    const product = emit(node, "com.microsoft.MatMulIntegerToFloat", inputs);
    this.#model.opsets.set("com.microsoft", 1);
    const output = node.output();
    node.graph.replaceUses(output, typed(product, output));
    node.graph.removeNode(node);
  }

  #codes(dtype: "int8" | "uint8", code: number): Value {
    const make = dtype === "int8" ? Int8Array.of(code) : Uint8Array.of(code);
    return this.#builder.constant(`${dtype} ${code}`, () => tensorOf(dtype, [], make));
  }
}

function typed(value: Value, like: Value): Value {
  value.dtype = like.dtype;
  value.shape = like.shape;
  return value;
}
