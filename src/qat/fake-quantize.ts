// The operator octavo.FakeQuantize of training graphs: quantized and back, with gradients for what is quantized, for its step and for its zero point.
import type { Backward } from "../autodiff/backward.js";
import type { GradientRule, GradientTable } from "../autodiff/rule.js";
import type { GraphBuilder } from "../graph/builder.js";
import type { Node, Value } from "../graph/graph.js";
import { emit } from "../graph/match.js";
import type { Model } from "../graph/model.js";

export const DOMAIN = "octavo";
export const FAKE_QUANTIZE = `${DOMAIN}.FakeQuantize`;

/** What does not change in training. */
export interface FakeQuantizeForm {
  /** Lowest and highest code. */
  readonly low: number;
  readonly high: number;
  /** The zero point that training starts from; it stays where no `shift` is learned. */
  readonly zero: number;
  /** Of channels that have a step each; absent: one step for the whole tensor. */
  readonly axis?: number | undefined;
  /** 2: what the codes leave is added as codes of its own. */
  readonly terms?: 1 | 2 | undefined;
}

/** What training may change: scalars for a tensor, [N] for the channels along an axis. */
export interface FakeQuantizeInputs {
  /** The step at the start, a constant. */
  readonly base: Value;
  /** The step is base · ratio: one learning rate fits steps of every size. */
  readonly ratio: Value;
  /** The zero point is zero + 255 · shift, rounded: of the width of the codes, for the same reason. Absent where it is fixed. */
  readonly shift?: Value | undefined;
}

/** Codes across the whole width: what a shift of 1 moves the zero point by. */
export const WIDTH = 255;

/** Adds the operator before `at`; gives what stands for `x`. */
export function fakeQuantize(
  model: Model,
  at: Node,
  x: Value,
  { base, ratio, shift }: FakeQuantizeInputs,
  { low, high, zero, axis, terms = 1 }: FakeQuantizeForm,
): Value {
  model.opsets.set(DOMAIN, 1);
  const attributes = { low, high, zero, terms, ...(axis === undefined ? {} : { axis }) };
  const result = emit(at, FAKE_QUANTIZE, [x, base, ratio, shift], attributes);
  result.dtype = x.dtype;
  result.shape = x.shape;
  return result;
}

export function formOf(node: Node): FakeQuantizeForm {
  return {
    low: node.int("low", 0),
    high: node.int("high", 0),
    zero: node.int("zero", 0),
    axis: node.int("axis"),
    terms: node.int("terms", 1) === 2 ? 2 : 1,
  };
}

export interface FakeQuantizeValues extends FakeQuantizeInputs {
  readonly x: Value;
}

/** The inputs of a node, by what they are. */
export function valuesOf({ inputs: [x, base, ratio, shift] }: Node): FakeQuantizeValues {
  if (x === undefined || base === undefined || ratio === undefined)
    throw new Error("internal: a fake-quantize without its step");
  return { x, base, ratio, shift };
}

/** What the gradient and the expansion write with: the one appends nodes, the other puts them before a node. */
export type Writer = Pick<GraphBuilder, "add" | "number" | "ints">;

/** The zero point as a float that is a whole number between low and high. */
export function zeroOf(w: Writer, { low, high, zero }: FakeQuantizeForm, shift?: Value): Value {
  if (shift === undefined) return w.number(zero);
  const moved = w.add("Add", [w.number(zero), w.add("Mul", [shift, w.number(WIDTH)])]);
  return w.add("Clip", [w.add("Round", [moved]), w.number(low), w.number(high)]);
}

/** Steps [N] of the channels of `x`, so that they broadcast against it. */
export function alongAxis(w: Writer, x: Value, steps: Value, axis: number): Value {
  const rank = x.rank ?? 2;
  const behind = axis < 0 ? -1 - axis : rank - 1 - axis;
  if (behind === 0) return steps;
  return w.add("Reshape", [steps, w.ints([-1, ...Array<number>(behind).fill(1)])]);
}

/** A weight in steps, held within its codes, not rounded yet; `free` is the same before it was held. */
export function inSteps(
  w: Writer,
  x: Value,
  step: Value,
  { low, high }: FakeQuantizeForm,
): { readonly free: Value; readonly held: Value } {
  const free = w.add("Div", [x, step]);
  return { free, held: w.add("Clip", [free, w.number(low), w.number(high)]) };
}

