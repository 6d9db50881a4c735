import { describe, expect, test } from "vitest";
import { reference } from "../../test/run.js";
import { hasShared, zooGraphs } from "../../test/shared.js";
import { checkTypes, readModelFile } from "../../test/types.js";
import { inferTypes } from "./infer.js";

describe.skipIf(!hasShared)("types and dims of every value, as onnxruntime computes them", () => {
  test.each(zooGraphs())("$name", async ({ name, path }) => {
    const model = readModelFile(path);
    inferTypes(model);
    const feeds = reference(name).cases.map(({ inputs }) => inputs);
    const { unknown, wrong, values, dims, openDims } = await checkTypes(model, feeds);
    expect(wrong).toEqual([]);
    expect(unknown).toEqual([]);
    expect(values).toBeGreaterThan(50);
    // GPT-2's masks are cut to a length that is computed from data.
    expect(openDims).toBeLessThan(dims * 0.02);
  });
});
