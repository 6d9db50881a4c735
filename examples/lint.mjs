// What runs in INT8 of a model that someone quantized, and why not the rest: `node examples/lint.mjs [quantized.onnx]`.
// Without a model: a file made for Nvidia GPUs is looked at as onnxruntime's CPU would run it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect, quantize } from "octavo/node";

const demo = fileURLToPath(new URL("demo-reviews", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "octavo-"));

async function forGpu() {
  const output = join(folder, "gpu.onnx");
  const data = join(demo, "reviews.tsv");
  await quantize(demo, { mode: "static", target: "tensorrt", data, samples: 32, output });
  return output;
}

try {
  const { quantized, sites } = await inspect(process.argv[2] ?? (await forGpu()), {
    target: "cpu",
  });
  console.log(quantized ?? "a float model");
  const counts = new Map();
  for (const { runs, reason = "" } of sites) {
    const line = reason === "" ? runs : `${runs}: ${reason}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  for (const [line, count] of counts) console.log(`${count} × ${line}`);
} finally {
  rmSync(folder, { recursive: true });
}
