import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { builder, buildModel, bytesOf, floats, noise, type Builder } from "../../test/build.js";
import { classifier } from "../../test/classifier.js";
import { needsExactSums, withoutSaturation } from "../../test/integer-sums.js";
import { runModel, snr } from "../../test/run.js";
import { Graph, type Value } from "../graph/graph.js";
import { inspect, quantize } from "../node.js";
import { tensorOf } from "../onnx/tensor.js";
import { decodeModel } from "../onnx/reader.js";
import { blobOf } from "../onnx/source.js";
import { encodeModel } from "../onnx/writer.js";
import { quantizeBytes } from "./bytes.js";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "octavo-quantize-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);

function save(name: string, build: (b: Builder) => void, options = {}): string {
  writeFileSync(at(name), bytesOf(buildModel(build, options)));
  return at(name);
}

describe("quantize", () => {
  test("writes model_quantized.onnx beside the model, smaller, checked, and tells what became of each site", async () => {
    const path = save("model.onnx", classifier);
    const { path: output, report } = await quantize(path);
    expect(output).toBe(at("model_quantized.onnx"));
    expect(readdirSync(folder).toSorted()).toEqual(["model.onnx", "model_quantized.onnx"]);
    expect(report.bytesAfter).toBe(readFileSync(output).length);
    expect(report.bytesAfter / report.bytesBefore).toBeLessThan(0.4);
    expect(report.sites).toEqual([
      {
        name: "words",
        kind: "embedding",
        shape: [400, 32],
        runs: "stored",
        reason: "rows are looked up in INT8 and scaled",
      },
      { name: "layer.0.up", kind: "linear", shape: [32, 64], runs: "int8" },
      { name: "layer.0.down", kind: "linear", shape: [64, 32], runs: "int8" },
      {
        name: "head",
        kind: "linear",
        shape: [32, 3],
        runs: "float",
        reason: "too small to gain (32 × 3)",
      },
    ]);
    expect(report.check?.shapes).toEqual(["1 × 16", "3 × 40"]);
    expect(report.check?.snrDb).toBeGreaterThan(28);
    expect(withoutSaturation(report.warnings)).toEqual([]);
  });

  test("gives the same bytes for the same input and options", async () => {
    const path = save("model.onnx", classifier);
    await quantize(path, { output: at("a.onnx") });
    await quantize(path, { output: at("b.onnx") });
    expect(readFileSync(at("a.onnx")).equals(readFileSync(at("b.onnx")))).toBe(true);
  });

  test("gives the same bytes without files, as a page would call it", async () => {
    const path = save("model.onnx", classifier);
    const { path: output, report } = await quantize(path);
    const { bytes, sites } = quantizeBytes(new Uint8Array(readFileSync(path)));
    expect(readFileSync(output).equals(bytes)).toBe(true);
    expect(sites).toEqual(report.sites);
  });

  test("follows a plan that was written, edited and passed back", async () => {
    const path = save("model.onnx", classifier);
    await quantize(path, { output: at("a.onnx"), writePlan: at("plan.json") });
    const plan = JSON.parse(readFileSync(at("plan.json"), "utf8")) as {
      sites: Record<string, object>;
    };
    expect(Object.keys(plan.sites)).toEqual(["words", "layer.0.up", "layer.0.down", "head"]);
    await quantize(path, { output: at("same.onnx"), plan: at("plan.json") });
    expect(readFileSync(at("same.onnx")).equals(readFileSync(at("a.onnx")))).toBe(true);

    plan.sites["layer.0.up"] = { kind: "linear", quantize: false, reason: "by hand" };
    writeFileSync(at("plan.json"), JSON.stringify(plan));
    const { report } = await quantize(path, { output: at("edited.onnx"), plan: at("plan.json") });
    expect(report.sites.find((site) => site.name === "layer.0.up")).toMatchObject({
      runs: "float",
      reason: "by hand",
    });
  });

  test("quantizes what is included and not excluded, and names a pattern that fits nothing", async () => {
    const path = save("model.onnx", classifier);
    const runs = async (options: object) => {
      const { report } = await quantize(path, { output: at("o.onnx"), force: true, ...options });
      return report.sites.filter((site) => site.runs !== "float").map((site) => site.name);
    };
    expect(await runs({ include: ["layer.*"] })).toEqual(["layer.0.up", "layer.0.down"]);
    expect(await runs({ exclude: ["*.up", "words"] })).toEqual(["layer.0.down"]);
    await expect(runs({ exclude: ["leyer.*"] })).rejects.toThrow(
      'No site fits the pattern "leyer.*". The model has 4 sites, such as "words", "layer.0.up", "layer.0.down"',
    );
  });

  test.each([11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22])("reads opset %i", async (opset) => {
    const path = save("model.onnx", classifier, { opset });
    const { report } = await quantize(path);
    expect(report.check?.snrDb).toBeGreaterThan(28);
  });

  test.each([4, 5, 6, 7, 8, 9, 10, 11])("reads IR version %i", async (irVersion) => {
    const path = save("model.onnx", classifier, { irVersion, opset: 13 });
    const { report } = await quantize(path);
    expect(report.check?.snrDb).toBeGreaterThan(28);
  });

  test("serves several inputs and outputs, among them whole numbers, and fixed shapes", async () => {
    const path = save("model.onnx", (b) => {
      const x = b.input("x", [2, 5, 16]);
      const scale = b.input("scale", [1]);
      const w = b.float("w.weight", [...noise(512)], [16, 32]);
      const y = b.op("y", "Mul", [b.op("p", "MatMul", [x, w]), scale]);
      const best = b.op("best", "ArgMax", [y], { axis: 2, keepdims: 0 });
      const positive = b.op("positive", "Greater", [y, b.float("zero", 0)]);
      b.output(y, best, positive);
    });
    const { report } = await quantize(path);
    expect(report.check?.shapes).toEqual(["2 × 5 × 16"]);
    expect(report.check?.outputs.map(({ name }) => name)).toEqual(["y", "best", "positive"]);
    const [y, best, positive] = report.check?.outputs ?? [];
    expect(y?.snrDb).toBeGreaterThan(35);
    expect(best?.agreement).toBeGreaterThan(0.7);
    expect(positive?.agreement).toBeGreaterThan(0.9);
  });

  test("reaches into the bodies of If, and leaves their meaning alone", async (context) => {
    const path = save("model.onnx", (b) => {
      const x = b.input("x", ["batch", 16]);
      const flag = b.input("flag", [], "bool");
      const w = b.float("w.weight", [...noise(256)], [16, 16]);
      // The weight is used inside one branch too, in another product.
      const branch = (name: string, make: (inner: Builder) => Value) => {
        const inner = builder(new Graph(b.graph));
        inner.graph.name = name;
        inner.output(make(inner));
        return { type: "graph" as const, value: inner.graph };
      };
      const p = b.op("p", "MatMul", [x, w]);
      const chosen = b.op("chosen", "If", [flag], {
        then_branch: branch("product", (inner) => inner.op("q", "MatMul", [p, w])),
        else_branch: branch("sign", (inner) => inner.op("n", "Neg", [p])),
      });
      b.output(b.op("y", "Add", [chosen, p]));
    });
    const { path: output, report } = await quantize(path);
    expect(report.sites.map((site) => [site.name, site.runs])).toEqual([
      ["w", "int8"],
      ["w#2", "int8"],
    ]);
    needsExactSums(context);
    for (const flag of [0, 1]) {
      const given = {
        x: floats([3, 16], 4),
        flag: tensorOf("bool", [], Uint8Array.of(flag)),
      };
      const [want, got] = [await runModel(path, given), await runModel(output, given)];
      expect(snr(want["y"]!, got["y"]!)).toBeGreaterThan(35);
    }
  });

  test("keeps what stands around the graph: metadata, producer, the order and names of inputs and outputs", async () => {
    const model = buildModel(classifier);
    const rest = { producerName: "someone", metadataProps: [{ key: "task", value: "reviews" }] };
    writeFileSync(at("model.onnx"), bytesOf({ ...model, rest }));
    const { path } = await quantize(at("model.onnx"));
    const written = decodeModel(new Uint8Array(readFileSync(path)));
    expect(written.producerName).toBe("someone");
    expect(written.metadataProps).toMatchObject([{ key: "task", value: "reviews" }]);
    expect(written.graph?.input?.map((v) => v.name)).toEqual(["input_ids"]);
    expect(written.graph?.output?.map((v) => v.name)).toEqual(["head.out"]);
  });

  test("checks an export that is tied to its traced shape with the inputs that the float model runs with", async () => {
    const path = save("model.onnx", (b) => {
      const x = b.input("x", ["batch", "length", 32]);
      const w = b.float("w", [...noise(1024)], [32, 32]);
      const traced = b.int("traced", [1, 16, 4, 8]);
      b.output(b.op("y", "Reshape", [b.op("p", "MatMul", [x, w]), traced]));
    });
    const { report } = await quantize(path);
    expect(report.check?.shapes).toEqual(["1 × 16 × 32"]);
    expect(report.check?.snrDb).toBeGreaterThan(30);
  });

  test("warns loudly where the result is far from the float model", async () => {
    // One channel a million times as large as the others: eight bits cannot hold both.
    const path = save("model.onnx", (b) => {
      const x = b.input("x", ["batch", 32]);
      const sizes = b.float(
        "sizes",
        Array.from({ length: 32 }, (_, i) => (i === 0 ? 1e6 : 1)),
      );
      const w = [...noise(1024)].map((v, i) => (i < 32 ? v / 1e6 : v));
      b.output(b.op("y", "MatMul", [b.op("s", "Mul", [x, sizes]), b.float("w", w, [32, 32])]));
    });
    const { report } = await quantize(path);
    expect(report.check?.snrDb).toBeLessThan(15);
    expect(withoutSaturation(report.warnings)).toHaveLength(1);
    expect(report.warnings[0]).toMatch(/"y" is far from the float model's/);
  });

  test("stops when it is told to, and leaves nothing behind", async () => {
    const path = save("model.onnx", classifier);
    const controller = new AbortController();
    const steps: string[] = [];
    const run = quantize(path, {
      signal: controller.signal,
      onProgress: ({ step }) => {
        steps.push(step);
        if (step === "checking") controller.abort(new Error("enough"));
      },
    });
    await expect(run).rejects.toThrow("enough");
    expect(steps).toEqual(["reading", "planning", "writing", "checking"]);
    expect(readdirSync(folder)).toEqual(["model.onnx"]);
  });
});

describe("with data", () => {
  const lines = (rows: number) =>
    Array.from({ length: rows }, (_, r) =>
      JSON.stringify({
        inputs: { input_ids: [Array.from({ length: 6 }, (__, i) => (r * 7 + i * 13) % 400)] },
      }),
    ).join("\n");

  test("static mode finds ranges on it, and the check runs rows of it", async () => {
    const path = save("model.onnx", classifier);
    writeFileSync(at("feeds.jsonl"), lines(40));
    const { report } = await quantize(path, { mode: "static", data: at("feeds.jsonl") });
    expect(report.calibration).toMatchObject({ rows: 40, activations: 3, empty: 0, truncated: 0 });
    expect(report.check).toMatchObject({ inputs: "data", shapes: ["16 rows"] });
    expect(report.check?.snrDb).toBeGreaterThan(28);
    expect(report.sites.map((site) => site.runs)).toEqual(["stored", "int8", "int8", "float"]);
  });

  test("a static plan is followed with the ranges that it holds, the same bytes each time", async () => {
    const path = save("model.onnx", classifier);
    writeFileSync(at("feeds.jsonl"), lines(40));
    const options = { mode: "static", data: at("feeds.jsonl"), check: false } as const;
    await quantize(path, { ...options, output: at("a.onnx"), writePlan: at("plan.json") });
    await quantize(path, { ...options, output: at("b.onnx"), plan: at("plan.json") });
    expect(readFileSync(at("b.onnx")).equals(readFileSync(at("a.onnx")))).toBe(true);
    const plan = JSON.parse(readFileSync(at("plan.json"), "utf8")) as {
      sites: Record<string, { activation: { range: { min: number; max: number } } }>;
    };
    const range = plan.sites["layer.0.up"]?.activation.range;
    expect(range?.min).toBeLessThan(0);
    expect(range?.max).toBeGreaterThan(0);
  });

  test("dynamic mode smooths with it, keeps ranges to be found at run time, and checks itself on it", async () => {
    const path = save("model.onnx", classifier);
    writeFileSync(at("feeds.jsonl"), lines(40));
    const { path: output, report } = await quantize(path, { data: at("feeds.jsonl") });
    expect(report.check).toMatchObject({ inputs: "data" });
    expect(report.calibration).toMatchObject({ rows: 40 });
    expect(report.calibration?.smoothed).toBeGreaterThan(0);
    expect((await inspect(output)).quantized).toMatch(/DynamicQuantizeLinear/);
  });

  test.each([
    ["no data at all", {}, /Option "data"/],
    ["a missing file", { data: "none.jsonl" }, /none.jsonl: it does not exist/],
    ["feeds of another model", { data: "other.jsonl" }, /other.jsonl, line 1.*input_ids/s],
    ["texts without a tokenizer", { data: "texts.jsonl" }, /tokenizer/],
  ])("%s is an error, and nothing is left behind", async (_, options, message) => {
    const path = save("model.onnx", classifier);
    writeFileSync(at("other.jsonl"), JSON.stringify({ inputs: { pixels: [[1]] } }));
    writeFileSync(at("texts.jsonl"), JSON.stringify({ text: "a text" }));
    const before = readdirSync(folder);
    const settings = "data" in options ? { data: at(options.data) } : {};
    await expect(quantize(path, { mode: "static", ...settings })).rejects.toThrow(message);
    expect(readdirSync(folder)).toEqual(before);
  });
});

describe("what cannot be quantized is an error that says why", () => {
  const cases: Record<string, [build: (b: Builder) => void, options: object, message: RegExp]> = {
    "a graph without products": [
      (b) => b.output(b.op("y", "Relu", [b.input("x", ["n", 4])])),
      {},
      /no product with a constant weight and no embedding/,
    ],
    "a model that is quantized already": [
      (b) => {
        const x = b.input("x", ["n", 4]);
        const zero = b.graph.addInitializer("z", tensorOf("uint8", [], Uint8Array.of(0)));
        b.output(b.op("y", "QuantizeLinear", [x, b.float("s", 0.1), zero]));
      },
      {},
      /quantized already \(Q\/DQ: QuantizeLinear × 1\)/,
    ],
    "a weight that is not finite": [
      (b) => {
        const values = [...noise(1024)];
        values[77] = Number.NaN;
        const w = b.float("layer.weight", values, [32, 32]);
        b.output(b.op("y", "MatMul", [b.input("x", ["n", 32]), w]));
      },
      {},
      /"layer.weight" holds NaN at element 77/,
    ],
    "an Nvidia GPU in dynamic mode": [
      classifier,
      { target: "tensorrt" },
      /an Nvidia GPU has no dynamic quantization.*--mode static with --data/,
    ],
    "an option that does not exist": [classifier, { presicion: 8 }, /Option "presicion" does not/],
    "a value that an option cannot have": [
      classifier,
      { target: "gpu" },
      /Option "target" cannot be "gpu". Expected .*"cpu" \| "web"/,
    ],
    "a plan that is none": [
      classifier,
      { plan: "/dev/null" },
      /The plan \/dev\/null cannot be used/,
    ],
    "the model as its own output": [
      classifier,
      { output: "model.onnx", force: true },
      /never overwritten/,
    ],
    "a model that the runtime cannot run": [
      (b) => {
        const x = b.input("x", ["n", 32]);
        const w = b.float("w", [...noise(1024)], [32, 32]);
        const shape = b.int("shape", [7, 5]);
        b.output(b.op("y", "Reshape", [b.op("p", "MatMul", [x, w]), shape]));
      },
      {},
      /The runtime cannot run .*model\.onnx.*Reshape.*--no-check/s,
    ],
  };
  test.each(Object.entries(cases))("%s", async (_, [build, options, message]) => {
    const path = save("model.onnx", build);
    const before = readFileSync(path);
    const settings = { ...options, ...("output" in options ? { output: path } : {}) };
    await expect(quantize(path, settings)).rejects.toThrow(message);
    expect(readdirSync(folder)).toEqual(["model.onnx"]);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test("a weight without its bytes is named", async () => {
    const proto = decodeModel(bytesOf(buildModel(classifier)));
    for (const tensor of proto.graph?.initializer ?? [])
      if (tensor.name === "layer.0.up.weight") tensor.rawData = blobOf(new Uint8Array());
    writeFileSync(at("model.onnx"), encodeModel(proto));
    await expect(quantize(at("model.onnx"))).rejects.toThrow(/"layer.0.up.weight": .*8192 bytes/);
    expect(readdirSync(folder)).toEqual(["model.onnx"]);
  });

  test.skipIf(!existsSync("/dev/full"))(
    "a device as output is left alone, by force too",
    async () => {
      const path = save("model.onnx", classifier);
      await expect(quantize(path, { output: "/dev/full", force: true })).rejects.toThrow(
        /it is a device or a pipe/,
      );
    },
  );

  test("an output that exists is kept, unless forced", async () => {
    const path = save("model.onnx", classifier);
    writeFileSync(at("model_quantized.onnx"), "mine");
    await expect(quantize(path)).rejects.toThrow(/it exists already/);
    expect(readFileSync(at("model_quantized.onnx"), "utf8")).toBe("mine");
    await quantize(path, { force: true });
    expect(existsSync(at("model_quantized.onnx"))).toBe(true);
  });
});
