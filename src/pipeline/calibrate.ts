// The verb calibrate: statistics of a model on data, whole or a shard of it, into a file; or files of shards into one.
import {
  mergeStatistics,
  parseStatistics,
  statisticsToJson,
  type Statistics,
} from "../calibrate/statistics-file.js";
import { unitsIn } from "../calibrate/units.js";
import { OptionError } from "../errors.js";
import { findSites } from "../quant/sites.js";
import { REPORT_VERSION, type CalibrateReport } from "../report/report.js";
import { choose } from "../targets/choices.js";
import { targetFor } from "../targets/all.js";
import { calibrateSites, operandsOf } from "../calibrate/calibrate-sites.js";
import { checkpointFor, type Checkpoint } from "../calibrate/checkpoint.js";
import type { Host } from "../host/host.js";
import { withRun } from "../host/run.js";
import {
  calibrateSettings,
  type CalibrateOptions,
  type CalibrateSettings,
} from "../options/calibrate.js";
import { readGraph } from "../host/read-graph.js";
import { dataOptions } from "../calibrate/calibrate-sites.js";
import { prepareCalibrated } from "../plan/prepare-calibrated.js";
import { nonFiniteWarnings } from "./plan-from-data.js";

export interface CalibratedFile {
  readonly path: string;
  readonly report: CalibrateReport;
}

/**
 * Runs the float model on the sample, or on every n-th batch of it, or merges: n shards merged equal the unsharded file to the byte. The file
 * appears whole or not at all; beside it is a checkpoint while the run lasts, which the same call takes up again where it was cut off. Throws an OctavoError for everything that is the user's to mend.
 */
export async function calibrateModel(
  host: Host,
  input: string | undefined,
  options: CalibrateOptions,
): Promise<CalibratedFile> {
  const settings = calibrateSettings(options);
  const { output, force, merge } = settings;
  host.requireWritable(output, force);
  const start = host.now();
  const warnings: string[] = [];
  const checkpoint = checkpointFor(host, output, {
    every: settings.checkpointEvery,
    force,
    warn: (warning) => warnings.push(warning),
  });
  const { statistics, ...rows } =
    merge === undefined
      ? await statisticsOf(host, input, settings, checkpoint)
      : { statistics: merged(host, merge) };
  host.writeText(output, statisticsToJson(statistics), force);
  if (merge === undefined) checkpoint.remove();
  const report: CalibrateReport = {
    version: REPORT_VERSION,
    command: "calibrate",
    output,
    units: statistics.units,
    covered: unitsIn(statistics.covered),
    activations: statistics.tensors.size,
    ...rows,
    seconds: host.now() - start,
    warnings: [...warnings, ...nonFiniteWarnings(statistics)],
  };
  return { path: output, report };
}

function merged(host: Host, files: readonly string[]): Statistics {
  const parts = files.map((path) => parseStatistics(host.readStatistics(path), path));
  return mergeStatistics(parts, { complete: true });
}

async function statisticsOf(
  host: Host,
  input: string | undefined,
  settings: CalibrateSettings,
  checkpoint: Checkpoint,
) {
  const { data, samples, outliers, shard, onProgress = () => undefined } = settings;
  if (input === undefined)
    throw new OptionError("model", "left out", "a model, or files to merge ({merge})");
  if (data === undefined)
    throw new OptionError("data", "left out", "a file of texts ({data: train.jsonl})");
  const target = targetFor(settings.target, "static");
  const { attention, residual } = choose(target, "static", settings);
  return withRun(host, input, async (run) => {
    const model = readGraph(run.file);
    const choices = { outliers, attention, residual };
    prepareCalibrated(model, target, choices);
    const operands = operandsOf(findSites(model), target, choices);
    const { batches: _, ...calibrated } = await calibrateSites(run, model, [...operands.keys()], {
      ...dataOptions(settings, data),
      samples,
      ...choices,
      checkpoint,
      shard,
      onProgress,
    });
    return calibrated;
  });
}
