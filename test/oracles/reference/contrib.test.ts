import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runBoth, type OneNode } from "../../against-ort.js";
import type { Tensor } from "../../../src/onnx/tensor.js";
import { rangeOf, store } from "./kernel.js";

const size = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
const count = (max: number) => fc.integer({ min: 1, max });

function tensor(
  dtype: Parameters<typeof store>[0],
  dims: readonly number[],
  one: fc.Arbitrary<number>,
): fc.Arbitrary<Tensor> {
  const length = size(dims);
  return fc
    .array(one, { minLength: length, maxLength: length })
    .map((values) => store(dtype, dims, values));
}

const codes = (dtype: "int8" | "uint8", dims: readonly number[]) => {
  const { low, high } = rangeOf(dtype);
  return tensor(dtype, dims, fc.integer({ min: low, max: high }));
};
const positive = fc.double({ min: 0.01, max: 1, noNaN: true }).map(Math.fround);
const real = fc.integer({ min: -640, max: 640 }).map((v) => v / 64);

/** The largest difference, relative to the largest value. */
async function difference(spec: OneNode): Promise<{ absolute: number; relative: number }> {
  const { reference, ort } = await runBoth(spec);
  expect(reference.map((t) => [t.dtype, t.dims])).toEqual(ort.map((t) => [t.dtype, t.dims]));
  const own = Array.from(reference[0]?.data ?? [], Number);
  const theirs = Array.from(ort[0]?.data ?? [], Number);
  const absolute = Math.max(0, ...own.map((v, i) => Math.abs(v - (theirs[i] ?? Number.NaN))));
  return { absolute, relative: absolute / Math.max(1e-3, ...own.map(Math.abs)) };
}

describe("quantized operators of onnxruntime", () => {
  test.each(["QLinearAdd", "QLinearMul"])(
    "%s: within one code (onnxruntime multiplies by quotients of the scales)",
    async (op) => {
      const cases = fc
        .record({
          dtype: fc.constantFrom("int8" as const, "uint8" as const),
          dims: fc.array(count(5), { minLength: 1, maxLength: 3 }),
          broadcast: fc.boolean(),
        })
        .chain(({ dtype, dims, broadcast }) =>
          fc.tuple(
            codes(dtype, dims),
            tensor("float32", [], positive),
            codes(dtype, []),
            codes(dtype, broadcast ? dims.slice(-1) : dims),
            tensor("float32", [], positive),
            codes(dtype, []),
            tensor("float32", [], positive),
            codes(dtype, []),
          ),
        );
      await fc.assert(
        fc.asyncProperty(cases, async (inputs) => {
          const { absolute } = await difference({ op: `com.microsoft.${op}`, inputs });
          expect(absolute).toBeLessThanOrEqual(1);
        }),
      );
    },
  );

  test.each([2, 4, 8])("MatMulNBits of %d bits", async (bits) => {
    const cases = fc
      .record({
        rows: count(4),
        columns: count(9),
        depth: fc.integer({ min: 3, max: 70 }),
        block: fc.constantFrom(16, 32),
        zeros: fc.boolean(),
        bias: fc.boolean(),
      })
      .chain((s) => {
        const blocks = Math.ceil(s.depth / s.block);
        return fc.record({
          s: fc.constant({ ...s, blocks }),
          a: tensor("float32", [2, s.rows, s.depth], real),
          b: codes("uint8", [s.columns, blocks, (s.block * bits) / 8]),
          scales: tensor("float32", [s.columns, blocks], positive),
          zeros: codes("uint8", [s.columns, Math.ceil((blocks * bits) / 8)]),
          bias: tensor("float32", [s.columns], real),
        });
      });
    await fc.assert(
      fc.asyncProperty(cases, async ({ s, a, b, scales, zeros, bias }) => {
        const { relative } = await difference({
          op: "com.microsoft.MatMulNBits",
          inputs: [a, b, scales, s.zeros ? zeros : undefined, ...(s.bias ? [undefined, bias] : [])],
          attributes: { K: s.depth, N: s.columns, bits, block_size: s.block },
          constant: true,
        });
        expect(relative).toBeLessThan(1e-4);
      }),
    );
  });

  test.each([4, 8])("GatherBlockQuantized of %d bits in bytes", async (bits) => {
    const cases = fc
      .record({
        rows: count(6),
        blocks: count(4),
        block: fc.constantFrom(16, 32),
        zeros: fc.boolean(),
      })
      .chain((s) => {
        const width = (s.blocks * s.block * bits) / 8;
        return fc.record({
          s: fc.constant(s),
          data: codes("uint8", [s.rows, width]),
          indices: tensor("int64", [2, 3], fc.integer({ min: -s.rows, max: s.rows - 1 })),
          scales: tensor("float32", [s.rows, s.blocks], positive),
          zeros: codes("uint8", [s.rows, Math.ceil((s.blocks * bits) / 8)]),
        });
      });
    await fc.assert(
      fc.asyncProperty(cases, async ({ s, data, indices, scales, zeros }) => {
        const { relative } = await difference({
          op: "com.microsoft.GatherBlockQuantized",
          inputs: [data, indices, scales, ...(s.zeros ? [zeros] : [])],
          attributes: { bits, block_size: s.block, gather_axis: 0, quantize_axis: 1 },
        });
        expect(relative).toBeLessThan(1e-6);
      }),
    );
  });
});
