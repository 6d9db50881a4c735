// One layer before and after each step of post-training quantization, in float64: what the layer loses where the step is switched off.
import { afterAll, describe, expect, test } from "vitest";
import {
  batchesOf,
  decibels,
  layerModel,
  normals,
  product,
  quantizedRows,
  squaredDistance,
  type Rows,
} from "../../test/layer.js";
import { runOn } from "../../test/step-host.js";
import { floatsOf } from "../onnx/values.js";
import type { ActivationSpec, Plan } from "../quant/plan.js";
import type { RoundedWeight } from "../quant/rounded.js";
import { channelScales, refineScales } from "../quant/scales.js";
import { findSites, type Site } from "../quant/sites.js";
import { ortNode } from "../runtime/ort-node.js";
import { runtimeProducts } from "../runtime/products.js";
import { gramMatricesOf } from "./gptq/gram.js";
import { groupsOf } from "./groups.js";
import { roundAgainst, roundingOrder } from "./gptq/round-matrix.js";
import { roundPlan } from "./gptq/round-plan.js";

const products = runtimeProducts(ortNode);
afterAll(() => products.release());

const [ROWS, K, N] = [640, 40, 24];
/** Coarse steps, so that x̂ and x differ much: in size, and in their means. */
const COARSE: ActivationSpec = {
  dtype: "uint8",
  granularity: "per-tensor",
  range: { min: -200, max: 310 },
};

/** Rows whose channels hang together, with a mean each that is no multiple of a step. */
function related(seed: number): Rows {
  const [few, mixing, own] = [normals(ROWS, 3, seed), normals(3, K, 7), normals(ROWS, K, seed + 1)];
  const mixed = product(few, mixing.values);
  const values = own.values.map((v, i) => 0.2 * v + (mixed[i] as number) + ((i % K) % 5) * 0.3);
  return { values, rows: ROWS, cols: K };
}

const weight = normals(K, N, 3);
const bias = normals(1, N, 4).values;
const x = related(11);
const exact = product(x, weight.values, bias);

function planOf(sites: readonly Site[], activation: ActivationSpec): Plan {
  const spec = { dtype: "int8", granularity: "per-channel", limit: 127 } as const;
  const plan = {
    kind: "linear",
    quantize: true,
    weight: { ...spec, limit: 7 },
    activation,
  } as const;
  return {
    format: "octavo-plan",
    version: 1,
    mode: "static",
    target: "cpu",
    sites: new Map(sites.map(({ name }) => [name, plan])),
  };
}

interface Layer {
  readonly codes: RoundedWeight | undefined;
  readonly bias: Float32Array;
}

async function rounded(
  given: { round: boolean; correct: boolean },
  means?: Float64Array,
  activation: ActivationSpec = COARSE,
): Promise<Layer> {
  const model = layerModel(weight, bias);
  const sites = findSites(model);
  const batches = batchesOf(x);
  const { weights } = await roundPlan(
    runOn(),
    model,
    {
      sites,
      plan: planOf(sites, activation),
      meansOf: () => means && { rows: ROWS, means },
      batches: given.round
        ? { batches, count: batches.length, rows: batches.length, truncated: 0, empty: 0 }
        : undefined,
    },
    { ...given, onProgress: () => undefined },
  );
  const tensor = model.graph.value("layer.bias")?.tensor;
  if (tensor === undefined) throw new Error("no bias");
  return { codes: [...weights.values()][0], bias: floatsOf(tensor) };
}

/** The weight that codes stand for. */
const valuesOf = ({ codes, scales }: RoundedWeight): Float64Array =>
  Float64Array.from(codes, (code, i) => code * (scales[i % N] as number));

function codesOf({ codes }: Layer): RoundedWeight {
  if (codes === undefined) throw new Error("nothing was rounded");
  return codes;
}

const xHat = quantizedRows(x, COARSE);

function scalesOf(limit: number): Float32Array {
  const none = () => {
    throw new Error("not finite");
  };
  const widest = channelScales(weight.values, K, N, 1, limit, none);
  return refineScales(weight.values, K, N, 1, widest, limit);
}

/** Codes against the Gram matrix of these rows. */
async function codesAgainst(rows: Rows): Promise<RoundedWeight> {
  const gram = new Float32Array(K * K);
  await products.addGram(rows, new Float32Array(K * K), gram);
  const order = await roundingOrder(gram, K, products);
  const scales = scalesOf(7);
  if (order === undefined) throw new Error("no order");
  return { codes: await roundAgainst(weight, scales, 7, order, products), scales };
}

