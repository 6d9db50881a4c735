// For an Nvidia GPU: explicit Q/DQ, and the command that builds the engine there. `node examples/tensorrt.mjs [model] [data] [output]`.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { OctavoError, quantize } from "octavo/node";

const demo = fileURLToPath(new URL("demo-reviews", import.meta.url));
const [
  model = demo,
  data = join(demo, "reviews.tsv"),
  output = join(mkdtempSync(join(tmpdir(), "octavo-")), "gpu.onnx"),
] = process.argv.slice(2);

// A GPU has no dynamic quantization; asking for it is an error that says what to use.
try {
  await quantize(model, { target: "tensorrt", output });
} catch (error) {
  if (!(error instanceof OctavoError)) throw error;
  console.log(`${error.code}: ${error.message}`);
}

const { report } = await quantize(model, {
  mode: "static",
  target: "tensorrt",
  data,
  samples: 48,
  output,
});
const counts = new Map();
for (const { kind, runs } of report.sites)
  if (runs === "int8") counts.set(kind, (counts.get(kind) ?? 0) + 1);
for (const [kind, count] of counts) console.log(`${count} × ${kind} in INT8`);
console.log(report.nextCommand);
