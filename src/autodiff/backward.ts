// The builder that gradient rules write with: appends nodes to the graph, each with its type at once, and undoes broadcasting.
import { GraphBuilder, type Attributes } from "../graph/builder.js";
import type { Dim, Graph, Node, Value } from "../graph/graph.js";
import { opset, type Model } from "../graph/model.js";
import { DTYPES } from "../onnx/dtypes.js";
import { int64Tensor, tensorOf, type Tensor } from "../onnx/tensor.js";
import { scalarOf } from "../onnx/values.js";
import { numbersIn, type Fact } from "../ops/facts.js";
import type { GrowingTypes } from "../ops/infer.js";
import { equalDims } from "../ops/symbols.js";

import type { GradientTable } from "./rule.js";

export class Backward {
  readonly graph: Graph;
  /** Version of the default operator set: older ones have axes as attributes. */
  readonly opset: number;
  readonly #types: GrowingTypes;
  readonly #wanted: Set<Value>;
  readonly #builder: GraphBuilder;
  readonly #shapes = new Map<Value, Value>();

  /** `wanted` holds the values that a gradient may reach; what is computed from them joins them. */
  constructor(
    readonly model: Model,
    types: GrowingTypes,
    readonly rules: GradientTable,
    wanted: Iterable<Value>,
  ) {
    this.graph = model.graph;
    this.opset = opset(model);
    const { opsets } = model;
    this.#builder = new GraphBuilder(model.graph, { opsets, constants: "gradient_constant" });
    this.#wanted = new Set(wanted);
    this.#types = types;
  }

  /** Whether the gradient of a value is needed: others may be left out. */
  wants(value: Value | undefined): value is Value {
    return value !== undefined && this.#wanted.has(value);
  }

