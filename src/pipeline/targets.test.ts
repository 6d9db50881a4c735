// The targets that take static models alone, through the verbs: options, statistics, plans, and what is told.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { run } from "../cli/run.js";
import { calibrate, inspect, quantize } from "../node.js";
import type { AnyQuantizeOptions } from "../options/quantize.js";
import { ofSomeMode } from "../../test/options.js";
import { parsePlan } from "../quant/plan.js";

const folder = mkdtempSync(join(tmpdir(), "octavo-targets-"));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

/** Words, attention without heads, a feed-forward block, residuals around both. */
function encoder(b: Builder): void {
  const ids = b.input("input_ids", ["batch", "length"], "int64");
  let seed = 1;
  const weight = (name: string, rows: number, cols: number, from: number) =>
    b.float(
      name,
      [...noise(rows * cols, from)].map((v) => v / 4),
      [rows, cols],
    );
  const norm = (name: string, x: ReturnType<Builder["op"]>) =>
    b.op(name, "LayerNormalization", [x, b.float(`${name}.weight`, Array<number>(32).fill(1))]);
  const layer = (name: string, x: ReturnType<Builder["op"]>, rows: number, cols: number) =>
    b.op(`${name}.out`, "MatMul", [x, weight(`${name}.weight`, rows, cols, ++seed)]);
  const rows = norm("first", b.op("rows", "Gather", [weight("words.weight", 400, 32, 1), ids]));
  const keys = b.op("keys", "Transpose", [layer("key", rows, 32, 32)], { perm: [0, 2, 1] });
  const scores = b.op("scores", "MatMul", [layer("query", rows, 32, 32), keys]);
  const p = b.op("p", "Softmax", [b.op("scaled", "Mul", [scores, b.float("s", 0.125)])]);
  const context = b.op("context", "MatMul", [p, layer("value", rows, 32, 32)]);
  const one = norm("n1", b.op("sum1", "Add", [layer("dense", context, 32, 32), rows]));
  const wide = b.op("act", "Relu", [layer("up", one, 32, 64)]);
  b.output(norm("n2", b.op("sum2", "Add", [layer("down", wide, 64, 32), one])));
}

// Rounding and correction need the data itself: without them statistics are as good as data.
const common = {
  mode: "static",
  check: false,
  force: true,
  samples: 50,
  round: false,
  correct: false,
} as const;
const bytes = (name: string) => readFileSync(at(name));

beforeAll(() => {
  writeFileSync(at("model.onnx"), bytesOf(buildModel(encoder)));
  const lines = Array.from({ length: 60 }, (_, r) =>
    JSON.stringify({
      inputs: {
        input_ids: [Array.from({ length: 3 + (r % 9) }, (__, i) => (r * 7 + i * 31) % 400)],
      },
    }),
  );
  writeFileSync(at("data.jsonl"), lines.join("\n"));
});

const quantizedModel = async (output: string, options: AnyQuantizeOptions) =>
  (await quantize(at("model.onnx"), ofSomeMode({ ...common, output: at(output), ...options })))
    .report;
const fromData = (output: string, options: AnyQuantizeOptions) =>
  quantizedModel(output, { data: at("data.jsonl"), ...options });

describe("quantize", () => {
  test("for tensorrt tells the command that builds the engine, and runs close to the float model", async () => {
    const report = await fromData("t.onnx", { target: "tensorrt", check: true });
    expect(report.nextCommand).toBe(
      `trtexec --onnx=${at("t.onnx")} --saveEngine=${at("t.plan")} --int8 --fp16 ` +
        "--minShapes=input_ids:1x1 --optShapes=input_ids:8x128 --maxShapes=input_ids:32x512",
    );
    expect(report.sites.filter(({ runs }) => runs === "int8").map(({ name }) => name)).toEqual([
      "key",
      "query",
      "value",
      "dense",
      "dense.residual",
      "up",
      "down",
      "down.residual",
    ]);
    expect(report.check?.snrDb).toBeGreaterThan(25);
    const half = await fromData("h.onnx", { target: "tensorrt", check: true, fp16: true });
    expect(half.nextCommand).toContain("--stronglyTyped");
    expect(half.check?.snrDb).toBeGreaterThan(25);
    expect(half.bytesAfter).toBeLessThan(report.bytesAfter);
  });

  test.each([
    { target: "tensorrt", attention: "all", residual: "both" },
    { target: "openvino", attention: "values" },
    { target: "cpu", attention: "all" },
  ] as const)("with %j gives the same bytes each time, as inspect says", async (options) => {
    const report = await fromData("a.onnx", options);
    await fromData("b.onnx", options);
    expect(bytes("b.onnx").equals(bytes("a.onnx"))).toBe(true);
    expect((await inspect(at("model.onnx"), { mode: "static", ...options })).sites).toEqual(
      report.sites,
    );
    const attention = report.sites.filter(({ kind }) => kind === "attention");
    expect(attention.map(({ runs }) => runs)).toEqual(
      options.attention === "values" ? ["float", "int8"] : ["int8", "int8"],
    );
  });

  test("a plan that was written is what the next run does, ranges of second operands included", async () => {
    const options = { target: "tensorrt", attention: "all", residual: "both" } as const;
    await fromData("a.onnx", { ...options, writePlan: at("plan.json") });
    const plan = parsePlan(readFileSync(at("plan.json"), "utf8"));
    const probabilities = plan.sites.get("context");
    expect(probabilities).toMatchObject({
      activation: { dtype: "int8", symmetric: true, range: { min: 0, max: 1 } },
      second: { dtype: "int8", symmetric: true },
    });
    await fromData("b.onnx", { ...options, plan: at("plan.json") });
    expect(bytes("b.onnx").equals(bytes("a.onnx"))).toBe(true);
  });
});

