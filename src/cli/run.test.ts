import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats, type Builder } from "../../test/build.js";
import type { Model } from "../graph/model.js";
import { printOverview } from "./overview.js";
import { run } from "./run.js";

interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function octavo(...args: string[]): Promise<Result> {
  let [stdout, stderr] = ["", ""];
  const status = await run(args, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: {},
  });
  return { status, stdout, stderr };
}

/** The one object that --json printed; fails where there is more or less. */
function json(result: Result): Record<string, unknown> {
  expect(result.stdout).toMatch(/^\{[^]*\}\n$/);
  return JSON.parse(result.stdout) as Record<string, unknown>;
}

function errorIn(result: Result): Record<string, unknown> {
  const { error, ...rest } = json(result);
  expect(rest).toEqual({});
  return error as Record<string, unknown>;
}

/** x · w + bias, then whatever `more` adds. */
function layer(
  more: (b: Builder, y: ReturnType<Builder["op"]>) => ReturnType<Builder["op"]> = (_, y) => y,
): Model {
  return buildModel((b) => {
    const x = b.input("x", ["batch", "length", 32]);
    const w = b.graph.addInitializer("layer.0.query.weight", floats([32, 32]));
    const bias = b.graph.addInitializer("layer.0.query.bias", floats([32], 2));
    b.output(more(b, b.op("y", "Add", [b.op("product", "MatMul", [x, w]), bias])));
  });
}

let folder = "";
const at = (...names: string[]) => join(folder, ...names);
const files = () => readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "octavo-cli-"));
  writeFileSync(at("model.onnx"), bytesOf(layer()));
});
afterEach(() => rmSync(folder, { recursive: true }));

const COMMANDS = ["quantize", "inspect", "optimize", "export-triton", "demo"];

describe("help", () => {
  test.each(COMMANDS)("of %s shows examples, and goes to the standard output", async (command) => {
    const { status, stdout, stderr } = await octavo(command, "--help");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`Usage: octavo ${command} [options]`);
    expect(stdout).toMatch(new RegExp(`^Examples:\n {2}octavo ${command}`, "m"));
    expect(stdout).toContain("--json");
    expect((await octavo("help", command)).stdout).toBe(stdout);
  });

  test("of octavo itself lists every command with an example", async () => {
    const { status, stdout } = await octavo("--help");
    expect(status).toBe(0);
    for (const command of COMMANDS) {
      expect(stdout).toMatch(new RegExp(`^ {2}${command} \\[`, "m"));
      expect(stdout).toMatch(new RegExp(`^ {2}octavo ${command}`, "m"));
    }
  });

  test.each([60, 80, 120])(
    "of octavo itself, at %i letters, is the same without loading the commands",
    async (columns) => {
      let [all, overview] = ["", ""];
      const io = (write: (text: string) => unknown) => ({
        stdout: { write, isTTY: true, columns },
        stderr: { write: () => undefined },
        env: {},
      });
      await run(
        ["--help"],
        io((text) => (all += text)),
      );
      printOverview(io((text) => (overview += text)));
      expect(overview).toBe(all);
    },
  );

  test("--version is the package's", async () => {
    const manifest = JSON.parse(
      readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
    ) as { version: string };
    expect(await octavo("--version")).toEqual({
      status: 0,
      stdout: `${manifest.version}\n`,
      stderr: "",
    });
  });
});

describe("wrong usage is status 2 and changes nothing", () => {
  test.each([
    [
      "an unknown option, with what may be meant",
      ["quantize", "m", "--forse"],
      "(Did you mean --force?)",
    ],
    ["an unknown command, with what may be meant", ["quantise", "m"], "(Did you mean quantize?)"],
    ["no model", ["quantize"], "missing required argument 'model'"],
    ["two models", ["inspect", "a", "b"], "too many arguments"],
    ["a mode that does not exist", ["quantize", "m", "--mode", "fast"], "dynamic, static, qat"],
    [
      "a target that does not exist",
      ["inspect", "m", "--target", "gpu"],
      "cpu, web, openvino, tensorrt",
    ],
    ["a seed that is no number", ["optimize", "m", "--seed", "1.5"], "no whole number"],
    ["an option without its value", ["quantize", "m", "-o"], "argument missing"],
    [
      "an option in the place of a path",
      ["quantize", "m", "-o", "--force"],
      "It begins as options do",
    ],
    ["an empty path", ["optimize", "m", "-o", ""], "It is empty"],
    ["an empty pattern", ["quantize", "m", "--exclude", ""], "It is empty"],
  ])("%s", async (_, args, message) => {
    const { status, stdout, stderr } = await octavo(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^Error: /);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    const [command = "", ...rest] = args;
    expect(errorIn(await octavo(command, "--json", ...rest))).toMatchObject({ code: "usage" });
  });

  test("no command at all shows the help on the error stream", async () => {
    const { status, stdout, stderr } = await octavo();
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("Usage: octavo");
  });
});

