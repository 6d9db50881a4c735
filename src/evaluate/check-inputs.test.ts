// The check of a quantized model: what is compared, which inputs count, and from where on a user is warned.
import { describe, expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { RuntimeFailedError } from "../errors.js";
import type { CheckReport } from "../report/report.js";
import type { Feeds, Runtime, RuntimeTensor } from "../runtime/runtime.js";
import { checkQuantized, checkFeeds, checkWarnings } from "./check.js";

const reals = (...data: number[]): RuntimeTensor => ({
  dtype: "float32",
  dims: [data.length],
  data: Float32Array.from(data),
});
const whole = (...data: number[]): RuntimeTensor => ({
  dtype: "int32",
  dims: [data.length],
  data: Int32Array.from(data),
});

type Answer = Record<string, RuntimeTensor> | Error;

/** A runtime whose models answer the first feed with their first answer, and so on. */
function runtimeOf(answers: Readonly<Record<string, readonly Answer[]>>) {
  const seen: string[] = [];
  const load: Runtime["load"] = (source) => {
    const path = typeof source === "string" ? source : "bytes";
    seen.push(`load ${path}`);
    return Promise.resolve({
      inputs: [],
      outputs: [],
      run(feeds: Feeds) {
        const index = Number(feeds["x"]?.data[0]);
        const answer = answers[path]?.[index];
        if (answer === undefined) throw new Error("no answer");
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
      release() {
        seen.push(`release ${path}`);
        return Promise.resolve();
      },
    } as never);
  };
  return { seen, runtime: { load } as Runtime };
}

const feeds = [0, 1, 2].map((i) => ({ x: reals(i) }));
const failed = new RuntimeFailedError("run", "another shape", undefined, "float");

function checked(
  answers: { float: readonly Answer[]; int8: readonly Answer[] },
  inputs: CheckReport["inputs"] = "synthetic",
) {
  const { runtime } = runtimeOf(answers);
  return checkQuantized({ runtime }, "float", "int8", { feeds, inputs });
}

describe("the check", () => {
  const float = [{ y: reals(10, 0) }, { y: reals(100, 0) }, { y: reals(1, 0) }];
  const int8 = [{ y: reals(9, 0) }, { y: reals(99, 0) }, { y: reals(0, 0) }];

  test("takes the worst of dummy inputs, and rows of data together", async () => {
    const made = await checked({ float, int8 });
    expect(made.outputs).toEqual([{ name: "y", snrDb: 0 }]);
    expect(made).toMatchObject({ snrDb: 0, inputs: "synthetic", shapes: ["1", "1", "1"] });
    const data = await checked({ float, int8 }, "data");
    expect(data.snrDb).toBeCloseTo(10 * Math.log10(10_101 / 3), 9);
    expect(data.shapes).toEqual(["3 rows"]);
  });

  test("reports the lowest ratio of several outputs, and agreement of whole numbers", async () => {
    const both = (a: number, codes: RuntimeTensor) => ({ y: reals(10), z: reals(a), codes });
    const found = await checked({
      float: feeds.map(() => both(100, whole(1, 2, 3, 4))),
      int8: feeds.map((_, i) => ({ ...both(90, whole(1, 2, 3, i)), y: reals(9.9) })),
    });
    expect(found.outputs.map(({ name }) => name)).toEqual(["y", "z", "codes"]);
    expect(found.snrDb).toBeCloseTo(20, 4);
    expect(found.outputs[2]?.agreement).toBe(0.75);
  });

  test("passes over inputs that the float model does not run with, as long as others are left", async () => {
    const found = await checked({ float: [failed, ...float.slice(1)], int8 });
    expect(found.shapes).toHaveLength(2);
    const none = checked({ float: [failed, failed, failed], int8 });
    await expect(none).rejects.toBe(failed);
    const other = new RuntimeFailedError("run", "no such operator", undefined, "int8");
    await expect(checked({ float, int8: [int8[0] ?? failed, other, other] })).rejects.toBe(other);
    await expect(checked({ float: [new Error("a bug")], int8 })).rejects.toThrow("a bug");
  });

  test("holds one model at a time, and lets go of both", async () => {
    const { runtime, seen } = runtimeOf({ float, int8 });
    await checkQuantized({ runtime }, "float", "int8", { feeds, inputs: "data" });
    expect(seen).toEqual(["load float", "release float", "load int8", "release int8"]);
  });
});

test("dummy inputs are short and longer, one where the model fixes its shape, and follow the seed", () => {
  const model = (shape: readonly (string | number)[]) =>
    buildModel((b) => b.output(b.op("y", "Neg", [b.input("x", [...shape], "int64")])));
  const dims = (shape: readonly (string | number)[]) =>
    checkFeeds(model(shape), 0).map(({ x }) => x?.dims);
  expect(dims(["batch", "length"])).toEqual([
    [1, 16],
    [3, 40],
  ]);
  expect(dims([2, 8])).toEqual([[2, 8]]);
});

describe("warnings", () => {
  const of = (output: CheckReport["outputs"][number], inputs: CheckReport["inputs"] = "data") =>
    checkWarnings({ inputs, shapes: [], outputs: [output] });

  test("begin below 15 dB", () => {
    expect(of({ name: "y", snrDb: 15 })).toEqual([]);
    expect(of({ name: "y", snrDb: 14.9 })[0]).toMatch(/"y".*14\.9 dB.*rows of the data.*15/);
    expect(of({ name: "y", snrDb: -Infinity }, "synthetic")).toHaveLength(1);
  });

  test("begin below nine of ten elements that are equal", () => {
    expect(of({ name: "y", agreement: 0.9 })).toEqual([]);
    expect(of({ name: "y", agreement: 0.89 })[0]).toMatch(/"y".* 89 % of its elements/);
  });
});