describe("statistics", () => {
  const statistics = (output: string, options: object) =>
    calibrate(at("model.onnx"), {
      samples: 50,
      data: at("data.jsonl"),
      output: at(output),
      force: true,
      ...options,
    });

  test("of a target give the same bytes as data, those of more operands as well", async () => {
    await fromData("a.onnx", { target: "tensorrt" });
    const { report } = await statistics("skip.json", { target: "tensorrt" });
    // The inputs of four groups of layers; what goes around blocks is among them.
    expect(report.activations).toBe(4);
    await quantizedModel("b.onnx", { target: "tensorrt", stats: at("skip.json") });
    expect(bytes("b.onnx").equals(bytes("a.onnx"))).toBe(true);
    const more = await statistics("both.json", {
      target: "tensorrt",
      residual: "both",
      attention: "all",
    });
    expect(more.report.activations).toBe(9);
    await quantizedModel("c.onnx", { target: "tensorrt", stats: at("both.json") });
    expect(bytes("c.onnx").equals(bytes("a.onnx"))).toBe(true);
  });

  test("that lack operands are refused, with what to do", async () => {
    await statistics("cpu.json", {});
    const refused = quantizedModel("never.onnx", { target: "tensorrt", stats: at("cpu.json") });
    await expect(refused).rejects.toThrow(
      /taken with residual none.*Calibrate with --residual skip and the same target, or quantize with --residual none/,
    );
    expect(readdirSync(folder)).not.toContain("never.onnx");
    await quantizedModel("d.onnx", { target: "tensorrt", residual: "none", stats: at("cpu.json") });
  });

  test("without any one tensor that the target asks for are refused, and the site is named", async () => {
    const options = { target: "tensorrt", attention: "all", residual: "both" } as const;
    await statistics("all.json", options);
    const whole = JSON.parse(readFileSync(at("all.json"), "utf8")) as {
      tensors: { name: string }[];
    };
    const sites = new Set<string | undefined>();
    for (const { name } of whole.tensors) {
      const tensors = whole.tensors.filter((each) => each.name !== name);
      writeFileSync(at("less.json"), JSON.stringify({ ...whole, tensors }));
      const refused = quantizedModel("never.onnx", { ...options, stats: at("less.json") });
      const message = await refused.then(String, String);
      expect(message).toContain(`they have no tensor "${name}"`);
      sites.add(/which site "([^"]+)" reads/.exec(message)?.[1]);
    }
    const readers = ["key", "scores", "context", "dense", "dense.residual", "up", "down"];
    expect(sites).toEqual(new Set([...readers, "down.residual"]));
  });
});

