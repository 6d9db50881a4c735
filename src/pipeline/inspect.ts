// The verb inspect: what is in a model, and what would become of its sites on a target, or does where it is quantized already.
import type { Dim, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { quantizedForm } from "../quant/already.js";
import { parsePlan } from "../quant/plan.js";
import { REPORT_VERSION, type InspectReport, type ValueReport } from "../report/report.js";
import { choose } from "../targets/choices.js";
import { floatTarget, targetFor, usualMode } from "../targets/all.js";
import { requireWeightForm } from "../targets/weight-forms.js";
import { planModel } from "../plan/plan-model.js";
import type { Host } from "../host/host.js";
import { lintModel } from "../plan/lint-model.js";
import { inspectSettings, type InspectOptions } from "../options/inspect.js";
import { requireOneForm } from "../options/weight-options.js";
import { readGraph } from "../host/read-graph.js";

/** Calibration is assumed to see every input: what it saw does not decide where a site runs. */
const CALIBRATED = { min: -1, max: 1 };

/**
 * Throws an OctavoError for everything that is the user's to mend. Of a model that is quantized already, by whatever tool, the sites are those
 * that the target's lint finds.
 */
export async function inspectModel(
  host: Host,
  input: string,
  options: InspectOptions = {},
): Promise<InspectReport> {
  const settings = inspectSettings(options);
  const { plan: planPath, signal, onProgress = () => undefined } = settings;
  const mode = settings.mode ?? usualMode(settings.target);
  const file = host.open(input);
  try {
    signal?.throwIfAborted();
    onProgress({ step: "reading", done: 0, total: 0 });
    const model = readGraph(file);
    const described = describe(model);
    const quantized = quantizedForm(model);
    // A mode is how a float model would be quantized.
    const target =
      quantized === undefined ? targetFor(settings.target, mode) : floatTarget(settings.target);
    if (quantized === undefined) requireWeightForm(target, mode, settings.weights ?? "int8");
    const given = planPath === undefined ? undefined : parsePlan(host.readPlan(planPath), planPath);
    requireOneForm(settings, given);
    const base = {
      version: REPORT_VERSION,
      command: "inspect",
      model: file.path,
      bytes: file.bytes(),
      ...described,
      mode,
      target: target.name,
    } as const;
    signal?.throwIfAborted();
    onProgress({ step: "planning", done: 0, total: 0 });
    if (quantized !== undefined) {
      const sites = target.lint === undefined ? [] : lintModel(model, target.lint);
      return { ...base, quantized, sites, rewrites: {} };
    }
    const choices = choose(target, mode, settings);
    const { reports, rewrites } = planModel(model, target, {
      ...settings,
      ...choices,
      mode,
      plan: given,
      rangeOf: () => CALIBRATED,
    });
    return { ...base, sites: reports, rewrites };
  } finally {
    file.close();
  }
}

type Description = Pick<
  InspectReport,
  "irVersion" | "opsets" | "producer" | "nodes" | "inputs" | "outputs" | "bytesByType"
>;

/** The file's own facts, before any pass has touched it. */
function describe({ graph, opsets, irVersion, rest }: Model): Description {
  const bytesByType = new Map<string, number>();
  for (const value of graph.initializers()) {
    const { dtype, tensor } = value;
    if (dtype !== undefined && tensor !== undefined)
      bytesByType.set(dtype, (bytesByType.get(dtype) ?? 0) + tensor.data.byteLength);
  }
  const inputs = graph.inputs.filter((value) => value.tensor === undefined);
  return {
    irVersion,
    opsets: Object.fromEntries([...opsets].map(([domain, v]) => [domain || "ai.onnx", v])),
    producer: [rest.producerName, rest.producerVersion].filter(Boolean).join(" "),
    nodes: [...graph.allNodes()].length,
    inputs: inputs.map(reportOf),
    outputs: graph.outputs.map(reportOf),
    bytesByType: Object.fromEntries(bytesByType),
  };
}

function reportOf({ name, dtype, shape }: Value): ValueReport {
  return { name, dtype: dtype ?? "unknown", shape: shape?.map((dim: Dim) => dim) ?? [] };
}
