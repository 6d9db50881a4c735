// What each site of a plan does by itself: the float model with that one site quantized, against the float model, by its outputs.
import { OptionError, PlanError } from "../../errors.js";
import type { Model } from "../../graph/model.js";
import { parsePlan, type Plan, type SitePlan } from "../../quant/plan.js";
import { findSites } from "../../quant/sites.js";
import type { OnProgress } from "../../report/progress.js";
import type { SiteSensitivityReport, SiteReport } from "../../report/report.js";
import { choose } from "../../targets/choices.js";
import { TARGET_NAMES, targetFor, type TargetName } from "../../targets/all.js";
import type { Target } from "../../targets/target.js";
import { dataOptions, type DataSettings } from "../../calibrate/calibrate-sites.js";
import { prepareCalibrated } from "../../plan/prepare-calibrated.js";
import { calibrateSites, operandsOf } from "../../calibrate/calibrate-sites.js";
import { lowerPlan, planModel, planSites, type Planned } from "../../plan/plan-model.js";
import type { Run } from "../../host/run.js";
import { withTemporary } from "../../host/sessions.js";
import { outputSums, type OutputSums } from "../../evaluate/outputs.js";
import { ALONE_ROWS } from "../defaults.js";
import { rangesFrom } from "../ranges.js";
import { readGraph } from "../../host/read-graph.js";
import type { FeedPair } from "../../evaluate/site-errors.js";

export interface SensitivitySettings extends DataSettings {
  readonly plan?: string | undefined;
  readonly onProgress: OnProgress;
}

/** A model of its own with its sites planned; `only` leaves all others in float. */
type MakePlanned = (model: Model, plan: Plan | undefined) => Planned;

/**
 * The sites that the plan quantizes (default: the plan of dynamic mode for target cpu), the largest error first. Weights are rounded to the
 * nearest. Throws AlreadyQuantizedError, PlanError, OptionError for a static plan without data, and RuntimeFailedError.
 */
export async function sensitivitiesOf(
  run: Run,
  feeds: readonly FeedPair[],
  settings: SensitivitySettings,
): Promise<SiteSensitivityReport[]> {
  const { plan: path, signal, onProgress } = settings;
  const given = path === undefined ? undefined : parsePlan(run.host.readPlan(path), path);
  const mode = given?.mode ?? "dynamic";
  const target = targetFor(targetNamed(given?.target ?? "cpu", path), mode);
  const { host, file } = run;
  const planned = await planner(run, target, mode, settings);
  const whole = planned(readGraph(file), given);
  const quantized = [...whole.plan.sites].filter(([, site]) => site.quantize);
  const reference = await outputSums(host, file.path, feeds, signal);
  const found: SiteSensitivityReport[] = [];
  for (const [i, [name]] of quantized.entries()) {
    signal?.throwIfAborted();
    const model = readGraph(file);
    const { sites, plan } = planned(model, onlySite(whole.plan, name));
    lowerPlan(model, sites, plan, target);
    const sums = await withTemporary(host, model, file.external, (temporary) =>
      reference.against(temporary),
    );
    found.push({ ...described(whole.reports, name), ...lowest(sums) });
    onProgress({ step: "each site alone", done: i + 1, total: quantized.length, unit: "sites" });
  }
  return found.toSorted((a, b) => a.snrDb - b.snrDb);
}

/** Throws PlanError for a plan of a target that there is not. */
function targetNamed(name: string, path: string | undefined): TargetName {
  const target = TARGET_NAMES.find((known) => known === name);
  if (target !== undefined) return target;
  throw new PlanError(`its target "${name}" is none of ${TARGET_NAMES.join(", ")}`, path);
}

/** Ranges of a static plan's smoothed activations follow from the data, as in quantize --plan. */
async function planner(
  run: Run,
  target: Target,
  mode: Plan["mode"],
  settings: SensitivitySettings,
): Promise<MakePlanned> {
  const choices = choose(target, mode, {});
  const options = {
    ...choices,
    mode,
    outliers: true,
    embeddings: true,
    reduceRange: false,
    exclude: [],
  };
  if (mode === "dynamic") return (model, plan) => planModel(model, target, { ...options, plan });
  const { data } = settings;
  if (data === undefined)
    throw new OptionError(
      "data",
      `left out with a plan for --mode ${mode}`,
      "data to calibrate it with ({data: train.jsonl})",
    );
  const copy = readGraph(run.file);
  prepareCalibrated(copy, target, options);
  const { statistics } = await calibrateSites(
    run,
    copy,
    [...operandsOf(findSites(copy), target, options).keys()],
    {
      ...dataOptions(settings, data),
      ...options,
      samples: ALONE_ROWS,
      onProgress: settings.onProgress,
    },
  );
  return (model, plan) => {
    const rewrites = prepareCalibrated(model, target, options);
    const { sites, rangeOf } = rangesFrom(model, findSites(model), statistics, {
      smooth: true,
      estimator: { kind: "min-max" },
    });
    return planSites(sites, target, { ...options, plan, rangeOf }, rewrites);
  };
}

function onlySite(plan: Plan, only: string): Plan {
  const sites = [...plan.sites].map(([name, site]): [string, SitePlan] => [
    name,
    name === only || !site.quantize
      ? site
      : { kind: site.kind, quantize: false, reason: `only ${only} is quantized` },
  ]);
  return { ...plan, sites: new Map(sites) };
}

function described(
  reports: readonly SiteReport[],
  site: string,
): Pick<SiteSensitivityReport, "site" | "kind" | "shape"> {
  const report = reports.find(({ name }) => name === site);
  if (report === undefined) throw new Error(`internal: site "${site}" has no report`);
  return { site, kind: report.kind, shape: report.shape };
}

function lowest(sums: OutputSums): Pick<SiteSensitivityReport, "snrDb" | "cosine"> {
  const told = [...sums.values()].filter((one) => one.compared() > 0);
  const all = told.map((one) => ({ snrDb: one.snrDb(), cosine: one.cosine() }));
  const [first] = all.toSorted((a, b) => a.snrDb - b.snrDb);
  return first ?? { snrDb: Infinity, cosine: 1 };
}
