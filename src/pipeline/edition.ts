// The heart of quantization, free of files and runtimes: a prepared model and options in, its plan and its lowered graph out.
import { AlreadyQuantizedError, NothingToQuantizeError, UnsupportedError } from "../errors.js";
import type { Model } from "../graph/model.js";
import { removeDead } from "../passes/dead.js";
import { quantizedForm } from "../quant/already.js";
import { fitPlan, type Mode, type Plan, type SitePlan } from "../quant/plan.js";
import type { Site } from "../quant/sites.js";
import type { Fate, LoweringOptions, Target } from "../targets/target.js";

export interface PlanOptions extends LoweringOptions {
  readonly mode: Mode;
  /** Site names (with `*` for any run of characters) that stay in float. */
  readonly exclude: readonly string[];
  /** A plan to start from instead of the target's proposal. */
  readonly plan?: Plan | undefined;
}

/** Throws UnsupportedError where the target has no such mode, naming what it has. */
export function requireMode(target: Target, mode: Mode): void {
  if (target.modes.includes(mode)) return;
  const missing = target.missing[mode];
  throw new UnsupportedError(
    `--mode ${mode} with --target ${target.name}`,
    missing?.reason ?? `target ${target.name} has no ${mode} quantization`,
    missing?.instead ?? `Use --mode ${target.modes.join(" or ")}.`,
  );
}

/** Throws AlreadyQuantizedError for a model with quantized operators. */
export function requireFloat(model: Model): void {
  const form = quantizedForm(model);
  if (form !== undefined) throw new AlreadyQuantizedError(form);
}

/** The plan for a model's sites: the target's proposal (or the plan given), less what is excluded. */
export function makePlan(sites: readonly Site[], target: Target, options: PlanOptions): Plan {
  requireMode(target, options.mode);
  const { mode } = options;
  const given = options.plan === undefined ? undefined : fitPlan(options.plan, sites);
  if (given !== undefined && (given.mode !== mode || given.target !== target.name))
    throw new UnsupportedError(
      `A plan for --mode ${given.mode} --target ${given.target}`,
      `this run is --mode ${mode} --target ${target.name}`,
      "Use the plan's own mode and target, or write a new plan with --write-plan.",
    );
  const excluded = options.exclude.map(globOf);
  const planned = sites.map((site): [string, SitePlan] => {
    const proposal = given?.sites.get(site.name) ?? target.propose(site, mode, options);
    const out = proposal.quantize && excluded.some((glob) => glob.test(site.name));
    return [site.name, out ? { kind: site.kind, quantize: false, reason: "excluded" } : proposal];
  });
  return { format: "octavo-plan", version: 1, mode, target: target.name, sites: new Map(planned) };
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

/** Lowers `model` in place. Throws NothingToQuantizeError where the plan leaves every site in float. */
export function lowerPlan(model: Model, sites: readonly Site[], plan: Plan, target: Target): void {
  const left = [...plan.sites.values()];
  if (!left.some((p) => p.quantize)) {
    const reasons = new Set(left.map((p) => (p.quantize ? "" : p.reason)));
    throw new NothingToQuantizeError(sites.length, [...reasons]);
  }
  target.lower(model, sites, plan);
  removeDead(model);
  model.graph.sort();
}

function globOf(pattern: string): RegExp {
  const literal = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${literal.join(".*")}$`);
}
