// The plan: for each site whether it is quantized and how. Pure data, JSON that a person can read, edit and pass back.
import * as v from "valibot";
import { PlanError } from "../errors.js";
import type { Site, SiteKind } from "./sites.js";

export const MODES = ["dynamic", "static", "qat"] as const;
export type Mode = (typeof MODES)[number];

/** What a scale spans: all values, or as many as leave the least squared error. */
export const WEIGHT_RANGES = ["min-max", "mse"] as const;
export type WeightRange = (typeof WEIGHT_RANGES)[number];

/** Symmetric INT8 codes, one scale per output channel (products), per row or per block of a row (tables). */
export interface ChannelWeight {
  readonly dtype: "int8";
  readonly granularity: "per-channel";
  /** Codes stay within ±limit: 127, or 64 for CPUs that saturate sums of two products. */
  readonly limit: number;
  /** Of a table: neighbouring values of a row that share a scale; absent: the whole row. */
  readonly block?: number | undefined;
  /** Absent in older plans: min-max. */
  readonly range?: WeightRange | undefined;
}

export const BLOCK_SIZES = [16, 32, 64, 128, 256] as const;

/** Codes in blocks along K, for a product whose activation stays in float. */
export interface BlockWeight {
  readonly dtype: "int4" | "int8";
  readonly granularity: "block-wise";
  /** Values that share a scale: a power of two from 16 to 256. */
  readonly block: number;
  readonly scheme: "symmetric" | "asymmetric";
  readonly range: WeightRange;
}

/** What `--weights` asks for: INT8 with 8-bit activations, or few bits with activations left in float. */
export const WEIGHT_FORMS = ["int8", "int4", "int8-only"] as const;
export type WeightForm = (typeof WEIGHT_FORMS)[number];

/** How a constant is written. */
export type WeightSpec = ChannelWeight | BlockWeight;

/** Values that are represented, 0 among them. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** How an activation becomes 8 bits: one scale per tensor, its range found at run time ("dynamic") or beforehand. */
export interface ActivationSpec {
  readonly dtype: "uint8" | "int8";
  readonly granularity: "per-tensor";
  /** The zero point is 0, the scale that of the larger end of the range; absent: the zero point is free. */
  readonly symmetric?: boolean | undefined;
  readonly range: "dynamic" | Range;
  /** 2: what the codes leave goes through the same weights, too, as codes of its own, which makes nearly 16 bits. Absent: 1. */
  readonly terms?: 1 | 2 | undefined;
}

export type SitePlan =
  | {
      readonly kind: SiteKind;
      readonly quantize: true;
      /** Absent where no constant takes part (a product of two activations, a residual). */
      readonly weight?: WeightSpec | undefined;
      /**
       * The input of a linear layer, the left operand of a product, what skips a residual's block. Absent where only the constant is stored in 8 bits
       * (an embedding, a product that is computed once on loading), and where that operand stays in float.
       */
      readonly activation?: ActivationSpec | undefined;
      /** The right operand of a product of two activations, the block's own result of a residual. */
      readonly second?: ActivationSpec | undefined;
      /** What the reader of a plan should know; free text. */
      readonly note?: string | undefined;
    }
  | { readonly kind: SiteKind; readonly quantize: false; readonly reason: string };

export interface Plan {
  readonly format: "octavo-plan";
  readonly version: 1;
  readonly mode: Mode;
  readonly target: string;
  /** By site name, in the order of the graph. */
  readonly sites: ReadonlyMap<string, SitePlan>;
}

const weightSchema = v.variant("granularity", [
  v.strictObject({
    dtype: v.literal("int8"),
    granularity: v.literal("per-channel"),
    limit: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(127)),
    block: v.optional(v.picklist(BLOCK_SIZES)),
    range: v.optional(v.picklist(WEIGHT_RANGES)),
  }),
  v.strictObject({
    dtype: v.picklist(["int4", "int8"]),
    granularity: v.literal("block-wise"),
    block: v.picklist(BLOCK_SIZES),
    scheme: v.picklist(["symmetric", "asymmetric"]),
    range: v.picklist(WEIGHT_RANGES),
  }),
]);

