// The peers' side of a comparison: onnxruntime's own quantizer, in a Python environment that the caller provides.
import { rmSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { timedProcess, type ProcessRun } from "./machine.js";

export const NO_PEER =
  "No peer was measured: set OCTAVO_PEER_PYTHON to the python of a virtual environment with onnx, onnxruntime and sympy.";

/** The Python to run peers with; undefined where the caller provides none. */
export function peerPython(): string | undefined {
  const python = process.env["OCTAVO_PEER_PYTHON"];
  return python === "" ? undefined : python;
}

export interface PeerReport {
  readonly version: string;
  /** By step: imports, failed (a first attempt), preprocess, strip, quantize. */
  readonly seconds: Readonly<Record<string, number>>;
  readonly notes: readonly string[];
  readonly bytes: number;
}

export interface PeerRun extends ProcessRun {
  readonly report: PeerReport;
  /** Wall seconds without what a failing first attempt cost: what a user pays who knows already. */
  readonly secondsOfUse: number;
}

/** Quantizes `model` to `output` with onnxruntime's quantize_dynamic: INT8 weights, one scale per channel. */
export async function peerDynamic(
  python: string,
  model: string,
  output: string,
  { preprocess }: { preprocess: boolean },
): Promise<PeerRun> {
  const script = fileURLToPath(new URL("peer_dynamic.py", import.meta.url));
  rmSync(output, { force: true });
  const flags = preprocess ? ["--preprocess"] : [];
  const run = await timedProcess(python, [script, resolve(model), resolve(output), ...flags]);
  const report = JSON.parse(run.stdout) as PeerReport;
  return { ...run, report, secondsOfUse: run.seconds - (report.seconds["failed"] ?? 0) };
}
