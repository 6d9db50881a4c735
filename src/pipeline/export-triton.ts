// The verb export-triton: a model, as it is, in a model repository for Triton Inference Server, and how to start it.
import { OptionError } from "../errors.js";
import { importModel } from "../graph/import.js";
import type { Model } from "../graph/model.js";
import { decodeModel } from "../onnx/reader.js";
import { inferTypes } from "../ops/infer.js";
import { quantizedForm } from "../quant/already.js";
import { REPORT_VERSION, type ExportTritonReport } from "../report/report.js";
import { dimsBySize } from "../inputs/dummy-inputs.js";
import { requestCommand, startCommand, type Serving } from "../targets/triton-commands.js";
import { foreignToTensorrt, tritonConfig, tritonModel } from "../targets/triton.js";
import type { DimsOf } from "../targets/target.js";
import { trtexecCommand } from "../targets/trtexec.js";
import type { Host, OpenedModel } from "../host/host.js";
import { withRun } from "../host/run.js";
import { exportTritonSettings, type ExportTritonOptions } from "../options/export-triton.js";

export interface TritonExported {
  /** The model repository. */
  readonly path: string;
  readonly report: ExportTritonReport;
}

/**
 * Writes NAME/config.pbtxt and NAME/1/model.onnx into the repository, whole or not at all; the model's bytes stay what they are, data beside it
 * is taken along. Throws an OctavoError for everything that is the user's to mend, UnsupportedError for inputs that Triton cannot take.
 */
export async function exportTritonModel(
  host: Host,
  input: string,
  options: ExportTritonOptions,
): Promise<TritonExported> {
  const settings = exportTritonSettings(options);
  const { output, target, maxBatch, force, signal, onProgress = () => undefined } = settings;
  const start = host.now();
  return withRun(host, input, async ({ file }) => {
    const name = settings.name ?? nameFor(host, file);
    const folder = host.join(output, name);
    const config = host.join(folder, "config.pbtxt");
    const path = host.join(folder, "1", "model.onnx");
    for (const each of [config, path]) host.requireWritable(each, force);
    onProgress({ step: "reading", done: 0, total: 0 });
    const proto = decodeModel(file.source);
    const model = importModel(proto, file.external);
    inferTypes(model);
    const served = tritonModel(model);
    const batched = served.unbatched === undefined && maxBatch > 0;
    const dimsOf: DimsOf = dimsBySize(model);
    const text = tritonConfig(model, { name, target, maxBatch, dimsOf });

    signal?.throwIfAborted();
    onProgress({ step: "writing", done: 0, total: 0 });
    const written = host.write(path, proto, {
      force,
      external: file.external,
      texts: [{ path: config, text }],
    });
    const report: ExportTritonReport = {
      version: REPORT_VERSION,
      command: "export-triton",
      model: file.path,
      output,
      name,
      target,
      files: written.files,
      bytes: written.bytes,
      maxBatch: batched ? maxBatch : 0,
      ...commandsFor(model, served, {
        path,
        target,
        dimsOf,
        serving: { name, repository: host.absolute(output), gpu: target === "tensorrt" },
        maxBatch: batched ? maxBatch : undefined,
      }),
      seconds: host.now() - start,
      warnings: [...warningsFor(model, target, batched), ...unbatchedWarning(served.unbatched)],
    };
    return { path: output, report };
  });
}

/** How the server is started and asked, and the engine built where there is one. */
function commandsFor(
  model: Model,
  { inputs }: ReturnType<typeof tritonModel>,
  how: {
    readonly path: string;
    readonly target: string;
    readonly dimsOf: DimsOf;
    readonly serving: Serving;
    readonly maxBatch: number | undefined;
  },
): Pick<ExportTritonReport, "startCommand" | "requestCommand" | "engineCommand"> {
  const { path, target, dimsOf, serving, maxBatch } = how;
  const commands = {
    startCommand: startCommand(serving),
    requestCommand: requestCommand(serving, inputs, dimsOf),
  };
  if (target !== "tensorrt") return commands;
  const engine = {
    path,
    dimsOf,
    maxBatch,
    // Such a file holds the types of all that it does.
    fp16: [...model.graph.initializers()].some(({ dtype }) => dtype === "float16"),
  };
  return { ...commands, engineCommand: trtexecCommand(engine) };
}

/** `bert-sst2` of `bert-sst2/onnx/model.onnx`; a file outside of a model's folder lends its own name. */
function nameFor(host: Host, { path, folder }: OpenedModel): string {
  const parts = host.absolute(folder ?? path).split(/[\\/]+/);
  const name = (parts.at(-1) ?? "").replace(/\.onnx$/, "");
  if (/^\w[\w.-]*$/.test(name)) return name;
  throw new OptionError(
    "name",
    `taken from "${name}"`,
    "letters, digits, ., - and _ (give it as {name})",
  );
}

function warningsFor(model: Model, target: string, batched: boolean): string[] {
  const warnings: string[] = [];
  const form = quantizedForm(model);
  if (form === undefined)
    warnings.push(
      "This is the float model. To serve an INT8 model, name its file, such as onnx/model_quantized.onnx.",
    );
  const foreign = target === "tensorrt" ? foreignToTensorrt(model) : "";
  if (foreign !== "")
    warnings.push(
      `TensorRT has no ${foreign}: these run outside of it, one by one. Write the quantized model with ` +
        "octavo quantize --mode static --target tensorrt.",
    );
  if (batched && form?.includes("DynamicQuantizeLinear") === true)
    warnings.push(
      "The ranges of this dynamic model are found over a whole batch, so an answer depends a little on the requests that share it. " +
        "Static models answer the same always; --max-batch 1 keeps requests apart.",
    );
  return warnings;
}

function unbatchedWarning(reason: string | undefined): string[] {
  return reason === undefined
    ? []
    : [`Requests are not put together into batches (max_batch_size 0): ${reason}.`];
}
