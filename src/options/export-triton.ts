// Options of export-triton.
import * as v from "valibot";
import type { TargetName } from "../targets/all.js";
import { checkOptions } from "./check.js";
import { EXPORT_TRITON_DEFAULTS as DEFAULTS } from "./defaults.js";
import { calls, path, schemaOf, target, whole } from "./fields.js";
import type { CallOptions } from "./groups.js";

export interface ExportTritonOptions extends CallOptions {
  /** The model repository; the model becomes a folder in it. */
  readonly output: string;
  /** The model's name on the server: letters, digits, `.`, `-` and `_`. Left out: that of its folder or file. */
  readonly name?: string | undefined;
  /**
   * What the server runs the model with: `"tensorrt"` on a GPU, else onnxruntime or OpenVINO on the CPU.
   * @default "cpu"
   */
  readonly target?: TargetName | undefined;
  /**
   * Requests that the server may put together at most; 0: none.
   * @default 32
   */
  readonly maxBatch?: number | undefined;
  /**
   * Overwrite an existing model of this name.
   * @default false
   */
  readonly force?: boolean | undefined;
}

const schema = schemaOf<ExportTritonOptions>()({
  ...calls,
  target: v.optional(target, DEFAULTS.target),
  output: path,
  name: v.optional(v.pipe(v.string(), v.regex(/^\w[\w.-]*$/, "letters, digits, ., - and _"))),
  maxBatch: v.optional(whole, DEFAULTS.maxBatch),
  force: v.optional(v.boolean(), DEFAULTS.force),
});

/** Options with their defaults. Throws OptionError. */
export function exportTritonSettings(options: ExportTritonOptions): v.InferOutput<typeof schema> {
  return checkOptions(schema, options);
}