describe("failures are status 1, one line that says what to do, and no trace", () => {
  async function fails(args: readonly string[], code: string, ...parts: string[]): Promise<void> {
    const before = files();
    const { status, stdout, stderr } = await octavo(...args);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^Error: .+\n$/);
    for (const part of parts) expect(stderr).toContain(part);

    const machine = await octavo(...args, "--json");
    expect([machine.status, machine.stderr]).toEqual([1, ""]);
    const error = errorIn(machine);
    expect(error["code"]).toBe(code);
    expect(`Error: ${String(error["message"])}\n`.replaceAll("\n", " ").trim()).toBe(stderr.trim());
    expect(files()).toEqual(before);

    const verbose = await octavo(...args, "--verbose");
    expect(verbose.stderr).toMatch(/^ {4}at /m);
  }

  test("dynamic for tensorrt: what it is not, and what is possible instead", () =>
    fails(
      ["quantize", at("model.onnx"), "--mode", "dynamic", "--target", "tensorrt"],
      "unsupported",
      "--mode dynamic with --target tensorrt is not possible",
      "--mode static with --data",
      "--target cpu",
    ));

  test("qat mode without data: what to give", () =>
    fails(["quantize", at("model.onnx"), "--mode", "qat"], "option", "--data train.tsv"));

  test("static mode without data: what to give", () =>
    fails(["quantize", at("model.onnx"), "--mode", "static"], "option", "--data train.jsonl"));

  test("a missing file", () =>
    fails(["quantize", at("none.onnx")], "model-not-found", "none.onnx: it does not exist"));

  test("a file that is no ONNX model", async () => {
    writeFileSync(at("text.onnx"), "once upon a time");
    writeFileSync(at("empty.onnx"), "");
    writeFileSync(at("cut.onnx"), readFileSync(at("model.onnx")).subarray(0, 300));
    for (const name of ["text.onnx", "empty.onnx", "cut.onnx"])
      await fails(["quantize", at(name)], "onnx-format", name, "not a readable ONNX file");
  });

  test("a folder without a model, a folder with several", async () => {
    mkdirSync(at("empty"));
    await fails(["quantize", at("empty")], "no-model-in-folder", "onnx/model.onnx");
    mkdirSync(at("two"));
    for (const name of ["a.onnx", "b.onnx"]) writeFileSync(at("two", name), bytesOf(layer()));
    await fails(["inspect", at("two")], "several-models", "a.onnx, b.onnx");
  });

  test("a model without anything to quantize", async () => {
    const relu = buildModel((b) => b.output(b.op("y", "Relu", [b.input("x", [4])])));
    writeFileSync(at("relu.onnx"), bytesOf(relu));
    await fails(["quantize", at("relu.onnx")], "nothing-to-quantize", "Nothing to quantize");
  });

  test("a pattern that fits no site", () =>
    fails(["quantize", at("model.onnx"), "--exclude", "nope.*"], "site-pattern", '"nope.*"'));

  test("a plan that is none", async () => {
    writeFileSync(at("plan.json"), '{"format":\n"octavo-plan"}');
    await fails(["quantize", at("model.onnx"), "--plan", at("plan.json")], "plan", "plan.json");
    await fails(["quantize", at("model.onnx"), "--plan", at("none.json")], "plan", "none.json");
  });

  test("a model that the runtime cannot load takes its quantized model with it", async () => {
    const odd = layer((b, y) => b.op("z", "my.domain.Odd", [y]));
    odd.opsets.set("my.domain", 1);
    writeFileSync(at("odd.onnx"), bytesOf(odd));
    await fails(["quantize", at("odd.onnx")], "runtime-failed", "odd.onnx");
    await fails(["optimize", at("odd.onnx")], "runtime-failed", "odd.onnx");
  });

  test("a quantized model is not quantized again", async () => {
    await octavo("quantize", at("model.onnx"), "--no-check");
    await fails(
      ["quantize", at("model_quantized.onnx")],
      "already-quantized",
      "Give the float model it was made from",
    );
  });
});

test("a failure that is nobody's mistake says that it is a bug, and where only with --verbose", async () => {
  const broken = async (...more: string[]) => {
    let stderr = "";
    const status = await run(["inspect", at("model.onnx"), ...more], {
      stdout: {
        write() {
          throw new Error("the tape is full");
        },
      },
      stderr: { write: (text) => (stderr += text) },
      env: {},
    });
    return { status, stderr };
  };
  expect(await broken()).toEqual({
    status: 1,
    stderr:
      "Error: the tape is full\nThis should not happen: it is a bug in Octavo (--verbose shows where).\n",
  });
  expect((await broken("--verbose")).stderr).toMatch(
    /a bug in Octavo\.\nError: the tape is full\n {4}at /,
  );
});

