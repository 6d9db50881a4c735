import { expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { inferTypes } from "../ops/infer.js";
import { findSites } from "../quant/sites.js";
import { targetFor } from "../targets/all.js";
import { makePlan } from "./plan-model.js";

test.each(["layer.0.query", "/encoder/layer.0/query/MatMul", "/encoder/*", "encoder.layer.0.*"])(
  "a pattern may be of a site's name or of its node's: %s",
  (pattern) => {
    const model = buildModel((b) => {
      const weight = b.float(
        "layer.0.query.weight",
        Array.from({ length: 16 }, () => 1),
        [4, 4],
      );
      const name = "/encoder/layer.0/query/MatMul";
      const inputs = [b.input("x", ["batch", 4]), weight];
      b.output(b.graph.addNode({ op: "MatMul", name, inputs }).output());
    });
    inferTypes(model);
    const options = { mode: "dynamic", exclude: [pattern], small: true } as const;
    const plan = makePlan(findSites(model), targetFor("cpu", "dynamic"), {
      ...options,
      reduceRange: false,
      embeddings: true,
      outliers: true,
      attention: "none",
      residual: "none",
    });
    expect(plan.sites.get("layer.0.query")).toMatchObject({ quantize: false, reason: "excluded" });
  },
);
