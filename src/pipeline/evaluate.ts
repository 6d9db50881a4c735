// The verb evaluate: one model on labelled data, by its task.
import { evaluateModel } from "../evaluate/predictions.js";
import { predictionWarnings, prepareEvaluation, runOptions } from "../evaluate/score.js";
import { CONFIDENCE, metricReports } from "../evaluate/significance.js";
import type { Host } from "../host/host.js";
import { withRun } from "../host/run.js";
import { withSession } from "../host/sessions.js";
import { evaluateSettings, type EvaluateOptions } from "../options/evaluate.js";
import { REPORT_VERSION, type EvaluateReport } from "../report/report.js";

/** Throws an OctavoError for everything that is the user's to mend. */
export async function evaluateFile(
  host: Host,
  input: string,
  options: EvaluateOptions,
): Promise<EvaluateReport> {
  const checked = evaluateSettings(options);
  const settings = { ...checked, onProgress: checked.onProgress ?? (() => undefined) };
  const { seed, onProgress } = settings;
  const start = host.now();
  return withRun(host, input, async (run) => {
    const prepared = await prepareEvaluation(run, settings);
    const { task, tokenizer, records, paths } = prepared;
    const afterRead = host.now();
    onProgress({ step: "loading", done: 0, total: 0 });
    return withSession(host, run.file.path, async (session) => {
      const afterLoad = host.now();
      const evaluated = await evaluateModel(session, tokenizer, task, records, {
        ...runOptions(settings),
        onProgress: (progress) => onProgress({ step: "evaluating", unit: "rows", ...progress }),
      });
      const seconds = host.now() - afterLoad;
      onProgress({ step: "resampling", done: 0, total: 0 });
      return {
        version: REPORT_VERSION,
        command: "evaluate",
        model: run.file.path,
        task: task.name,
        data: paths,
        rows: records.length,
        inputs: evaluated.rows,
        truncated: evaluated.truncated,
        metrics: metricReports(evaluated.measures, records.length, seed),
        confidence: CONFIDENCE,
        seed,
        seconds: { load: afterLoad - afterRead, read: afterRead - start, run: seconds },
        rate: evaluated.rows / seconds,
        warnings: predictionWarnings(evaluated),
      };
    });
  });
}
