import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { buildModel, bytesOf } from "../../test/build.js";
import { tensorOf } from "../onnx/tensor.js";
import { saturates } from "./integer-sums.js";
import { ortNode } from "./ort-node.js";
import type { Runtime, RuntimeTensor, SessionOptions } from "./runtime.js";

/** A runtime whose every output is `sum`. */
function summing(sum: number, loads: (SessionOptions | undefined)[]): Runtime {
  const y: RuntimeTensor = { dtype: "int32", dims: [1, 1], data: Int32Array.of(sum) };
  return {
    name: "summing",
    version: "1",
    load(_, options) {
      loads.push(options);
      return Promise.resolve({
        inputs: [],
        outputs: [],
        run: () => Promise.resolve({ y }),
        release: () => Promise.resolve(),
      });
    },
  };
}

test.each([
  [64 * 255 * 127, false],
  [32 * 32767, true],
])("a sum of %i says %s; a runtime is asked once, for sums as it makes them", async (sum, said) => {
  const loads: (SessionOptions | undefined)[] = [];
  const runtime = summing(sum, loads);
  expect([await saturates(runtime), await saturates(runtime)]).toEqual([said, said]);
  expect(loads).toEqual([expect.objectContaining({ integerSums: "native" })]);
});

const CPU = "/proc/cpuinfo";
test.skipIf(!existsSync(CPU))("of onnxruntime on this CPU: x86-64 without VNNI alone", async () => {
  const vnni = /\bavx(512_|_)vnni\b/.test(readFileSync(CPU, "utf8"));
  expect(await saturates(ortNode)).toBe(process.arch === "x64" && !vnni);
});

test("unless asked for native sums, onnxruntime's are exact, of weights and zero points that products share, too", async () => {
  const [rows, length, columns] = [2, 64, 4];
  const model = buildModel((b) => {
    const constant = (name: string, dims: readonly number[], value: number) => {
      const codes = new Int8Array(dims.reduce((n, d) => n * d, 1)).fill(value);
      return b.graph.addInitializer(name, tensorOf("int8", dims, codes));
    };
    const a = b.input("a", [rows, length], "uint8");
    const [w, v] = [constant("w", [length, columns], 127), constant("v", [length, columns], -127)];
    const zero = constant("zero", [columns], 0);
    const az = b.graph.addInitializer("az", tensorOf("uint8", [], Uint8Array.of(0)));
    b.output(
      b.op("y", "MatMulInteger", [a, w]),
      b.op("z", "MatMulInteger", [a, w, az, zero]),
      b.op("u", "MatMulInteger", [a, v, az, zero]),
    );
  });
  const session = await ortNode.load(bytesOf(model), { threads: 1 });
  const data = new Uint8Array(rows * length).fill(255);
  const results = await session.run({ a: { dtype: "uint8", dims: [rows, length], data } });
  await session.release();
  const sum = 255 * 127 * length;
  for (const [name, wanted] of Object.entries({ y: sum, z: sum, u: -sum }))
    expect(Array.from(results[name]?.data ?? [], Number)).toEqual(
      Array<number>(rows * columns).fill(wanted),
    );
});
