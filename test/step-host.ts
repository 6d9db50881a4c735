// What single steps of the pipeline need of a host in tests: the runtime, and models in temporary files; anything else is missing.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunData } from "../src/data/run-data.js";
import type { Host, OpenedModel } from "../src/host/host.js";
import type { Run } from "../src/host/run.js";
import { writeModelFile } from "../src/onnx/files.js";
import { ortNode } from "../src/runtime/ort-node.js";

const parts: Pick<Host, "runtime" | "writeTemporary"> = {
  runtime: ortNode,
  writeTemporary(model) {
    const folder = mkdtempSync(join(tmpdir(), "octavo-step-"));
    const path = join(folder, "model.onnx");
    writeModelFile(path, model);
    return { path, release: () => rmSync(folder, { recursive: true }) };
  },
};

export const stepHost = parts as Host;

/** A model that is in memory alone. */
const inMemory = {
  path: "memory",
  folder: undefined,
  external: undefined,
} as unknown as OpenedModel;

/** A run of a step on that model. */
export const runOn = (host: Host = stepHost): Run => ({
  host,
  file: inMemory,
  data: new RunData(host),
});