const activationSchema = v.strictObject({
  dtype: v.picklist(["uint8", "int8"]),
  granularity: v.literal("per-tensor"),
  symmetric: v.optional(v.boolean()),
  terms: v.optional(v.picklist([1, 2])),
  range: v.union([
    v.literal("dynamic"),
    v.pipe(
      v.strictObject({
        min: v.pipe(v.number(), v.finite(), v.maxValue(0)),
        max: v.pipe(v.number(), v.finite(), v.minValue(0)),
      }),
      v.check(({ min, max }) => max > min, "Invalid range: Expected max above min"),
    ),
  ]),
});

const kindSchema = v.picklist([
  "linear",
  "embedding",
  "attention",
  "residual",
  "convolution",
  "opaque",
]);

const sitePlanSchema = v.variant("quantize", [
  v.strictObject({
    kind: kindSchema,
    quantize: v.literal(true),
    weight: v.optional(weightSchema),
    activation: v.optional(activationSchema),
    second: v.optional(activationSchema),
    note: v.optional(v.string()),
  }),
  v.strictObject({
    kind: kindSchema,
    quantize: v.literal(false),
    reason: v.optional(v.string(), "switched off in the plan"),
  }),
]);

const planSchema = v.strictObject({
  format: v.literal("octavo-plan"),
  version: v.literal(1),
  mode: v.picklist(MODES),
  target: v.string(),
  sites: v.record(v.string(), sitePlanSchema),
});

/** The form of the plan's products: of fewest bits where they are mixed. */
export function weightFormOf({ sites }: Plan): WeightForm {
  const blocks = [...sites.values()].flatMap((site) =>
    site.quantize && site.weight?.granularity === "block-wise" ? [site.weight.dtype] : [],
  );
  if (blocks.length === 0) return "int8";
  return blocks.includes("int4") ? "int4" : "int8-only";
}

/** The plan as JSON text, a site per paragraph; `parsePlan` reads it back to the same plan. */
export function planToJson(plan: Plan): string {
  return `${JSON.stringify({ ...plan, sites: Object.fromEntries(plan.sites) }, undefined, 2)}\n`;
}

/** Reads a plan. Throws PlanError for what is no plan, naming the place and what is allowed there. */
export function parsePlan(text: string, path?: string): Plan {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new PlanError(`not JSON: ${detail}`, path);
  }
  const result = v.safeParse(planSchema, data);
  if (!result.success) {
    const issue = result.issues[0];
    const at = issue.path?.map((p) => String(p.key)).join(" → ");
    throw new PlanError(`${at ? `${at}: ` : ""}${issue.message}`, path);
  }
  const { sites, ...rest } = result.output;
  // Keys such as "__proto__" do not pass the schema: they must not be lost without a word.
  const lost = Object.keys((data as { sites: object }).sites).find(
    (name) => !Object.hasOwn(sites, name),
  );
  if (lost !== undefined) throw new PlanError(`a site cannot be called "${lost}"`, path);
  return { ...rest, sites: new Map(Object.entries(sites)) };
}

/** Holds a plan against the sites of a model. Throws PlanError for sites the model lacks or has as another kind; sites that the plan leaves out are added as float. */
export function fitPlan(plan: Plan, sites: readonly Site[]): Plan {
  const kinds = new Map(sites.map((site) => [site.name, site.kind]));
  for (const [name, { kind }] of plan.sites) {
    const found = kinds.get(name);
    if (found === undefined)
      throw new PlanError(`the model has no site "${name}"; octavo inspect lists its sites`);
    if (found !== kind) throw new PlanError(`site "${name}" is of kind ${found}, not ${kind}`);
  }
  const complete = sites.map((site): [string, SitePlan] => [
    site.name,
    plan.sites.get(site.name) ?? {
      kind: site.kind,
      quantize: false,
      reason: "not in the plan",
    },
  ]);
  return { ...plan, sites: new Map(complete) };
}
