import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ModelFolderError,
  ModelNotFoundError,
  NoModelInFolderError,
  SeveralModelsError,
} from "../errors.js";
import { configurationOf, lengthLimit, specialToken } from "./configuration.js";
import { locateModel, readFolder } from "./folder.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "octavo-folder-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(...files: string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), file.endsWith(".json") ? "{}" : "");
  }
}

const located = () => locateModel(folder).path.slice(folder.length + 1);

describe("the model of a folder", () => {
  test("is onnx/model.onnx or model.onnx, whatever lies beside it", () => {
    write("onnx/model.onnx", "onnx/model_quantized.onnx", "onnx/decoder.onnx", "other.onnx");
    expect(located()).toBe(join("onnx", "model.onnx"));
  });

  test("else the only one that is no reduced model", () => {
    write("encoder.onnx", "encoder_int8.onnx", "onnx/encoder_fp16.onnx", "encoder_q4.onnx");
    expect(located()).toBe("encoder.onnx");
  });

  test("is not guessed where several may be meant", () => {
    write("encoder.onnx", "decoder.onnx");
    expect(() => located()).toThrow(
      new SeveralModelsError(folder, ["decoder.onnx", "encoder.onnx"]),
    );
    write("model.onnx", "onnx/model.onnx");
    expect(() => located()).toThrow("holds 2 models: onnx/model.onnx, model.onnx");
  });

  test("is never a reduced model; the error names those that there are", () => {
    write("onnx/model_quantized.onnx", "model_fp16.onnx");
    expect(() => located()).toThrow(NoModelInFolderError);
    expect(() => located()).toThrow(
      "It holds onnx/model_quantized.onnx, model_fp16.onnx, which are not the float model.",
    );
  });

  test("where there is none, the error says what was looked for", () => {
    write("config.json");
    expect(() => located()).toThrow("looked for onnx/model.onnx, model.onnx, *.onnx.");
  });

  test("a path that does not exist is an error that says so", () => {
    expect(() => locateModel(join(folder, "none"))).toThrow(ModelNotFoundError);
  });
});

describe("the folder of a model file", () => {
  test("is its own, or the one above onnx/", () => {
    write("onnx/model.onnx", "config.json");
    expect(locateModel(join(folder, "onnx", "model.onnx")).folder).toBe(folder);
    write("model.onnx");
    expect(locateModel(join(folder, "model.onnx")).folder).toBe(folder);
  });

  test("is none without config.json and tokenizer.json", () => {
    write("model.onnx");
    expect(locateModel(join(folder, "model.onnx")).folder).toBeUndefined();
  });
});

describe("files of the folder", () => {
  test("that are missing are not said, others are read", () => {
    writeFileSync(join(folder, "config.json"), '{"pad_token_id": 1}');
    expect(readFolder(folder)).toMatchObject({ folder, config: { pad_token_id: 1 } });
    expect(readFolder(folder).tokenizer).toBeUndefined();
  });

  test("that are no JSON object are refused by their path", () => {
    for (const text of ["{", "[]", "null", "3"]) {
      writeFileSync(join(folder, "config.json"), text);
      expect(() => readFolder(folder)).toThrow(ModelFolderError);
      expect(() => readFolder(folder)).toThrow(join(folder, "config.json"));
    }
  });
});

describe("what config.json says", () => {
  test("labels in the order of their numbers; none where numbers are missing", () => {
    const labels = (id2label: unknown) => configurationOf({ id2label }).labels;
    expect(labels({ 1: "yes", 0: "no" })).toEqual(["no", "yes"]);
    expect(labels({ 0: "no", 2: "yes" })).toEqual([]);
    expect(labels(null)).toEqual([]);
    expect(configurationOf().labels).toEqual([]);
  });

  test("the least of all limits counts; absurd ones count as none", () => {
    const limit = (model_max_length: number, max_position_embeddings?: number) =>
      lengthLimit({
        folder,
        config: { max_position_embeddings },
        tokenizerConfig: { model_max_length },
      });
    expect(limit(128, 512)).toBe(128);
    expect(limit(1e30, 512)).toBe(512);
    expect(limit(1e30)).toBeUndefined();
    expect(lengthLimit({ folder, sentence: { max_seq_length: 256 } })).toBe(256);
  });

  test("rows that a table of positions keeps for padding are no tokens", () => {
    const files = (rows: number, longest: number, padTokenId: number) => ({
      folder,
      config: { max_position_embeddings: rows, pad_token_id: padTokenId },
      tokenizerConfig: { model_max_length: longest },
    });
    expect(lengthLimit(files(514, 512, 1))).toBe(512);
    expect(lengthLimit(files(512, 512, 0))).toBe(512);
    expect(lengthLimit(files(514, 1e30, 1))).toBe(514);
  });

  test("special tokens are texts or objects with their content", () => {
    const specialTokens = { pad_token: { content: "[PAD]" }, cls_token: 5 };
    const files = { folder, tokenizerConfig: { sep_token: "</s>" }, specialTokens };
    expect(
      ["sep_token", "pad_token", "cls_token"].map((name) => specialToken(files, name)),
    ).toEqual(["</s>", "[PAD]", undefined]);
  });
});
