// The verb optimize: the float model, the same function, in the form that its runtime runs fastest.
import { exportModel } from "../graph/export.js";
import { REPORT_VERSION, type OptimizeReport } from "../report/report.js";
import { floatTarget } from "../targets/all.js";
import { checkQuantized, checkFeeds, checkWarnings } from "../evaluate/check.js";
import { requireFloat } from "../plan/plan-model.js";
import type { Host } from "../host/host.js";
import { optimizeSettings, type OptimizeOptions } from "../options/optimize.js";
import { prepare } from "../plan/prepare.js";
import { undoOnFailure } from "../host/sessions.js";
import { readGraph } from "../host/read-graph.js";

export interface Optimized {
  readonly path: string;
  readonly report: OptimizeReport;
}

/** Throws an OctavoError for everything that is the user's to mend; the result appears whole or not at all. */
export async function optimizeModel(
  host: Host,
  input: string,
  options: OptimizeOptions = {},
): Promise<Optimized> {
  const settings = optimizeSettings(options);
  const { force, signal, onProgress = () => undefined } = settings;
  const target = floatTarget(settings.target);
  const start = host.now();
  const file = host.open(input);
  try {
    const output = settings.output ?? host.beside(file.path, "_optimized");
    host.requireWritable(output, force);
    onProgress({ step: "reading", done: 0, total: 0 });
    const model = readGraph(file);
    requireFloat(model);
    const nodesBefore = [...model.graph.allNodes()].length;
    const { rewrites } = prepare(model, target);
    const nodesAfter = [...model.graph.allNodes()].length;
    const feeds = settings.check ? checkFeeds(model, settings.seed) : [];
    const bytesBefore = file.bytes();
    const afterRead = host.now();

    signal?.throwIfAborted();
    onProgress({ step: "writing", done: 0, total: 0 });
    const written = host.write(output, exportModel(model), { force, external: file.external });
    const afterWrite = host.now();

    const check = await undoOnFailure(host, written.files, async () => {
      if (!settings.check) return undefined;
      onProgress({ step: "checking", done: 0, total: 0 });
      return checkQuantized(host, file.path, output, { feeds, inputs: "synthetic", signal });
    });
    const end = host.now();
    const report: OptimizeReport = {
      version: REPORT_VERSION,
      command: "optimize",
      model: file.path,
      output,
      target: target.name,
      bytesBefore,
      bytesAfter: written.bytes,
      nodesBefore,
      nodesAfter,
      rewrites,
      seconds: {
        read: afterRead - start,
        write: afterWrite - afterRead,
        ...(check === undefined ? {} : { check: end - afterWrite }),
      },
      ...(check === undefined ? {} : { check }),
      warnings: check === undefined ? [] : checkWarnings(check),
    };
    return { path: output, report };
  } finally {
    file.close();
  }
}
