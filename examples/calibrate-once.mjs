// Calibrates once and quantizes twice from the statistics, without the data: `node examples/calibrate-once.mjs [model] [data]`.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { calibrate, quantize } from "octavo/node";

const demo = fileURLToPath(new URL("demo-reviews", import.meta.url));
const [model = demo, data = join(demo, "reviews.tsv")] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "octavo-"));

try {
  const stats = join(folder, "stats.json");
  const { report } = await calibrate(model, { data, samples: 96, output: stats });
  console.log(`${report.rows} rows, ${statSync(stats).size} bytes of statistics`);

  // The same statistics give any number of quantized models: here one for today's CPUs, and one for those without VNNI.
  for (const reduceRange of [false, true]) {
    const name = reduceRange ? "7-bit weights" : "8-bit weights";
    const output = join(folder, `${reduceRange}.onnx`);
    const quantizedModel = await quantize(model, { mode: "static", stats, reduceRange, output });
    const { sites, check } = quantizedModel.report;
    const int8 = sites.filter((site) => site.runs === "int8").length;
    console.log(`${name}: ${int8} sites in INT8, ${check.snrDb.toFixed(1)} dB`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
