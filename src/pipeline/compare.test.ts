// octavo compare: quantized models of the repository's own model, damaged and renamed ones among them.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { UnsupportedError } from "../errors.js";
import { readModel, writeModel, type Model } from "../index.js";
import { compare, quantize } from "../node.js";
import { tensorOf } from "../onnx/tensor.js";
import { floatsOf } from "../onnx/values.js";

const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));
const model = join(demo, "onnx", "model.onnx");
const reviews = join(demo, "reviews.tsv");

let folder: string;
let small: string;
let plan: string;
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "octavo-compare-"));
  small = at("small.onnx");
  plan = at("plan.json");
  await quantize(demo, { output: small, check: false });
  const include = ["*layer.0.intermediate.dense", "*layer.2.attention.self.query"];
  await quantize(demo, { output: at("two.onnx"), check: false, include, writePlan: plan });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A model changed in memory, in a file of its own. */
function changed(path: string, name: string, change: (m: Model) => void): string {
  const read = readModel(Uint8Array.from(readFileSync(path)));
  change(read);
  writeFileSync(at(name), writeModel(read));
  return at(name);
}

/** Makes a constant 1.5 times as large. */
function enlarge({ graph }: Model, name: string): void {
  const value = graph.value(name);
  if (value?.tensor === undefined) throw new Error(`no constant ${name}`);
  const { dims } = value.tensor;
  const larger = graph.addInitializer(
    `${name}_larger`,
    tensorOf(
      "float32",
      dims,
      Float32Array.from(floatsOf(value.tensor), (x) => 1.5 * x),
    ),
  );
  graph.replaceUses(value, larger);
}

/** The scales of the weight of a quantized layer, by the name of its product. */
function scaleOf({ graph }: Model, layer: string): string {
  for (const node of graph.nodes())
    if (node.name.includes(layer) && node.op === "MatMulInteger")
      return (node.input(1)?.name ?? "").replace(/_int8$/, "_scale");
  throw new Error(`no layer ${layer}`);
}

/** A graph as a tool that keeps no name of a value would write it. */
function nameless({ graph }: Model): void {
  let count = 0;
  const ports = new Set([...graph.inputs, ...graph.outputs]);
  for (const node of graph.nodes()) {
    for (const value of [...node.inputs, ...node.outputs])
      if (value !== undefined && !ports.has(value)) {
        ports.add(value);
        graph.rename(value, `t${count++}`);
      }
  }
}

describe("a quantized model", () => {
  test("is held against its model: predictions, metrics, outputs, and all its sites", async () => {
    const report = await compare(demo, small, { data: reviews, samples: 40, siteRows: 4 });
    expect(report).toMatchObject({ version: 1, command: "compare", inputs: "data", rows: 40 });
    expect(report.change?.agreement.share).toBeGreaterThan(0.9);
    expect(report.change?.metrics.map(({ name }) => name)).toEqual(["accuracy", "f1", "matthews"]);
    expect(report.outputs.map(({ name }) => name)).toEqual(["logits"]);
    expect(report.snrDb).toBeGreaterThan(20);
    expect(report.bytes.candidate).toBeLessThan(0.3 * report.bytes.reference);
    expect(report.unmatched).toEqual([]);
    expect(report.sites.length).toBeGreaterThan(24);
    expect(report.siteRows).toBe(4);
    const falls = report.sites.map(({ fallDb }) => fallDb);
    expect(falls).toEqual(falls.toSorted((a, b) => b - a));
    expect(Math.min(...report.sites.map(({ snrDb }) => snrDb))).toBeGreaterThan(8);
  });

  test("without labels only predictions are compared; without data dummy inputs", async () => {
    const data = at("bare.jsonl");
    writeFileSync(data, '{"text":"A fine film."}\n{"text":"A dull one, I fear."}\n');
    const { change } = await compare(demo, small, { data, siteRows: 0 });
    expect(change).toMatchObject({ rows: 2, metrics: [], agreement: { of: 2 } });
    const made = await compare(model, small, { siteRows: 0 });
    expect(made).toMatchObject({ inputs: "synthetic", sites: [], siteRows: 0 });
    expect(made.change).toBeUndefined();
  });

  test.each([
    "layer.0.attention.self.value",
    "layer.0.output.dense",
    "layer.1.intermediate.dense",
    "layer.2.output.dense",
  ])("damaged at %s shows that site on top", async (name) => {
    const damaged = changed(small, "damaged.onnx", (m) => enlarge(m, scaleOf(m, name)));
    const { sites } = await compare(demo, damaged, { data: reviews, samples: 8, siteRows: 8 });
    expect(sites[0]?.site).toContain(name);
    expect(sites[0]?.matched).toBe("name");
    const before = await compare(demo, small, { data: reviews, samples: 8, siteRows: 8 });
    const same = before.sites.find(({ site }) => site === sites[0]?.site);
    expect(same?.snrDb).toBeGreaterThan((sites[0]?.snrDb ?? NaN) + 3);
  });
});

