// The option "high" of accuracy: finds the activations that cost most and plans a second term for them.
import type { RunBatch, RunBatches } from "../../data/run-batches.js";
import { OptionError, UnsupportedError } from "../../errors.js";
import type { Value } from "../../graph/graph.js";
import type { Model } from "../../graph/model.js";
import { worthSecondTerms } from "./choose.js";
import { ROWS } from "./defaults.js";
import type { ActivationSpec, Mode, Plan, SitePlan } from "../../quant/plan.js";
import type { LinearSite } from "../../quant/sites.js";
import type { OnProgress } from "../../report/progress.js";
import type { Target } from "../../targets/target.js";
import type { Planned } from "../../plan/plan-model.js";
import type { Run } from "../../host/run.js";
import { sensitivities } from "../sensitivity/activations.js";

export interface SecondTermOptions {
  readonly mode: Mode;
  readonly extraProducts: number;
  readonly onProgress: OnProgress;
  readonly signal?: AbortSignal | undefined;
}

/** What is planned already, and rows to measure it on. */
export interface SecondTermsOf extends Pick<Planned, "sites" | "plan"> {
  readonly batches: RunBatches | undefined;
}

/** Throws UnsupportedError for a target or a mode that has no such form. */
function requireSecondTerms(target: Target, mode: Mode): void {
  if (!target.secondTerms)
    throw new UnsupportedError(
      `--accuracy high with --target ${target.name}`,
      "its form has no second term",
      "Use --target cpu, or leave --accuracy out.",
    );
  if (mode === "dynamic")
    throw new UnsupportedError(
      `--accuracy high with --mode ${mode}`,
      "what the first codes leave is only known where ranges are found beforehand",
      "Use --mode static with --data, or leave --accuracy out.",
    );
}

/** The plan with a second term where they are worth it. Throws OptionError without data, as `requireSecondTerms`, and as `sensitivities`. */
export async function withSecondTerms(
  run: Run,
  model: Model,
  target: Target,
  { sites, plan, batches }: SecondTermsOf,
  options: SecondTermOptions,
): Promise<{ readonly plan: Plan; readonly activations: number }> {
  requireSecondTerms(target, options.mode);
  if (batches === undefined)
    throw new OptionError(
      "accuracy",
      "high without data",
      "rows to measure each activation alone on ({data: train.jsonl})",
    );
  const linear = sites.filter((site): site is LinearSite => site.kind === "linear");
  const specs = new Map<Value, ActivationSpec>();
  for (const site of linear) {
    const spec = quantized(plan.sites.get(site.name))?.activation;
    if (spec !== undefined && site.node.graph === model.graph) specs.set(site.activation, spec);
  }
  const few = [...firstRows(batches, ROWS)];
  const noise = await sensitivities(run, model, specs, {
    batches: few,
    onBatch: counter(options.onProgress, few.length),
    signal: options.signal,
  });
  const readersOf = (activation: Value): LinearSite[] =>
    linear.filter(
      (site) =>
        site.activation === activation && quantized(plan.sites.get(site.name)) !== undefined,
    );
  const candidates = [...noise].map(([activation, power]) => ({
    sites: readersOf(activation),
    noise: power,
  }));
  const all = candidates.flatMap((candidate) => candidate.sites);
  const chosen = worthSecondTerms(candidates, all, options.extraProducts);
  const names = new Set(chosen.flatMap((one) => one.sites.map(({ name }) => name)));
  return { plan: doubled(plan, names), activations: chosen.length };
}

function counter(onProgress: OnProgress, total: number): () => void {
  let done = 0;
  return () =>
    onProgress({ step: "measuring each activation", done: ++done, total, unit: "batches" });
}

function doubled(plan: Plan, names: ReadonlySet<string>): Plan {
  const planned = [...plan.sites].map(([name, site]): [string, SitePlan] => {
    const { activation } = quantized(site) ?? {};
    return names.has(name) && site.quantize && activation !== undefined
      ? [name, { ...site, activation: { ...activation, terms: 2 } }]
      : [name, site];
  });
  return { ...plan, sites: new Map(planned) };
}

function quantized(plan: SitePlan | undefined): (SitePlan & { quantize: true }) | undefined {
  return plan?.quantize === true ? plan : undefined;
}

/** Batches spread over all of them, until they have so many rows. */
function* firstRows(
  { batches, count, rows: all }: RunBatches,
  wanted: number,
): Generator<RunBatch> {
  const needed = Math.max(1, Math.ceil((wanted * count) / all));
  const step = Math.max(1, Math.floor(count / needed));
  let rows = 0;
  let at = 0;
  for (const batch of batches) {
    if (at++ % step !== 0) continue;
    yield batch;
    rows += batch.rows;
    if (rows >= wanted) return;
  }
}
