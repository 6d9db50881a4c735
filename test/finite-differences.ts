// Holds the gradients of one operator against differences of what onnxruntime computes for it.
import fc from "fast-check";
import { differentiate } from "../src/autodiff/differentiate.js";
import type { GradientTable } from "../src/autodiff/rule.js";
import { exportModel } from "../src/graph/export.js";
import type { AttributeInput } from "../src/graph/attribute.js";
import type { Value } from "../src/graph/graph.js";
import type { Model } from "../src/graph/model.js";
import { elementCount } from "../src/onnx/dtypes.js";
import { tensorOf, type Tensor } from "../src/onnx/tensor.js";
import { encodeModel } from "../src/onnx/writer.js";
import { builder, buildModel, floats, noise } from "./build.js";
import { numbers, openSession, runSession, type Feeds } from "./run.js";

export interface Operand {
  readonly tensor: Tensor;
  /** Whether it is an initializer; default: an input of the graph. */
  readonly constant?: boolean;
  /** Whether a float tensor has no gradient all the same. */
  readonly fixed?: boolean;
}

/** One node with its inputs, at a place where it is smooth. */
export interface Sample {
  readonly inputs: readonly (Operand | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  readonly outputs?: number;
  /** Outputs that the loss is made of; default: all that are floats. */
  readonly read?: readonly number[];
  readonly opset?: number;
  /** Whether the outputs are float64, and are cast for the loss. */
  readonly double?: boolean;
  /** Whether all sizes have to be numbers; default: some graphs have names for them. */
  readonly numbered?: boolean;
}

/** How a sample is put into a graph. */
interface Form {
  /** Whether the graph's inputs have names for sizes. */
  readonly symbolic: boolean;
  /** Which of the inputs with a gradient get one: bit i for the i-th, none for all of them. */
  readonly mask: number;
}

const FORMS = fc.record({ symbolic: fc.boolean(), mask: fc.constantFrom(0, 0, 1, 2, 3) });

const STEP = 0.02;

/** For all samples, d loss / d input along random directions is the difference of losses, divided by the distance. */
export async function holdsFor(
  op: string,
  samples: fc.Arbitrary<Sample>,
  { runs = 25, rules }: { runs?: number; rules?: GradientTable } = {},
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(samples, FORMS, async (sample, form) => {
      try {
        const wrong = await compare(build(op, sample, form), rules);
        if (wrong !== undefined) throw new Error(wrong);
      } catch (cause) {
        throw new Error(`${tell(op, sample, form)}: ${String(cause)}`, { cause });
      }
    }),
    { numRuns: runs },
  );
}

function tell(op: string, { inputs, ...rest }: Sample, form: Form): string {
  const told = inputs.map((operand) => {
    if (operand === undefined) return "-";
    const { tensor, constant = false } = operand;
    const list = tensor.dtype === "float32" ? "" : ` ${numbers(tensor).join(" ")}`;
    return `${constant ? "constant " : ""}${tensor.dtype}[${tensor.dims.join()}]${list}`;
  });
  return `${op}(${told.join("; ")}) ${JSON.stringify(rest)} ${JSON.stringify(form)}`;
}

interface Built {
  readonly model: Model;
  readonly feeds: Feeds;
  readonly wrt: readonly Value[];
  /** Outputs of the node that make the loss. */
  readonly read: readonly string[];
  readonly loss: Value;
}