describe("a model of another tool", () => {
  test("is itself, exactly, whatever its names: sites are matched by order", async () => {
    const other = changed(model, "nameless.onnx", nameless);
    const report = await compare(model, other);
    expect(report.snrDb).toBeGreaterThan(100);
    expect(report.unmatched).toEqual([]);
    expect(new Set(report.sites.map(({ matched }) => matched))).toContain("order");
    for (const { snrDb } of report.sites) expect(snrDb).toBeGreaterThan(100);
  });

  test("is matched by values where these keep their names, and its damage is found", async () => {
    const weight = (m: Model) => {
      const dense = [...m.graph.nodes()].filter(
        ({ op, inputs }) => op === "MatMul" && inputs[1]?.isConstant === true,
      );
      return dense[5]?.input(1)?.name ?? "";
    };
    let result: string | undefined;
    const other = changed(model, "other.onnx", (m) => {
      result = [...(m.graph.value(weight(m))?.consumers() ?? [])][0]?.output().name;
      enlarge(m, weight(m));
    });
    const { sites } = await compare(model, other);
    const users = [
      ...(readModel(Uint8Array.from(readFileSync(other)))
        .graph.value(result ?? "")
        ?.consumers() ?? []),
    ];
    expect([result, users[0]?.output().name]).toContain(sites[0]?.candidate);
    expect(sites[0]?.snrDb).toBeLessThan(20);
  });
});

describe("each site alone", () => {
  test("follows the plan: only its sites, one at a time, the largest error first", async () => {
    const report = await compare(demo, at("two.onnx"), {
      data: reviews,
      samples: 4,
      siteRows: 4,
      sensitivity: true,
      plan,
    });
    const { sensitivity = [] } = report;
    expect(sensitivity.map(({ site }) => site.replace(/^.*layer/, "layer")).toSorted()).toEqual([
      "layer.0.intermediate.dense",
      "layer.2.attention.self.query",
    ]);
    const [first, second] = sensitivity;
    expect(first?.snrDb).toBeLessThanOrEqual(second?.snrDb ?? NaN);
    // One site costs less than both.
    expect(report.snrDb).toBeLessThan(second?.snrDb ?? NaN);
    expect(second?.snrDb).toBeLessThan(Infinity);
  });
});

describe("models that are no pair", () => {
  const save = (name: string, input: string, output: string) => {
    const build = (b: Builder) => {
      const x = b.input(input, ["batch", 4]);
      b.output(b.op(output, "MatMul", [x, b.float("w", [...noise(8)], [4, 2])]));
    };
    writeFileSync(at(name), bytesOf(buildModel(build)));
    return at(name);
  };

  test("are an error that names what differs", async () => {
    const one = save("one.onnx", "x", "y");
    const inputs = compare(one, save("two-in.onnx", "z", "y"));
    await expect(inputs).rejects.toThrow(UnsupportedError);
    await expect(inputs).rejects.toThrow("their inputs differ: x (float32) against z (float32)");
    const outputs = compare(one, save("two-out.onnx", "x", "logits"));
    await expect(outputs).rejects.toThrow("their outputs differ: y (float32) against logits");
  });

  test("a task that nobody tells leaves the outputs to be compared", async () => {
    const one = save("one.onnx", "x", "y");
    const data = at("ready.jsonl");
    writeFileSync(data, '{"inputs":{"x":[1,2,3,4]}}\n{"inputs":{"x":[0,1,0,1]}}\n');
    const report = await compare(one, one, { data });
    expect(report).toMatchObject({ rows: 2, snrDb: Infinity });
    expect(report.change).toBeUndefined();
    expect(report.warnings.join()).toContain("Outputs are compared, not predictions");
  });
});
