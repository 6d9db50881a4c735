// The heart of quantization, free of files and runtimes: a prepared model and options in, its plan and its lowered graph out.
import {
  AlreadyQuantizedError,
  NothingToQuantizeError,
  SitePatternError,
  UnsupportedError,
} from "../errors.js";
import type { Model } from "../graph/model.js";
import { splitOutliers } from "./outliers.js";
import { inferTypes } from "../ops/infer.js";
import { removeDead } from "../passes/dead.js";
import { toHalf } from "../passes/half.js";
import { raiseOpset } from "../passes/opset.js";
import { quantizedForm } from "../quant/already.js";
import { fitPlan, weightFormOf, type Mode, type Plan, type SitePlan } from "../quant/plan.js";
import type { RoundedWeights } from "../quant/rounded.js";
import { findSites, type Site } from "../quant/sites.js";
import type {
  ActivationReport,
  CalibrationReport,
  ClippedReport,
  SiteReport,
} from "../report/report.js";
import type { Fate, LoweringOptions, Rewrite, Target } from "../targets/target.js";
import { placeOf } from "../quant/site-names.js";
import { globOf } from "./patterns.js";
import { prepare } from "./prepare.js";
import { siteReports } from "./site-reports.js";

export interface PlanOptions extends LoweringOptions {
  readonly mode: Mode;
  /** Compute a few channels that would hold the whole range of an activation beside it, in float. */
  readonly outliers: boolean;
  /** Patterns of site names, `*` for any text: only these, where given. */
  readonly include?: readonly string[] | undefined;
  /** Patterns of site names that stay in float. */
  readonly exclude: readonly string[];
  /** A plan to start from instead of the target's proposal. */
  readonly plan?: Plan | undefined;
}

/** A model on its way: prepared for the target, its sites planned, nothing lowered yet. */
export interface Planned {
  readonly sites: readonly Site[];
  readonly plan: Plan;
  readonly reports: readonly SiteReport[];
  /** How often each exact float rewrite applied; `outlier` counts channels that were split off. */
  readonly rewrites: Readonly<Partial<Record<Rewrite | "outlier", number>>>;
  /** What ranges were calibrated with; absent where they are found at run time. */
  readonly calibration?: CalibrationReport;
  /** Activations with ranges found beforehand. */
  readonly ranges?: readonly ActivationReport[];
  /** Shares of values beyond these ranges, on rows that calibration has not seen; where they were looked at. */
  readonly clipped?: readonly ClippedReport[] | undefined;
  /** The graph as it was planned, before biases were corrected; where training wants it. */
  readonly float?: Model;
  /** Codes of weights that are not simply rounded to the nearest. */
  readonly weights?: RoundedWeights;
  readonly warnings?: readonly string[];
}

/** Prepares a float model in place and plans its sites. Throws as `requireFloat` and `makePlan`. */
export function planModel(model: Model, target: Target, options: PlanOptions): Planned {
  requireFloat(model);
  const { rewrites } = prepare(model, target, options);
  const found = findSites(model);
  const form = options.plan === undefined ? options.weights : weightFormOf(options.plan);
  // Activations in float have no range that an outlier could hold.
  const apart = options.outliers && (form ?? "int8") === "int8";
  const outlier = apart ? splitOutliers(model, found) : 0;
  if (outlier === 0) return planSites(found, target, options, rewrites);
  model.graph.sort();
  inferTypes(model);
  return planSites(findSites(model), target, options, { ...rewrites, outlier });
}

/** Plans the sites of a prepared model. Throws as `makePlan`. */
export function planSites(
  sites: readonly Site[],
  target: Target,
  options: PlanOptions,
  rewrites: Planned["rewrites"],
): Planned {
  const plan = makePlan(sites, target, options);
  return { sites, plan, reports: siteReports(sites, fates(sites, plan, target)), rewrites };
}

/** Throws AlreadyQuantizedError for a model with quantized operators. */
export function requireFloat(model: Model): void {
  const form = quantizedForm(model);
  if (form !== undefined) throw new AlreadyQuantizedError(form);
}

/**
 * The plan for a model's sites: the target's proposal (or the plan given), less what is not included or is excluded. Throws PlanError,
 * UnsupportedError for a plan of another mode or target, SitePatternError for a pattern that fits no site.
 */
