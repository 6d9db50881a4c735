// The verb export-triton on files: a whole repository or nothing, with the model as it was.
import {
  existsSync,
  mkdtempSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildModel, bytesOf, floats } from "../../test/build.js";
import { messagesOf, parsePbtxt, stringOf } from "../../test/pbtxt.js";
import { OptionError, OutputExistsError, UnsupportedError } from "../errors.js";
import { exportModel } from "../graph/export.js";
import { importModel } from "../graph/import.js";
import { exportTriton, quantize } from "../node.js";
import { writeModelFile } from "../onnx/files.js";
import { decodeModel } from "../onnx/reader.js";
import { ortNode } from "../runtime/ort-node.js";

const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));
let folder = "";
const at = (...names: string[]) => join(folder, ...names);
const files = () =>
  readdirSync(at("repository"), { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll("\\", "/"))
    .toSorted();
const config = (name: string) =>
  parsePbtxt(readFileSync(at("repository", name, "config.pbtxt"), "utf8"));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "octavo-triton-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function small(name = "model.onnx", inputs = ["x"]): string {
  const path = at(name);
  const model = buildModel((b) => {
    const w = b.graph.addInitializer("w", floats([32, 32]));
    for (const input of inputs)
      b.output(b.op(`${input} out`, "MatMul", [b.input(input, ["batch", "length", 32]), w]));
  });
  writeFileSync(path, bytesOf(model));
  return path;
}

describe("export-triton", () => {
  test("of the demo's folder: named as the folder, loaded by the runtime, the inputs its tokenizer fills", async () => {
    const { path, report } = await exportTriton(demo, { output: at("repository") });
    expect(path).toBe(at("repository"));
    expect(files()).toEqual([
      "demo-reviews",
      "demo-reviews/1",
      "demo-reviews/1/model.onnx",
      "demo-reviews/config.pbtxt",
    ]);
    const fields = config("demo-reviews");
    expect(stringOf(fields, "name")).toBe("demo-reviews");
    const session = await ortNode.load(at("repository", "demo-reviews", "1", "model.onnx"));
    const names = session.inputs.map(({ name }) => name);
    await session.release();
    expect(messagesOf(fields, "input").map((one) => stringOf(one, "name"))).toEqual(names);
    const outputs = messagesOf(fields, "output");
    expect(outputs.map((one) => [stringOf(one, "name"), one.get("dims")])).toEqual([
      ["logits", [2]],
    ]);
    expect(report.maxBatch).toBe(32);
    expect(report.warnings).toEqual([expect.stringContaining("This is the float model.")]);
    expect(report.startCommand).toContain(at("repository"));
  });

  test("of an INT8 model: no word of the float model, but of ranges that a batch shares", async () => {
    const quantizedModel = at("int8.onnx");
    await quantize(small(), { output: quantizedModel, check: false });
    const { report } = await exportTriton(quantizedModel, { output: at("repository") });
    expect(report.name).toBe("int8");
    expect(report.warnings).toEqual([expect.stringContaining("over a whole batch")]);
    expect(readFileSync(at("repository", "int8", "1", "model.onnx"))).toEqual(
      readFileSync(quantizedModel),
    );
    const gpu = await exportTriton(quantizedModel, {
      output: at("gpu"),
      target: "tensorrt",
      maxBatch: 1,
    });
    expect(gpu.report.warnings[0]).toMatch(/^TensorRT has no DynamicQuantizeLinear × 1/);
    expect(gpu.report.engineCommand).toMatch(/^trtexec --onnx=/);
  });

  test("takes data along that stands beside the model", async () => {
    const model = importModel(decodeModel(readFileSync(small())));
    mkdirSync(at("exported"));
    writeModelFile(at("exported", "model.onnx"), exportModel(model), { externalData: "always" });
    const from = at("exported", "model.onnx");
    await exportTriton(from, { output: at("repository"), name: "m" });
    rmSync(at("exported"), { recursive: true });
    const session = await ortNode.load(at("repository", "m", "1", "model.onnx"));
    await session.release();
  });

  test("of an FP16 model: INT8 where the file says so, an engine of the file's own types", async () => {
    const data = at("train.jsonl");
    const rows = [0, 1].map((v) => JSON.stringify({ inputs: { x: [[Array(32).fill(v + 0.5)]] } }));
    writeFileSync(data, rows.join("\n"));
    const options = { mode: "static", target: "tensorrt", fp16: true, check: false } as const;
    await quantize(small(), { ...options, data, output: at("gpu.onnx") });
    const { report } = await exportTriton(at("gpu.onnx"), {
      output: at("repository"),
      target: "tensorrt",
    });
    expect(report.warnings).toEqual([]);
    expect(report.engineCommand).toContain("--stronglyTyped");
    const text = readFileSync(at("repository", "gpu", "config.pbtxt"), "utf8");
    expect(text).toMatch(/key: "precision_mode"\s+value: "INT8"/);
  });

  test("overwrites with force alone, and nothing else of the repository", async () => {
    const model = small();
    await exportTriton(model, { output: at("repository"), name: "m" });
    mkdirSync(at("repository", "m", "2"));
    const before = config("m");
    const again = { output: at("repository"), name: "m", maxBatch: 4 };
    await expect(exportTriton(model, again)).rejects.toThrow(OutputExistsError);
    expect(config("m")).toEqual(before);
    await exportTriton(model, { ...again, force: true });
    expect(config("m").get("max_batch_size")).toEqual([4]);
    expect(files()).toEqual(["m", "m/1", "m/1/model.onnx", "m/2", "m/config.pbtxt"]);
  });

  test("leaves nothing behind where it fails: neither files nor folders", async () => {
    const model = small();
    await expect(exportTriton(model, { output: at("repository"), name: "../out" })).rejects.toThrow(
      OptionError,
    );
    await expect(
      exportTriton(small("my model.onnx"), { output: at("repository") }),
    ).rejects.toThrow(/"name"/);
    const odd = at("odd.onnx");
    writeFileSync(odd, bytesOf(buildModel((b) => b.output(b.input("x", ["n"], "complex64")))));
    await expect(exportTriton(odd, { output: at("repository") })).rejects.toThrow(UnsupportedError);
    // A folder where the configuration should go.
    mkdirSync(at("blocked", "m", "config.pbtxt"), { recursive: true });
    await expect(exportTriton(model, { output: at("blocked"), name: "m" })).rejects.toThrow(
      /it is a folder/,
    );
    expect(existsSync(at("blocked", "m", "1"))).toBe(false);
    expect(existsSync(at("repository"))).toBe(false);
  });

  test("an aborted export writes nothing", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(exportTriton(small(), { output: at("repository"), signal })).rejects.toThrow(
      "enough",
    );
    expect(existsSync(at("repository"))).toBe(false);
  });

  test("input names that need escapes arrive as they are", async () => {
    const names = ['say "x"', "back\\slash", "Länge:0"];
    await exportTriton(small("names.onnx", names), {
      output: at("repository"),
      target: "tensorrt",
    });
    const inputs = messagesOf(config("names"), "input").map((one) => stringOf(one, "name"));
    expect(inputs).toEqual(names);
  });
});