describe("outputs", () => {
  test("one that exists is overwritten with --force alone", async () => {
    writeFileSync(at("out.onnx"), "precious");
    const args = ["quantize", at("model.onnx"), "-o", at("out.onnx"), "--no-check"];
    const { status, stderr } = await octavo(...args);
    expect(status).toBe(1);
    expect(stderr).toContain(
      "it exists already. Choose another output, or overwrite it with --force",
    );
    expect(readFileSync(at("out.onnx"), "utf8")).toBe("precious");
    expect((await octavo(...args, "--force")).status).toBe(0);
    expect(readFileSync(at("out.onnx"), "utf8")).not.toBe("precious");
  });

  test.each(["quantize", "optimize"])(
    "%s never overwrites its input, by force neither",
    async (command) => {
      const before = readFileSync(at("model.onnx"));
      const args = [command, at("model.onnx"), "-o", at("model.onnx"), "--force"];
      expect(errorIn(await octavo(...args, "--json"))["code"]).toBe("output-is-input");
      expect(readFileSync(at("model.onnx"))).toEqual(before);
      expect(files()).toEqual(["model.onnx"]);
    },
  );

  test("a plan never overwrites the model either", async () => {
    const args = ["--write-plan", at("model.onnx"), "--force", "--json"];
    const result = await octavo("quantize", at("model.onnx"), ...args);
    expect(errorIn(result)["code"]).toBe("output-is-input");
    expect(files()).toEqual(["model.onnx"]);
  });

  test("stand beside the model by the names that runtimes look for", async () => {
    mkdirSync(at("hub", "onnx"), { recursive: true });
    writeFileSync(at("hub", "onnx", "model.onnx"), bytesOf(layer()));
    await octavo("quantize", at("hub"));
    await octavo("optimize", at("hub"));
    expect(readdirSync(at("hub", "onnx")).toSorted()).toEqual([
      "model.onnx",
      "model_optimized.onnx",
      "model_quantized.onnx",
    ]);
  });

  test("are the same bytes each time", async () => {
    for (const name of ["a.onnx", "b.onnx"])
      await octavo("quantize", at("model.onnx"), "-o", at(name), "--no-check");
    expect(readFileSync(at("a.onnx"))).toEqual(readFileSync(at("b.onnx")));
  });
});

describe("success is status 0", () => {
  test("quantize reports what was written and how close it is", async () => {
    // Weights whose sums no CPU saturates: then no CPU has anything to add.
    const result = await octavo("quantize", at("model.onnx"), "--reduce-range", "--json");
    expect([result.status, result.stderr]).toEqual([0, ""]);
    const report = json(result);
    expect(report).toMatchObject({
      version: 1,
      command: "quantize",
      output: at("model_quantized.onnx"),
      mode: "dynamic",
      target: "cpu",
      sites: [{ name: "layer.0.query", kind: "linear", shape: [32, 32], runs: "int8" }],
      check: { inputs: "synthetic" },
      warnings: [],
    });
    expect((report["check"] as { snrDb: number }).snrDb).toBeGreaterThan(30);
  });

  test("in text, quantize says the same", async () => {
    const { status, stdout, stderr } = await octavo("quantize", at("model.onnx"), "--reduce-range");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^ {2}sites {3}1 of 1 site in INT8$/m);
    expect(stdout).toMatch(/^ {2}check {3}y \d\d\.\d dB signal-to-noise/m);
  });

  test("inspect and optimize print one object each", async () => {
    expect(json(await octavo("inspect", at("model.onnx"), "--json"))).toMatchObject({
      command: "inspect",
      nodes: 2,
    });
    expect(files()).toEqual(["model.onnx"]);
    expect(json(await octavo("optimize", at("model.onnx"), "--json"))).toMatchObject({
      command: "optimize",
      output: at("model_optimized.onnx"),
    });
  });

  test("a written plan, edited, is what the next run does", async () => {
    const write = ["--write-plan", at("plan.json"), "--no-check"];
    await octavo("quantize", at("model.onnx"), "-o", at("a.onnx"), ...write);
    const plan = JSON.parse(readFileSync(at("plan.json"), "utf8")) as {
      sites: Record<string, { weight: { limit: number } }>;
    };
    const site = plan.sites["layer.0.query"];
    if (site === undefined) throw new Error("the plan lacks the site");
    site.weight.limit = 3;
    writeFileSync(at("plan.json"), JSON.stringify(plan));
    const args = ["-o", at("b.onnx"), "--plan", at("plan.json"), "--json"];
    const report = json(await octavo("quantize", at("model.onnx"), ...args));
    // Weights of seven values are far from the float ones: the check tells.
    expect((report["check"] as { snrDb: number }).snrDb).toBeLessThan(25);
  });

  test("a warning stands apart from the report, on the error stream", async () => {
    const write = ["--write-plan", at("plan.json"), "--no-check", "-o", at("a.onnx")];
    await octavo("quantize", at("model.onnx"), ...write);
    const plan = readFileSync(at("plan.json"), "utf8").replace('"limit": 127', '"limit": 1');
    writeFileSync(at("plan.json"), plan);
    const args = ["--plan", at("plan.json"), "--json"];
    const result = await octavo("quantize", at("model.onnx"), ...args);
    expect(result.status).toBe(0);
    expect(json(result)["warnings"]).toHaveLength(1);
    expect(result.stderr).toMatch(/^Warning: Output "y" is far from the float model's: .+\n$/);
    expect(existsSync(at("model_quantized.onnx"))).toBe(true);
  });
});
