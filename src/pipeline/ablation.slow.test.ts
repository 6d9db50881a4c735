import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { OptionError } from "../errors.js";
import { quantize } from "../node.js";

const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));
let folder = "";
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "octavo-ablation-"))));
afterEach(() => rmSync(folder, { recursive: true }));

test("each step that did something is left out once, and what is left is as without it", async () => {
  const options = {
    mode: "static",
    data: join(demo, "reviews.tsv"),
    samples: 128,
    correct: false,
    output: join(folder, "a.onnx"),
  } as const;
  const { report } = await quantize(demo, { ...options, ablation: true });
  expect(report.ablation?.map(({ step }) => step)).toEqual([
    "outlier channels",
    "smoothing",
    "rounding",
  ]);
  const without = await quantize(demo, {
    ...options,
    smooth: false,
    output: join(folder, "b.onnx"),
  });
  expect(report.ablation?.[1]?.withoutSnrDb).toBe(without.report.check?.snrDb);
  expect(without.report.ablation).toBeUndefined();
  expect(readdirSync(folder).toSorted()).toEqual(["a.onnx", "b.onnx"]);
});

test("without the check there is nothing to measure", async () => {
  const output = join(folder, "a.onnx");
  const wrong = quantize(demo, { ablation: true, check: false, output });
  await expect(wrong).rejects.toThrow(OptionError);
  expect(existsSync(output)).toBe(false);
});
