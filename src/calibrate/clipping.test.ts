// Values beyond the ranges of a plan: their share as it is counted by hand, and from which share on a user is warned.
import { describe, expect, test } from "vitest";
import { batchesOf, layerModel, normals } from "../../test/layer.js";
import { runOn } from "../../test/step-host.js";
import { cloneModel } from "../graph/clone.js";
import type { ActivationSpec, Plan } from "../quant/plan.js";
import { findSites } from "../quant/sites.js";
import { clippedShares, clippingWarnings, withObserved } from "./clipping.js";

const K = 10;
const x = normals(800, K, 4);
const model = layerModel(normals(K, 6, 2));
const sites = findSites(model);

function shareOf(activation: ActivationSpec, rows = x) {
  const site = { kind: "linear", quantize: true, activation } as const;
  const plan: Plan = {
    format: "octavo-plan",
    version: 1,
    mode: "static",
    target: "cpu",
    sites: new Map(sites.map(({ name }) => [name, site])),
  };
  const batches = batchesOf(rows);
  const sourceOf = (name: string) => ({ name });
  return withObserved(runOn(), cloneModel(model), ["x"], (observed) =>
    clippedShares(observed, { sites, plan }, { sourceOf, batches }),
  );
}

const spec = { dtype: "uint8", granularity: "per-tensor", range: { min: -1, max: 2 } } as const;
const shareBeyond = (min: number, max: number) =>
  x.values.filter((v) => v < min || v > max).length / x.values.length;

describe("the share of values beyond a range", () => {
  test("is that of the rows that count", async () => {
    const found = await shareOf(spec);
    // All padding is far beyond.
    expect(found).toEqual([{ site: "layer", operand: "activation", share: shareBeyond(-1, 2) }]);
    expect(model.graph.outputs).toHaveLength(1);
  });

  test("of symmetric codes goes as far on either side, of unsigned ones from 0 on", async () => {
    const [signed] = await shareOf({ ...spec, dtype: "int8", symmetric: true });
    expect(signed?.share).toBe(shareBeyond(-2, 2));
    const [unsigned] = await shareOf({ ...spec, symmetric: true });
    expect(unsigned?.share).toBe(shareBeyond(0, 2));
  });

  test("counts what is no number, and nothing where a range is found at run time", async () => {
    const wide = { ...spec, range: { min: -100, max: 100 } };
    const broken = { ...x, values: x.values.map((v, i) => (i % 100 === 0 ? NaN : v)) };
    const [found] = await shareOf(wide, broken);
    expect(found?.share).toBe(0.01);
    expect((await shareOf(wide))[0]?.share).toBe(0);
    expect(await shareOf({ ...spec, range: "dynamic" })).toEqual([]);
  });
});

describe("the warning", () => {
  const clipped = (site: string, share: number) =>
    ({ site, operand: "activation", share }) as const;

  test("begins above a thousandth of the values", () => {
    expect(clippingWarnings([clipped("a", 0.001), clipped("b", 0.0005)])).toEqual([]);
    expect(clippingWarnings([])).toEqual([]);
    const [warning, ...more] = clippingWarnings([clipped("a", 0.0011), clipped("b", 0.0005)]);
    expect(more).toEqual([]);
    expect(warning).toMatch(
      /^1 site leaves .* 0\.11 % of the values at "a", where at most 0\.10 %/,
    );
  });

  test("names the worst, and counts each site once", () => {
    const second = { ...clipped("b", 0.3), operand: "second" } as const;
    const [warning] = clippingWarnings([clipped("a", 0.02), clipped("b", 0.002), second]);
    expect(warning).toMatch(/^2 sites leave .* 30 % of the values at "b"/);
  });
});
