import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runBoth, type OneNode } from "../../against-ort.js";
import { rangeOf, roundHalfToEven, store } from "./kernel.js";

type Whole = "int8" | "uint8" | "int16" | "uint16" | "int4" | "uint4";
const WHOLE = ["int8", "uint8", "int16", "uint16", "int4", "uint4"] as const;

const size = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

/** Scales from tiny to large, powers of two among them, so that ties occur. */
const scales = fc.oneof(
  fc.constantFrom(0.25, 0.5, 1, 2),
  fc.double({ min: 1e-4, max: 10, noNaN: true }).map(Math.fround),
);
const reals = fc.oneof(
  fc.integer({ min: -2000, max: 2000 }).map((n) => n / 8),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(Math.fround),
  fc.constantFrom(0, -0, 3e38, -3e38),
);

const list = <T>(of: fc.Arbitrary<T>, count: number) =>
  fc.array(of, { minLength: count, maxLength: count });
const codes = (dtype: Whole) => {
  const { low, high } = rangeOf(dtype);
  return fc.oneof(fc.integer({ min: low, max: high }), fc.constantFrom(low, high, 0));
};

interface Layout {
  readonly dims: readonly number[];
  readonly scaleDims: readonly number[];
  readonly attributes: Record<string, number>;
}

/** A shape and how its scales lie on it: per tensor, per axis, in blocks. */
const layouts: fc.Arbitrary<Layout> = fc
  .record({
    // onnxruntime takes one scale in a vector for "per tensor", and then refuses a block size: vectors are left out here.
    dims: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 4 }),
    kind: fc.constantFrom("tensor", "axis", "block"),
    at: fc.nat(),
    negative: fc.boolean(),
    block: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ dims, kind, at, negative, block }) => {
    const axis = at % dims.length;
    const written = negative ? axis - dims.length : axis;
    const length = dims[axis] ?? 1;
    if (kind === "tensor") return { dims, scaleDims: [], attributes: {} };
    if (kind === "axis") return { dims, scaleDims: [length], attributes: { axis: written } };
    const scaleDims = dims.with(axis, Math.ceil(length / block));
    return { dims, scaleDims, attributes: { axis: written, block_size: block } };
  });

async function expectEqual(spec: OneNode): Promise<void> {
  const { reference, ort } = await runBoth(spec);
  expect(reference).toEqual(ort);
}

test("rounding is half to even", () => {
  const halves = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 4503599627370495.5];
  expect(halves.map(roundHalfToEven)).toEqual([-2, -2, -0, 0, 2, 2, 4, 4503599627370496]);
  expect([1.2, -1.2, 1e300, -Infinity].map(roundHalfToEven)).toEqual([1, -1, 1e300, -Infinity]);
});

/** Held where float16 has numbers, and where onnxruntime saturates (see below). */
const within = (v: number) => Math.max(-60000, Math.min(60000, v));

/** Ranges of subnormal width have a scale of 0 or nearly so: no two implementations agree, and nobody is hurt. */
const normal = (values: readonly number[]) => values.map((v) => (Math.abs(v) < 1e-30 ? 0 : v));