export function makePlan(sites: readonly Site[], target: Target, options: PlanOptions): Plan {
  const { mode } = options;
  const given = options.plan === undefined ? undefined : fitPlan(options.plan, sites);
  if (given !== undefined && (given.mode !== mode || given.target !== target.name))
    throw new UnsupportedError(
      `A plan for --mode ${given.mode} --target ${given.target}`,
      `this run is --mode ${mode} --target ${target.name}`,
      "Use the plan's own mode and target, or write a new plan with --write-plan.",
    );
  const included = options.include === undefined ? undefined : matching(options.include, sites);
  const excluded = matching(options.exclude, sites);
  const proposals = given?.sites ?? propose(sites, target, options);
  const planned = sites.map((site): [string, SitePlan] => {
    const proposal = proposals.get(site.name);
    if (proposal === undefined) throw new Error(`internal: site "${site.name}" was not planned`);
    if (!proposal.quantize) return [site.name, proposal];
    if (excluded.has(site.name)) return [site.name, inFloat(site, "excluded")];
    if (included?.has(site.name) === false) return [site.name, inFloat(site, "not included")];
    return [site.name, proposal];
  });
  return { format: "octavo-plan", version: 1, mode, target: target.name, sites: new Map(planned) };
}

/** What the target proposes. A model that has small sites only (a toy, a test) is quantized all the same: it was asked for. */
function propose(
  sites: readonly Site[],
  target: Target,
  options: PlanOptions,
): ReadonlyMap<string, SitePlan> {
  const all = (small: boolean) =>
    new Map(
      sites.map((s) => [s.name, target.propose(s, options.mode, { ...options, small })] as const),
    );
  const usual = all(options.small === true);
  return [...usual.values()].some((plan) => plan.quantize) ? usual : all(true);
}

function inFloat(site: Site, reason: string): SitePlan {
  return { kind: site.kind, quantize: false, reason };
}

/** What will become of each site under a plan, by site name. */
export function fates(sites: readonly Site[], plan: Plan, target: Target): Map<string, Fate> {
  return new Map(
    sites.map((site) => {
      const sitePlan = plan.sites.get(site.name);
      if (sitePlan === undefined) throw new Error(`internal: no plan for site "${site.name}"`);
      return [site.name, target.fate(site, sitePlan)];
    }),
  );
}

export interface LowerOptions {
  /** Write what is not quantized in FP16. */
  readonly fp16?: boolean | undefined;
  /** Codes of weights that were chosen already. */
  readonly weights?: RoundedWeights | undefined;
}

/** Scales may be FP16 from this version of the operator set on. */
const FP16_OPSET = 19;

/** Lowers `model` in place. Throws NothingToQuantizeError where the plan leaves every site in float. */
export function lowerPlan(
  model: Model,
  sites: readonly Site[],
  plan: Plan,
  target: Target,
  { fp16 = false, weights }: LowerOptions = {},
): void {
  raiseOpset(model, Math.max(target.opset[plan.mode] ?? 1, fp16 ? FP16_OPSET : 1));
  const left = [...plan.sites.values()];
  if (!left.some((p) => p.quantize)) {
    const reasons = new Set(left.map((p) => (p.quantize ? "" : p.reason)));
    throw new NothingToQuantizeError(sites.length, [...reasons]);
  }
  target.lower(model, sites, plan, weights);
  removeDead(model);
  model.graph.sort();
  if (!fp16) return;
  inferTypes(model);
  toHalf(model);
  removeDead(model);
}

function matching(patterns: readonly string[], sites: readonly Site[]): ReadonlySet<string> {
  const matched = new Set<string>();
  for (const pattern of patterns) {
    const glob = globOf(pattern);
    const fitting = sites.filter((site) => namesOf(site).some((name) => glob.test(name)));
    if (fitting.length === 0)
      throw new SitePatternError(
        pattern,
        sites.map(({ name }) => name),
      );
    for (const { name } of fitting) matched.add(name);
  }
  return matched;
}

/** A site goes by its own name, and by its node's: as the file has it, or in dots. */
function namesOf({ name, node }: Site): string[] {
  const place = placeOf(node.name);
  return [name, ...(node.name === "" ? [] : [node.name]), ...(place === undefined ? [] : [place])];
}