/** Σ ‖x̂ · (W − Ŵ)‖²: what rounding of the weight does to the quantized inputs. */
function weightError(codes: RoundedWeight, rows: Rows): number {
  return squaredDistance(product(rows, weight.values), product(rows, valuesOf(codes)));
}

describe("GPTQ rounding", () => {
  test("takes 6 dB from the error of a layer that rounding to the nearest leaves", async () => {
    const scales = scalesOf(7);
    const nearest = Int8Array.from(weight.values, (w, i) =>
      Math.max(-7, Math.min(7, Math.round(w / (scales[i % N] as number)))),
    );
    const codes = codesOf(await rounded({ round: true, correct: false }));
    const gain = decibels(weightError({ codes: nearest, scales }, xHat), weightError(codes, xHat));
    expect(gain).toBeGreaterThan(6);
  });

  test("is against the Gram matrix of the quantized inputs, padding left out", async () => {
    const codes = codesOf(await rounded({ round: true, correct: false }));
    const own = weightError(codes, xHat);
    const unquantized = weightError(await codesAgainst(x), xHat);
    expect(decibels(unquantized, own)).toBeGreaterThan(0.4);
    const wanted = weightError(await codesAgainst(xHat), xHat);
    expect(Math.abs(decibels(wanted, own))).toBeLessThan(0.05);
  });

  test("sums what it needs of the quantized and of the unquantized rows that count", async () => {
    const model = layerModel(weight, bias);
    const groups = groupsOf(model, findSites(model));
    const batches = batchesOf(x);
    let seen = 0;
    const given = { batches, products, onBatch: () => seen++ };
    const [coded] = await gramMatricesOf(runOn(), model, groups, {
      ...given,
      specOf: () => COARSE,
    });
    const [plain] = await gramMatricesOf(runOn(), model, groups, {
      ...given,
      specOf: () => undefined,
    });
    expect(seen).toBe(2 * batches.length);
    for (const [found, rows] of [[coded, xHat] as const, [plain, x] as const]) {
      if (found === undefined) throw new Error("no sums");
      expect(found.rows).toBe(ROWS);
      const turned = Float32Array.from({ length: K * ROWS }, (_, i) =>
        Number(rows.values[(i % ROWS) * K + Math.floor(i / ROWS)]),
      );
      const gram = product({ values: turned, rows: K, cols: ROWS }, rows.values);
      const largest = Math.max(...gram.map(Math.abs));
      gram.forEach((v, i) =>
        expect(Math.abs(v - (found.gram[i] ?? NaN)) / largest).toBeLessThan(1e-5),
      );
      for (let k = 0; k < K; k++) {
        const sum = (of: Rows) => of.values.reduce((all, v, i) => all + (i % K === k ? v : 0), 0);
        expect(found.sums[k]).toBeCloseTo(sum(rows), 2);
        expect(found.exact[k]).toBeCloseTo(sum(x), 2);
      }
    }
  });
});

describe("bias correction", () => {
  /** Of the layer, per output channel: Σ_n (mean error)². */
  const meanError = (codes: RoundedWeight, own: Float32Array): number => {
    const coded = product(xHat, valuesOf(codes), own);
    const means = new Float64Array(N);
    exact.forEach((v, i) => (means[i % N] = (means[i % N] ?? 0) + (v - (coded[i] ?? 0)) / ROWS));
    return means.reduce((sum, v) => sum + v * v, 0);
  };

  test("leaves nothing of the mean error, that of the quantized inputs included", async () => {
    const without = await rounded({ round: true, correct: false });
    const corrected = await rounded({ round: true, correct: true });
    const before = meanError(codesOf(without), without.bias);
    const after = meanError(codesOf(corrected), corrected.bias);
    // Where the means of quantized inputs are taken for those of x, 20 dB at most.
    expect(decibels(before, after)).toBeGreaterThan(60);
  });

  test("without data goes by the means that calibration saw", async () => {
    const means = Float64Array.from({ length: K }, (_, k) => 1 + (k % 3));
    const { bias: own } = await rounded({ round: false, correct: true }, means);
    const scales = scalesOf(7);
    for (let n = 0; n < N; n++) {
      let error = 0;
      for (let k = 0; k < K; k++) {
        const w = weight.values[k * N + n] as number;
        const scale = scales[n] as number;
        const code = Math.max(-7, Math.min(7, Math.round(w / scale)));
        error += (means[k] as number) * (w - code * scale);
      }
      expect(own[n]).toBeCloseTo((bias[n] as number) + error, 4);
    }
  });
});