describe("equal to onnxruntime, to the bit", () => {
  const cases = fc.constantFrom(...WHOLE).chain((dtype) =>
    layouts.chain((layout) =>
      fc.record({
        dtype: fc.constant(dtype),
        layout: fc.constant(layout),
        reals: list(reals, size(layout.dims)),
        codes: list(codes(dtype), size(layout.dims)),
        scales: list(scales, size(layout.scaleDims)),
        zeros: list(codes(dtype), size(layout.scaleDims)),
      }),
    ),
  );

  test("QuantizeLinear", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const { dims, scaleDims, attributes } = c.layout;
        const saturates = !c.dtype.endsWith("4") && attributes["block_size"] === undefined;
        await expectEqual({
          op: "QuantizeLinear",
          inputs: [
            store("float32", dims, saturates ? c.reals : c.reals.map(within)),
            store("float32", scaleDims, c.scales),
            store(c.dtype, scaleDims, c.zeros),
          ],
          attributes,
          narrow: c.dtype.endsWith("4"),
        });
      }),
      { numRuns: 300 },
    );
  });

  test("QuantizeLinear of float16", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const { dims, scaleDims, attributes } = c.layout;
        await expectEqual({
          op: "QuantizeLinear",
          inputs: [
            store("float16", dims, c.reals.map(within)),
            store("float16", scaleDims, c.scales),
            store(c.dtype, scaleDims, c.zeros),
          ],
          attributes,
          narrow: c.dtype.endsWith("4"),
        });
      }),
      { numRuns: 300 },
    );
  });

  test("DequantizeLinear into float32 and float16", async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.constantFrom("float32", "float16"), async (c, real) => {
        const { dims, scaleDims, attributes } = c.layout;
        await expectEqual({
          op: "DequantizeLinear",
          inputs: [
            store(c.dtype, dims, c.codes),
            store(real, scaleDims, c.scales),
            store(c.dtype, scaleDims, c.zeros),
          ],
          attributes,
        });
      }),
      { numRuns: 300 },
    );
  });

  test("DequantizeLinear of int32 biases, per tensor and per channel", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer(), { minLength: 1, maxLength: 20 }),
        fc.boolean(),
        fc.array(scales, { minLength: 20, maxLength: 20 }),
        async (bias, perChannel, all) => {
          const own = all.slice(0, perChannel ? bias.length : 1);
          await expectEqual({
            op: "DequantizeLinear",
            inputs: [
              store("int32", [bias.length], bias),
              store("float32", perChannel ? [own.length] : [], own),
            ],
            attributes: perChannel ? { axis: 0 } : {},
          });
        },
      ),
    );
  });

  test("DynamicQuantizeLinear, all-zero and constant inputs among others", async () => {
    const values = fc.oneof(
      fc.array(fc.constant(0), { minLength: 1, maxLength: 40 }),
      fc
        .tuple(reals, fc.integer({ min: 1, max: 40 }))
        .map(([v, n]) => Array.from({ length: n }, () => v / 2)),
      fc.array(fc.double({ min: -1000, max: 1000, noNaN: true }).map(Math.fround), {
        minLength: 1,
        maxLength: 300,
      }),
      fc.array(fc.double({ min: 0, max: 6, noNaN: true }).map(Math.fround), {
        minLength: 1,
        maxLength: 70,
      }),
      fc.array(fc.double({ min: -6, max: 0, noNaN: true }).map(Math.fround), {
        minLength: 1,
        maxLength: 70,
      }),
    );
    await fc.assert(
      fc.asyncProperty(values, async (x) => {
        await expectEqual({
          op: "DynamicQuantizeLinear",
          inputs: [store("float32", [x.length], normal(x))],
          outputs: 3,
        });
      }),
      { numRuns: 500 },
    );
  });

  test("ties round to even before the zero point is added", async () => {
    const spec: OneNode = {
      op: "QuantizeLinear",
      inputs: [
        store("float32", [6], [0.5, 1.5, 2.5, -0.5, -1.5, -2.5]),
        store("float32", [], [1]),
        store("uint8", [], [7]),
      ],
    };
    await expectEqual(spec);
    const { reference } = await runBoth(spec);
    expect(Array.from(reference[0]?.data ?? [], Number)).toEqual([7, 9, 9, 7, 5, 5]);
  });
});

describe("where onnxruntime leaves the specification", () => {
  const numbers = async (spec: OneNode) => {
    const { reference, ort } = await runBoth(spec);
    const list = (side: typeof ort) => Array.from(side[0]?.data ?? [], Number);
    return { reference: list(reference), ort: list(ort) };
  };

  test("quotients from 2^31 on: 4-bit tails, float16 and blocks get the lowest code instead of the highest", async () => {
    const quantized = (real: "float32" | "float16", to: Whole, x: number) =>
      numbers({
        op: "QuantizeLinear",
        inputs: [store(real, [1], [x]), store(real, [], [1]), store(to, [], [0])],
        narrow: to.endsWith("4"),
      });
    expect(await quantized("float32", "int4", 3e9)).toEqual({ reference: [7], ort: [-8] });
    expect(await quantized("float32", "uint4", 3e9)).toEqual({ reference: [15], ort: [0] });
    expect(await quantized("float16", "uint8", Infinity)).toEqual({ reference: [255], ort: [0] });
    const blocked = await numbers({
      op: "QuantizeLinear",
      inputs: [
        store("float32", [1, 2], [3e9, 1]),
        store("float32", [1, 2], [1, 1]),
        store("int8", [1, 2], [0, 0]),
      ],
      attributes: { axis: 0, block_size: 1 },
    });
    expect(blocked).toEqual({ reference: [127, 1], ort: [-128, 1] });
    expect(await quantized("float32", "uint8", Infinity)).toEqual({ reference: [255], ort: [255] });
  });

  test("all-zero inputs of DynamicQuantizeLinear have scale 1, not 0", async () => {
    const { reference, ort } = await runBoth({
      op: "DynamicQuantizeLinear",
      inputs: [store("float32", [2], [0, 0])],
      outputs: 3,
    });
    expect(ort[1]?.data).toEqual(Float32Array.of(1));
    expect(reference).toEqual(ort);
  });

  test("one block over a vector is taken for per-tensor quantization, and refused", async () => {
    const inputs = [
      store("float32", [2], [1, 2]),
      store("float32", [1], [1]),
      store("uint8", [1], [0]),
    ];
    const spec = { op: "QuantizeLinear", inputs, attributes: { axis: 0, block_size: 2 } };
    await expect(runBoth(spec)).rejects.toThrow("block_size must be 0 for per-tensor");
  });
});
