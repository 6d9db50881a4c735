// The verb calibrate: statistics of a model on data, whole or a shard of it, into a file; or files of shards into one.
import {
  mergeStatistics,
  parseStatistics,
  statisticsToJson,
  type Statistics,
} from "../calibrate/statistics-file.js";
import { OptionError } from "../errors.js";
import { findSites } from "../quant/sites.js";
import { REPORT_VERSION, type CalibrateReport } from "../report/report.js";
import { choose } from "../targets/choices.js";
import { targetFor } from "../targets/all.js";
import { calibrateSites, operandsOf } from "./calibration.js";
import type { Host } from "./host.js";
import { calibrateSchema, checkOptions, type CalibrateOptions } from "./options.js";
import { readGraph } from "./read.js";
import { dataOptions, nonFiniteWarnings, prepareCalibrated } from "./calibrated.js";

export interface CalibratedFile {
  readonly path: string;
  readonly report: CalibrateReport;
}

/**
 * Runs the float model on the sample, or on every n-th batch of it, or merges: n shards merged equal the unsharded file to the byte. The file
 * appears whole or not at all. Throws an OctavoError for everything that is the user's to mend.
 */
export async function calibrateModel(
  host: Host,
  input: string | undefined,
  options: CalibrateOptions,
): Promise<CalibratedFile> {
  const settings = checkOptions(calibrateSchema, options);
  const { output, force, merge } = settings;
  host.requireWritable(output, force);
  const start = host.now();
  const { statistics, ...rows } =
    merge === undefined
      ? await statisticsOf(host, input, settings)
      : { statistics: merged(host, merge) };
  host.writeText(output, statisticsToJson(statistics), force);
  const report: CalibrateReport = {
    version: REPORT_VERSION,
    command: "calibrate",
    output,
    units: statistics.units,
    covered: statistics.covered.reduce((sum, [from, to]) => sum + to - from, 0),
    activations: statistics.tensors.size,
    ...rows,
    seconds: host.now() - start,
    warnings: nonFiniteWarnings(statistics),
  };
  return { path: output, report };
}

function merged(host: Host, files: readonly string[]): Statistics {
  const parts = files.map((path) => parseStatistics(host.readStatistics(path), path));
  return mergeStatistics(parts, { complete: true });
}

type Settings = ReturnType<typeof checkOptions<typeof calibrateSchema>>;

async function statisticsOf(host: Host, input: string | undefined, settings: Settings) {
  const { data, samples, outliers, shard, onProgress = () => undefined } = settings;
  if (input === undefined)
    throw new OptionError("model", "left out", "a model, or files to merge (--merge)");
  if (data === undefined)
    throw new OptionError("data", "left out", "a file of texts (--data train.jsonl)");
  const target = targetFor(settings.target, "static");
  const { attention, residual } = choose(target, "static", settings);
  const file = host.open(input);
  try {
    const model = readGraph(file);
    const choices = { outliers, attention, residual };
    prepareCalibrated(model, target, choices);
    return await calibrateSites(host, file, model, operandsOf(findSites(model), target, choices), {
      ...dataOptions(settings, data),
      samples: samples === "all" ? Infinity : samples,
      ...choices,
      shard,
      onProgress,
    });
  } finally {
    file.close();
  }
}