  /** Appends a node and returns its first output. `type` is the operator as rules name it. */
  op(type: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}): Value {
    return this.node(type, inputs, 1, attributes).output();
  }

  /** Appends a node with several outputs. */
  node(
    type: string,
    inputs: readonly (Value | undefined)[],
    outputs: number,
    attributes: Attributes = {},
  ): Node {
    const node = this.#builder.addNode(type, inputs, attributes, { outputs });
    this.#added(node);
    return node;
  }

  /** Appends a copy of a node that reads `inputs` instead. */
  repeat(node: Node, inputs: readonly (Value | undefined)[]): Node {
    const outputs = node.outputs.map((output) =>
      output === undefined ? "" : this.graph.freshName(`${output.name}_again`),
    );
    const { opType, domain, name, attributes } = node;
    const copy = this.graph.addNode({ op: opType, domain, name, inputs, outputs, attributes });
    this.#added(copy);
    return copy;
  }

  #added(node: Node): void {
    this.#types.addNode(node);
    if (node.inputs.some((input) => this.wants(input)))
      for (const output of node.outputs)
        if (output !== undefined && isDifferentiable(output)) this.#wanted.add(output);
  }

  /** Takes the type of `value` for that of `like`. */
  alike(value: Value, like: Value): Value {
    this.#types.setFact(value, this.factOf(like));
    return value;
  }

  /** All that inference knows of a value: type, shape with a symbol for each unknown size, small content. */
  factOf(value: Value): Fact {
    return this.#types.factOf(value);
  }

  /** The whole numbers in a small value (axes, sizes), where they are known. */
  numbersOf(value: Value | undefined): readonly number[] | undefined {
    return value === undefined ? undefined : numbersIn(this.factOf(value));
  }

  /** The one element of a constant. */
  numberIn(value: Value): number | undefined {
    const { tensor } = this.factOf(value);
    return tensor && scalarOf(tensor);
  }

  /** A constant of the element type of `like`. */
  scalar(value: number, like: Value): Value {
    const dtype = like.dtype === "float64" ? "float64" : "float32";
    const make = dtype === "float64" ? Float64Array.of(value) : Float32Array.of(value);
    const scalar = this.constant(`${dtype} ${value}`, () => tensorOf(dtype, [], make));
    return like.dtype === undefined || like.dtype === dtype ? scalar : this.cast(scalar, like);
  }

  /** A vector of int64. */
  ints(list: readonly number[]): Value {
    return this.#builder.ints(list);
  }

  /** A scalar of int64. */
  integer(value: number): Value {
    return this.#builder.integer(value);
  }

  /** An initializer, made once for each `key`. */
  constant(key: string, make: () => Tensor): Value {
    return this.#builder.constant(key, make);
  }

  /** `value` in the element type of `like`. */
  cast(value: Value, like: Value): Value {
    if (like.dtype === undefined) return this.op("CastLike", [value, like]);
    return value.dtype === like.dtype
      ? value
      : this.op("Cast", [value], { to: DTYPES[like.dtype].code });
  }

  /** The sizes of a value as int64: a constant where all are known. */
  shapeOf(value: Value): Value {
    const sizes = this.sizesOf(value);
    if (sizes !== undefined) return this.ints(sizes);
    let shape = this.#shapes.get(value);
    if (shape === undefined) {
      shape = this.op("Shape", [value]);
      this.#shapes.set(value, shape);
    }
    return shape;
  }

  /** The sizes of a value where all are known. */
  sizesOf(value: Value): readonly number[] | undefined {
    const shape = this.factOf(value).shape;
    return shape?.every((d) => typeof d === "number") === true ? shape : undefined;
  }

  /** Whether two values surely have the same shape. */
  sameShape(a: Value, b: Value): boolean {
    const [left, right] = [this.factOf(a).shape, this.factOf(b).shape];
    return (
      left !== undefined &&
      left.length === right?.length &&
      left.every((dim, i) => isSame(dim, right[i] ?? null))
    );
  }

  /** `value` with the shape of `like` (as many elements). */
  reshapeLike(value: Value, like: Value): Value {
    if (this.sameShape(value, like)) return value;
    // What was reshaped before is reshaped once: onnxruntime 1.30 fails to load some chains whose shapes are computed.
    const [from] = value.producer?.op === "Reshape" ? value.producer.inputs : [value];
    if (from === undefined || this.sameShape(from, like)) return from ?? value;
    const target = this.#shapeFrom(from, like);
    if (target === undefined) return this.op("Reshape", [from, this.shapeOf(like)]);
    const attributes =
      target.includes(0) && this.sizesOf(like) !== undefined ? { allowzero: 1 } : {};
    return this.op("Reshape", [from, this.ints(target)], attributes);
  }

  /** The shape of `like` as a Reshape of `from` can say it without looking at `like`: 0 for a size that stays in its place, -1 for one that is left. */
  #shapeFrom(from: Value, like: Value): readonly number[] | undefined {
    const known = this.sizesOf(like);
    if (known !== undefined) return known;
    const own = this.factOf(from).shape;
    const target = this.factOf(like).shape?.map((dim, i) => {
      if (typeof dim === "number" && dim > 0) return dim;
      return own !== undefined && i < own.length && isSame(dim, own[i] ?? null) ? 0 : -1;
    });
    return target?.filter((n) => n === -1).length === 1 || target?.includes(-1) === false
      ? target
      : undefined;
  }

  /** Whether the last axes of `value` are surely those of `tail`. */
  endsWith(value: Value, tail: Value): boolean {
    const [shape, end] = [this.factOf(value).shape, this.factOf(tail).shape];
    const lead = (shape?.length ?? 0) - (end?.length ?? 0);
    return end?.every((dim, i) => isSame(dim, shape?.[i + lead] ?? null)) === true && lead >= 0;
  }

  zerosLike(value: Value): Value {
    return this.fill(0, value);
  }

  /** A tensor of the shape and type of `like` with the same number everywhere. */
  fill(value: number, like: Value): Value {
    const scalar = this.scalar(value, like);
    return like.rank === 0 ? scalar : this.op("Expand", [scalar, this.shapeOf(like)]);
  }

  /** Reduces over `axes` (all of them without any), with the axes where this operator set wants them. */
  reduce(
    type: `Reduce${"Sum" | "Mean" | "Max"}`,
    value: Value,
    axes?: readonly number[],
    keepdims: 0 | 1 = 1,
  ): Value {
    if (axes?.length === 0) return value;
    const since = type === "ReduceSum" ? 13 : 18;
    if (axes === undefined) return this.op(type, [value], { keepdims });
    return this.opset >= since
      ? this.op(type, [value, this.ints(axes)], { keepdims })
      : this.op(type, [value], { axes, keepdims });
  }

  /** Adds axes of size 1 at these positions of the result. */
  unsqueeze(value: Value, axes: readonly number[]): Value {
    if (axes.length === 0) return value;
    return this.opset >= 13
      ? this.op("Unsqueeze", [value, this.ints(axes)])
      : this.op("Unsqueeze", [value], { axes });
  }

  /** The gradient of `like`, which was broadcast to the shape of `gradient`: its sum over the repetitions. Axes found at run time where shapes are not known. */
  sumTo(gradient: Value, like: Value): Value {
    if (this.sameShape(gradient, like)) return gradient;
    const wide = this.factOf(gradient).shape;
    const narrow = this.factOf(like).shape;
    if (wide === undefined || narrow === undefined || narrow.length > wide.length)
      return this.#sumToAtRunTime(gradient, like);
    const lead = wide.length - narrow.length;
    const axes: number[] = wide.slice(0, lead).map((_, i) => i);
    for (const [i, dim] of narrow.entries()) {
      const from = wide[i + lead] ?? null;
      if (isSame(dim, from) || (typeof dim === "number" && dim !== 1) || from === 1) continue;
      if (dim !== 1) return this.#sumToAtRunTime(gradient, like);
      axes.push(i + lead);
    }
    // Leading axes alone go without a Reshape.
    if (axes.length === lead) return this.#sumLeading(gradient, lead);
    return this.reshapeLike(this.reduce("ReduceSum", gradient, axes), like);
  }

  #sumLeading(gradient: Value, lead: number): Value {
    return this.reduce(
      "ReduceSum",
      gradient,
      Array.from({ length: lead }, (_, i) => i),
      0,
    );
  }

  /** Sums over the axes where `like` has size 1 or none. Needs operator set 13. */
  #sumToAtRunTime(gradient: Value, like: Value): Value {
    const shape = this.shapeOf(like);
    const missing = this.op("Sub", [
      this.op("Shape", [this.shapeOf(gradient)]),
      this.op("Shape", [shape]),
    ]);
    const one = this.constant("one int64", () => int64Tensor([1]));
    const ones = this.op("Expand", [one, missing]);
    const padded = this.op("Concat", [ones, shape], { axis: 0 });
    const flags = this.op("Equal", [padded, one]);
    const axes = this.op("Reshape", [this.op("NonZero", [flags]), this.ints([-1])]);
    const attributes = { keepdims: 1, noop_with_empty_axes: 1 };
    const sum = this.op("ReduceSum", [gradient, axes], attributes);
    return this.op("Reshape", [sum, shape]);
  }

  /** The sum of gradients of one value. */
  add(gradients: readonly Value[]): Value | undefined {
    const [first, ...others] = gradients;
    return first && others.reduce((sum, next) => this.op("Add", [sum, next]), first);
  }

  /** How many elements of `x` each element of `y` stands for, where `y` has the axes of `x`, some reduced to 1, and their sizes are known. */
  reducedCount(x: Value, y: Value): number | undefined {
    const [wide, narrow] = [this.factOf(x).shape, this.factOf(y).shape];
    if (wide === undefined || wide.length !== narrow?.length) return undefined;
    let count = 1;
    for (const [i, dim] of wide.entries()) {
      const other = narrow[i] ?? null;
      if (isSame(dim, other)) continue;
      if (typeof dim !== "number" || other !== 1) return undefined;
      count *= dim;
    }
    return count;
  }
}

/** Values without a known type may be floats. */
export function isDifferentiable({ dtype }: Value): boolean {
  return dtype === undefined || DTYPES[dtype].kind === "float";
}

function isSame(a: Dim, b: Dim): boolean {
  return a !== null && b !== null && equalDims(a, b) === true;
}