describe("ranges", () => {
  const ranges = async (options: AnyQuantizeOptions) => {
    await fromData("r.onnx", { ...options, writePlan: at("ranges.json") });
    const plan = parsePlan(readFileSync(at("ranges.json"), "utf8"));
    return [...plan.sites.values()].flatMap((site) =>
      site.quantize
        ? [site.activation, site.second].flatMap((spec) =>
            spec === undefined || spec.range === "dynamic" || spec.range.max === 1
              ? []
              : [{ symmetric: spec.symmetric === true, ...spec.range }],
          )
        : [],
    );
  };

  test.each(["mse", "entropy", "percentile:99", "moving-average"])(
    "by %s are those of the operand's own codes: even where there is no zero point",
    async (range) => {
      const even = await ranges({ target: "tensorrt", attention: "all", residual: "both", range });
      expect(even.length).toBeGreaterThan(10);
      for (const { symmetric, min, max } of even) expect([symmetric, min]).toEqual([true, -max]);
      const mixed = await ranges({ target: "openvino", attention: "all", range });
      expect(new Set(mixed.map(({ symmetric }) => symmetric))).toEqual(new Set([true, false]));
      for (const { symmetric, min, max } of mixed) expect(min === -max).toBe(symmetric);
    },
  );

  test("are held against other rows for each operand that has codes, probabilities aside", async () => {
    const options = {
      target: "tensorrt",
      attention: "all",
      residual: "both",
      check: true,
    } as const;
    const { clipped = [], sites, warnings } = await fromData("s.onnx", options);
    const named = (of: string) =>
      clipped.filter(({ site }) => site === of).map(({ operand }) => operand);
    expect(named("query")).toEqual(["activation"]);
    expect(named("scores")).toEqual(["activation", "second"]);
    expect(named("context")).toEqual(["second"]);
    expect(named("dense.residual")).toEqual(["activation", "second"]);
    const inInt8 = sites.filter(({ runs }) => runs === "int8").map(({ name }) => name);
    expect([...new Set(clipped.map(({ site }) => site))]).toEqual(inInt8);
    expect(warnings).toEqual([]);
    // Codes without a zero point hold as much on either side: an end that the plan leaves out is not clipped.
    await fromData("s.onnx", { ...options, writePlan: at("plan.json") });
    const plan = readFileSync(at("plan.json"), "utf8").replaceAll(/"min": -[\d.]+/g, '"min": 0');
    writeFileSync(at("half.json"), plan);
    const half = await fromData("s.onnx", { ...options, plan: at("half.json") });
    const shares = new Map(half.clipped?.map((each) => [`${each.site} ${each.operand}`, each]));
    // Behind the Relu nothing is below 0, so that its range stays what it was.
    expect(shares.get("down activation")?.share).toBe(0);
    for (const { share } of shares.values()) expect(share).toBeLessThan(0.05);
    const narrow = plan.replaceAll(/"max": [\d.]+/g, '"max": 0.01');
    writeFileSync(at("narrow.json"), narrow);
    const told = await fromData("s.onnx", { ...options, plan: at("narrow.json") });
    expect(told.warnings.at(-1)).toMatch(/sites leave the calibrated range/);
    expect(told.clipped?.find(({ site }) => site === "scores")?.share).toBeGreaterThan(0.5);
  });
});

describe("the command line", () => {
  async function octavo(...args: string[]) {
    let [stdout, stderr] = ["", ""];
    const io = {
      stdout: { write: (text: string) => (stdout += text) },
      stderr: { write: (text: string) => (stderr += text) },
      env: {},
    };
    return { status: await run(args, io), stdout, stderr };
  }
  const given = ["quantize", at("model.onnx"), "--data", at("data.jsonl"), "-o", at("cli.onnx")];

  test("prints the command for people, and has it in its JSON", async () => {
    const options = ["--mode", "static", "--target", "tensorrt", "--fp16", "--force", "--no-check"];
    const text = await octavo(...given, ...options);
    expect(text.status).toBe(0);
    expect(text.stdout).toMatch(/Next, where the GPU is\n {2}trtexec --onnx=/);
    const { stdout } = await octavo(...given, ...options, "--json");
    expect((JSON.parse(stdout) as { nextCommand: string }).nextCommand).toMatch(/^trtexec /);
  });

  test.each([
    [
      ["--mode", "static", "--residual", "skip"],
      "Option --residual cannot be given for target cpu. Expected --target tensorrt,",
    ],
    [
      ["--mode", "static", "--fp16"],
      "Option --fp16 cannot be given for target cpu. Expected --target tensorrt,",
    ],
    [
      ["--attention", "all"],
      "Option --attention cannot be given in dynamic mode. Expected --mode static or --mode qat,",
    ],
    [["--target", "openvino"], "--mode dynamic with --target openvino is not possible"],
  ])("%j is an error that says so", async (options, message) => {
    const { status, stderr } = await octavo(...given, "--force", ...options);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
  });

  test.each(["tensorrt", "openvino"])("inspect tells what %s runs, in its mode", async (target) => {
    const { status, stdout } = await octavo("inspect", at("model.onnx"), "--target", target);
    expect(status).toBe(0);
    expect(stdout).toMatch(/dense\.residual +residual/);
    const json = await octavo("inspect", at("model.onnx"), "--target", target, "--json");
    const report = JSON.parse(json.stdout) as { mode: string; sites: { reason?: string }[] };
    expect(report.mode).toBe("static");
    expect(report.sites.some(({ reason }) => reason !== undefined)).toBe(true);
  });

  test("a choice that there is not is wrong usage", async () => {
    const { status, stderr } = await octavo(...given, "--residual", "some");
    expect(status).toBe(2);
    expect(stderr).toMatch(/none, skip, both/);
  });
});
