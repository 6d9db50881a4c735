// Fake-quantizes compute what Q/DQ compute, and give the gradients of the straight-through estimator and of LSQ.
import fc from "fast-check";
import { expect, test } from "vitest";
import { differentiate } from "../autodiff/differentiate.js";
import { exportModel } from "../graph/export.js";
import { Graph, type Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { verify } from "../graph/verify.js";
import { float32Tensor, tensorOf, type Tensor } from "../onnx/tensor.js";
import { encodeModel } from "../onnx/writer.js";
import { roundHalfEven } from "../quant/round.js";
import { saturates } from "../../test/integer-sums.js";
import { numbers, runModel, type Feeds } from "../../test/run.js";
import { expandQuantizers } from "./expand-quantizers.js";
import { fakeQuantize, QUANTIZER_RULES, type FakeQuantizeForm } from "./fake-quantize.js";

const U8: FakeQuantizeForm = { low: 0, high: 255, zero: 100 };
const S8: FakeQuantizeForm = { low: -128, high: 127, zero: 0 };

function modelOf(graph: Graph): Model {
  const opsets = new Map([["", 18]]);
  return { graph, opsets, irVersion: 8, functions: [], rest: {} };
}

interface Quantized {
  readonly model: Model;
  readonly y: Value;
  readonly trained: readonly Value[];
}

/** y = fakeQuantize(x), with the ratio and the shift as inputs of the graph. */
function quantized(
  form: FakeQuantizeForm,
  dims: readonly number[],
  base: Tensor,
  shifts: boolean,
): Quantized {
  const graph = new Graph();
  const model = modelOf(graph);
  const x = graph.addInput("x", { dtype: "float32", shape: dims });
  const ratio = graph.addInput("ratio", { dtype: "float32", shape: base.dims });
  const shift = shifts ? graph.addInput("shift", { dtype: "float32", shape: [] }) : undefined;
  const nothing = graph.addInitializer("nothing", scalar(0));
  const end = graph.addNode({ op: "Add", inputs: [x, nothing], outputs: ["y"] });
  const scale = graph.addInitializer("base", base);
  end.setInput(0, fakeQuantize(model, end, x, { base: scale, ratio, shift }, form));
  return { model, y: end.output(), trained: [x, ratio, ...(shift === undefined ? [] : [shift])] };
}

async function run(model: Model, outputs: readonly Value[], feeds: Feeds): Promise<number[][]> {
  for (const value of outputs) model.graph.addOutput(value);
  expandQuantizers(model, { unsignedWeights: saturates });
  verify(model.graph);
  const results = await runModel(encodeModel(exportModel(model)), feeds);
  return model.graph.outputs.map(({ name }) => {
    const tensor = results[name];
    if (tensor === undefined) throw new Error(`no ${name}`);
    return numbers(tensor);
  });
}

const floats = (dims: readonly number[], values: readonly number[]): Tensor =>
  tensorOf("float32", dims, Float32Array.from(values));
const scalar = (value: number): Tensor => float32Tensor(value);

const values = fc.array(fc.double({ min: -4, max: 4, noNaN: true }), {
  minLength: 12,
  maxLength: 12,
});

for (const [name, form] of Object.entries({ "uint8 with a zero point": U8, "symmetric int8": S8 }))
  test(`${name}: the forward pass is QuantizeLinear and DequantizeLinear`, () =>
    fc.assert(
      fc.asyncProperty(
        values,
        fc.double({ min: 0.5, max: 2, noNaN: true }),
        fc.double({ min: -0.3, max: 0.3, noNaN: true }),
        async (x, ratio, shift) => {
          const moves = form === U8;
          const { model, y } = quantized(form, [3, 4], scalar(0.02), moves);
          const feeds = { x: floats([3, 4], x), ratio: scalar(ratio), shift: scalar(shift) };
          const { shift: _, ...fixed } = feeds;
          const [found] = await run(model, [y], moves ? feeds : fixed);
          const step = Math.fround(Math.fround(0.02) * Math.fround(ratio));
          const moved = Math.fround(form.zero + Math.fround(Math.fround(shift) * 255));
          const zero = moves
            ? Math.min(form.high, Math.max(form.low, roundHalfEven(moved)))
            : form.zero;
          const wanted = x.map((v) => {
            const code = roundHalfEven(Math.fround(Math.fround(v) / step)) + zero;
            return Math.fround((Math.min(form.high, Math.max(form.low, code)) - zero) * step);
          });
          expect(found).toEqual(wanted.map((v) => v + 0));
        },
      ),
      { numRuns: 30 },
    ));

test("gradients of a tensor: straight through inside, LSQ for the step, what is cut off for the zero point", () =>
  fc.assert(
    fc.asyncProperty(values, values, async (x, g) => {
      const { model, y, trained } = quantized(U8, [3, 4], scalar(0.02), true);
      const upstream = model.graph.addInitializer("g", floats([3, 4], g));
      const loss = model.graph.addNode({ op: "Mul", inputs: [y, upstream] }).output();
      const gradients = differentiate(model, loss, trained, { rules: QUANTIZER_RULES });
      const feeds = { x: floats([3, 4], x), ratio: scalar(1.1), shift: scalar(0.02) };
      const [dx, dRatio, dShift] = await run(model, gradients, feeds);
      const step = 0.02 * 1.1;
      const zero = 105;
      const [low, high] = [-zero * step, (255 - zero) * step];
      const norm = Math.sqrt(12 * 255);
      const inside = x.map((v) => v >= low && v <= high);
      const lsq = x.map((v, i) => {
        if (!inside[i]) return v < low ? -zero : 255 - zero;
        return roundHalfEven(v / step) - v / step;
      });
      const sum = (list: readonly number[]): number => list.reduce((s, v) => s + v, 0);
      expect(dx?.map((v) => v + 0)).toEqual(
        g.map((v, i) => (inside[i] === true ? Math.fround(v) : 0) + 0),
      );
      expect(dRatio?.[0]).toBeCloseTo(sum(g.map((v, i) => v * (lsq[i] ?? 0))) / norm, 2);
      const outside = sum(g.map((v, i) => (inside[i] === true ? 0 : v)));
      expect(dShift?.[0]).toBeCloseTo(-outside / norm, 4);
    }),
    { numRuns: 30 },
  ));

for (const axis of [0, 1])
  test(`gradients of channels along axis ${axis}`, () =>
    fc.assert(
      fc.asyncProperty(values, values, async (x, g) => {
        const form = { low: -7, high: 7, zero: 0, axis };
        const dims = [axis === 0 ? 3 : 4];
        const bases = [0.3, 0.5, 0.7, 0.9].slice(0, axis === 0 ? 3 : 4);
        const { model, y, trained } = quantized(form, [3, 4], floats(dims, bases), false);
        const upstream = model.graph.addInitializer("g", floats([3, 4], g));
        const loss = model.graph.addNode({ op: "Mul", inputs: [y, upstream] }).output();
        const gradients = differentiate(model, loss, trained, { rules: QUANTIZER_RULES });
        const ratio = floats(
          dims,
          bases.map(() => 1),
        );
        const feeds = { x: floats([3, 4], x), ratio };
        const [made, dx, dRatio] = await run(model, [y, ...gradients], feeds);
        const channel = (i: number): number => (axis === 0 ? Math.floor(i / 4) : i % 4);
        const wanted = bases.map(() => 0);
        for (const [i, v] of x.entries()) {
          const step = Math.fround(bases[channel(i)] ?? NaN);
          const u = Math.fround(Math.fround(v) / step);
          const code = Math.min(7, Math.max(-7, roundHalfEven(u)));
          const inside = Math.abs(u) <= 7;
          expect(made?.[i]).toBeCloseTo(code * step, 5);
          expect(dx?.[i]).toBeCloseTo(inside ? (g[i] ?? NaN) : 0, 6);
          const c = channel(i);
          wanted[c] = (wanted[c] ?? NaN) + (g[i] ?? NaN) * (inside ? code - u : code);
        }
        const norm = Math.sqrt((axis === 0 ? 4 : 3) * 7);
        for (const [c, sum] of wanted.entries()) expect(dRatio?.[c]).toBeCloseTo(sum / norm, 3);
      }),
      { numRuns: 20 },
    ));

test("a second term leave a 170th of a step", async () => {
  const x = [0.01, 1.2345, -0.7, 0.333, 2, -2];
  const { model, y } = quantized({ ...U8, terms: 2 }, [6], scalar(0.02), false);
  const [found] = await run(model, [y], { x: floats([6], x), ratio: scalar(1) });
  for (const [i, v] of x.entries()) expect(Math.abs((found?.[i] ?? NaN) - v)).toBeLessThan(6e-5);
});

test("a product of two quantized operands runs on integers, and gives what the floats give", async () => {
  const graph = new Graph();
  const model = modelOf(graph);
  const x = graph.addInput("x", { dtype: "float32", shape: ["rows", 8] });
  const w = graph.addInput("w", { dtype: "float32", shape: [8, 4] });
  const product = graph.addNode({ op: "MatMul", inputs: [x, w], outputs: ["y"] });
  const constant = (name: string, dims: readonly number[], value: number): Value =>
    graph.addInitializer(name, floats(dims, Array<number>(dims[0] ?? 1).fill(value)));
  const one = constant("one", [], 1);
  const steps = { base: constant("sx", [], 0.02), ratio: one };
  const columns = { base: constant("sw", [4], 0.01), ratio: constant("ones", [4], 1) };
  const left = fakeQuantize(model, product, x, steps, U8);
  const right = fakeQuantize(model, product, w, columns, {
    low: -127,
    high: 127,
    zero: 0,
    axis: -1,
  });
  product.setInputs([left, right]);
  const noise = (count: number): number[] =>
    Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898) * (i % 7 === 0 ? 3 : 1));
  const feeds = { x: floats([5, 8], noise(40)), w: floats([8, 4], noise(32)) };
  const [y, lefts, rights] = await run(model, [product.output(), left, right], feeds);
  expect([...graph.nodes()].map(({ opType }) => opType)).toContain("MatMulIntegerToFloat");
  for (let r = 0; r < 5; r++)
    for (let c = 0; c < 4; c++) {
      let sum = 0;
      for (let k = 0; k < 8; k++) sum += (lefts?.[r * 8 + k] ?? NaN) * (rights?.[k * 4 + c] ?? NaN);
      expect(y?.[r * 4 + c]).toBeCloseTo(sum, 4);
    }
});