/** loss = Σ outputs · weights. */
function build(op: string, sample: Sample, form: Form): Built {
  const feeds: Record<string, Tensor> = {};
  const wrt: Value[] = [];
  const read: string[] = [];
  let loss: Value | undefined;
  const model = buildModel(
    ({ graph }) => {
      const b = builder(graph);
      const inputs = sample.inputs.map((operand, i) => {
        if (operand === undefined) return undefined;
        const { tensor, constant = false, fixed = false } = operand;
        if (constant) return graph.addInitializer(`i${i}`, tensor);
        const isFloat = tensor.dtype === "float32";
        // Axes, shapes and the like keep their length: their number is part of the operator's form.
        const named =
          form.symbolic && sample.numbered !== true && (isFloat || tensor.dims.length !== 1);
        const shape = named ? tensor.dims.map((_, d) => `i${i}d${d}`) : tensor.dims;
        const value = graph.addInput(`i${i}`, { dtype: tensor.dtype, shape });
        feeds[value.name] = tensor;
        if (isFloat && !fixed) wrt.push(value);
        return value;
      });
      const dot = op.lastIndexOf(".");
      const node = graph.addNode({
        op: op.slice(dot + 1),
        domain: dot < 0 ? "" : op.slice(0, dot),
        name: "one",
        inputs,
        outputs: sample.outputs ?? 1,
        attributes: sample.attributes ?? {},
      });
      const parts = [...(sample.read ?? node.outputs.keys())].map((i) => {
        const made = node.output(i);
        const output =
          sample.double === true ? b.op(`single${i}`, "Cast", [made], { to: 1 }) : made;
        graph.addOutput(output);
        read.push(output.name);
        return b.op(`flat${i}`, "Reshape", [output, b.int(`all${i}`, [-1])]);
      });
      const weights = b.input("weights", ["weights"]);
      loss = b.op("loss", "Mul", [b.op("flat", "Concat", parts, { axis: 0 }), weights]);
    },
    { opset: sample.opset ?? 18 },
  );
  if (loss === undefined) throw new Error("a sample needs an output");
  const chosen = wrt.filter((_, i) => form.mask === 0 || (form.mask >> i) % 2 === 1);
  return { model, feeds, wrt: chosen.length === 0 ? wrt : chosen, read, loss };
}

/** What is wrong, if anything. */
async function compare(built: Built, rules?: GradientTable): Promise<string | undefined> {
  const { model, feeds, wrt, read, loss } = built;
  const forward = await openSession(encodeModel(exportModel(model)));
  const lossAt = async (at: Feeds) => {
    const values = valuesOf(await runSession(forward, at), read);
    return dot(values, noise(values.length, 7));
  };
  const unweighted = { ...feeds, weights: floats([1]) };
  const count = valuesOf(await runSession(forward, unweighted), read).length;
  const weighted: Feeds = { ...feeds, weights: tensorOf("float32", [count], noise(count, 7)) };
  const found = differentiate(model, loss, wrt, rules === undefined ? {} : { rules });
  const names = found.map((value) => {
    if (!value.isOutput && !value.isInput) model.graph.addOutput(value);
    return value.name;
  });
  const backward = await openSession(encodeModel(exportModel(model)));
  try {
    const gradients = await runSession(backward, weighted);
    for (const [i, value] of wrt.entries()) {
      const x = feeds[value.name];
      const gradient = gradients[names[i] ?? ""] ?? weighted[names[i] ?? ""];
      if (x === undefined || gradient === undefined) return `no gradient of ${value.name}`;
      if (gradient.dims.join() !== x.dims.join())
        return `the gradient of ${value.name} [${x.dims.join()}] has shape [${gradient.dims.join()}]`;
      for (const seed of [31, 57]) {
        const direction = noise(elementCount(x.dims), seed);
        const slope = (step: number) => slopeAlong(weighted, value.name, direction, step, lossAt);
        const expected = (4 * (await slope(STEP / 2)) - (await slope(STEP))) / 3;
        const got = dot(numbers(gradient), direction);
        const size = Math.max(norm(numbers(gradient)) * norm(direction), Math.abs(expected));
        if (!(Math.abs(got - expected) <= 2e-3 * size + 2e-4))
          return `along a direction the loss changes by ${expected} per unit of ${value.name}, its gradient says ${got}`;
      }
    }
    return undefined;
  } finally {
    await forward.release();
    await backward.release();
  }
}

/** The elements of these outputs, one after the other. */
function valuesOf(results: Feeds, names: readonly string[]): number[] {
  return names.flatMap((name) => {
    const tensor = results[name];
    return tensor === undefined ? [] : numbers(tensor);
  });
}

async function slopeAlong(
  feeds: Feeds,
  name: string,
  direction: Float32Array,
  step: number,
  lossAt: (feeds: Feeds) => Promise<number>,
): Promise<number> {
  const x = feeds[name];
  if (x === undefined) throw new Error(`no ${name}`);
  const values = numbers(x);
  const moved = (by: number) =>
    Float32Array.from(values, (v, i) => v + by * (direction[i] ?? Number.NaN));
  const at = (list: Float32Array) => ({ ...feeds, [name]: tensorOf("float32", x.dims, list) });
  const [ahead, behind] = [moved(step), moved(-step)];
  return ((await lossAt(at(ahead))) - (await lossAt(at(behind)))) / (2 * step);
}

const dot = (a: readonly number[], b: Float32Array) =>
  a.reduce((sum, v, i) => sum + v * (b[i] ?? Number.NaN), 0);

const norm = (list: ArrayLike<number>) => Math.hypot(...Array.from(list));