/**
 * The straight-through estimator (Bengio et al., arXiv:1308.3432): the gradient passes where a value lies between the lowest and the highest code, and
 * ends elsewhere. Steps learn by LSQ (Esser et al., arXiv:1902.08153), Σ g · (x̂ − x) / s inside and Σ g · x̂ / s outside, times 1 / √(N · high), N values
 * sharing the step; offsets by LSQ+ (Bhalgat et al., arXiv:2004.09576), Σ g outside. `ratio` and `shift` have these gradients themselves, without the factor
 * that relates them to the step: an update then is a share of the step.
 */
const fakeQuantizeRule: GradientRule = {
  gradient(node, [dy], b) {
    if (dy === undefined) return [];
    const write: Writer = {
      add: (type, inputs, attributes) => b.op(type, inputs, attributes),
      number: (value) => b.scalar(value, dy),
      ints: (list) => b.ints(list),
    };
    const form = formOf(node);
    const context = { b, write, form, dy, result: node.output(), ...valuesOf(node) };
    return form.axis === undefined ? ofTensor(context) : ofChannels(context, form.axis);
  },
};

export const QUANTIZER_RULES: GradientTable = { [FAKE_QUANTIZE]: fakeQuantizeRule };

interface Context extends FakeQuantizeValues {
  readonly b: Backward;
  readonly write: Writer;
  readonly form: FakeQuantizeForm;
  readonly dy: Value;
  readonly result: Value;
}

function ofTensor(context: Context): (Value | undefined)[] {
  const { b, write, form, dy, result, x, base, ratio, shift } = context;
  const step = b.op("Mul", [base, ratio]);
  const zero = zeroOf(write, form, shift);
  const edge = (code: number): Value =>
    b.op("Mul", [step, b.op("Sub", [write.number(code), zero])]);
  const held = b.op("Clip", [x, edge(form.low), edge(form.high)]);
  const dx = b.op("Mul", [dy, b.cast(b.op("Equal", [held, x]), dy)]);
  const wanted = [ratio, shift].some((value) => b.wants(value));
  if (!wanted) return [dx];
  const norm = b.op("Sqrt", [b.op("Mul", [countOf(b, x, dy), write.number(form.high)])]);
  const bySize = (value: Value, by: Value): Value => b.op("Div", [value, by]);
  const dRatio = (): Value =>
    bySize(b.op("Sub", [dot(b, dy, result), dot(b, dx, x)]), b.op("Mul", [step, norm]));
  const dShift = (): Value => bySize(b.op("Sub", [sumOf(b, dx), sumOf(b, dy)]), norm);
  return [
    dx,
    undefined,
    b.wants(ratio) ? dRatio() : undefined,
    b.wants(shift) ? dShift() : undefined,
  ];
}

function ofChannels(context: Context, axis: number): (Value | undefined)[] {
  const { b, write, form, dy, result, x, base, ratio } = context;
  const step = b.op("Mul", [base, ratio]);
  const { free, held } = inSteps(write, x, alongAxis(write, x, step, axis), form);
  const dx = b.op("Mul", [dy, b.cast(b.op("Equal", [held, free]), dy)]);
  if (!b.wants(ratio)) return [dx];
  const rank = x.rank ?? 2;
  const along = axis < 0 ? axis + rank : axis;
  const others = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== along);
  const terms = b.op("Sub", [b.op("Mul", [dy, result]), b.op("Mul", [dx, x])]);
  const sums = b.reshapeLike(b.reduce("ReduceSum", terms, others), ratio);
  const each = b.op("Div", [countOf(b, x, dy), countOf(b, ratio, dy)]);
  const norm = b.op("Sqrt", [b.op("Mul", [each, write.number(form.high)])]);
  return [dx, undefined, b.op("Div", [sums, b.op("Mul", [step, norm])])];
}

/** Number of elements, as a float. */
function countOf(b: Backward, value: Value, like: Value): Value {
  const sizes = b.sizesOf(value);
  if (sizes !== undefined)
    return b.scalar(
      sizes.reduce((n, size) => n * size, 1),
      like,
    );
  return b.cast(b.op("Size", [value]), like);
}

/** Σ a · b of two tensors of one shape: a product of a row with a row, one pass over memory. */
function dot(b: Backward, left: Value, right: Value): Value {
  const row = (value: Value): Value => b.op("Reshape", [value, b.ints([1, -1])]);
  const product = b.op("com.microsoft.FusedMatMul", [row(left), row(right)], { transB: 1 });
  return b.op("Reshape", [product, b.ints([])]);
}

function sumOf(b: Backward, value: Value): Value {
  return b.reduce("ReduceSum", value, undefined, 0);
}
