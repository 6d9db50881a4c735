// Ranges found beforehand, on texts: `node examples/static.mjs [model] [data]`. The default data is a part of the demo's own reviews.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { OctavoError, quantize } from "octavo/node";

const demo = fileURLToPath(new URL("demo-reviews", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "octavo-"));
const [model = demo, data = firstReviews(join(folder, "train.jsonl"), 128)] = process.argv.slice(2);

/** Rows of the demo's table as JSON Lines, one object with a "text" on each. */
function firstReviews(path, count) {
  const [, ...rows] = readFileSync(join(demo, "reviews.tsv"), "utf8").trimEnd().split("\n");
  const lines = rows.slice(0, count).map((row) => JSON.stringify({ text: row.split("\t")[0] }));
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
}

try {
  const { report } = await quantize(model, {
    mode: "static",
    data,
    samples: 128,
    output: join(folder, "static.onnx"),
    onProgress: ({ step, done, total }) => {
      if (total > 0 && done === total) console.error(`${step}: ${total} batches`);
    },
  });
  const { rows, smoothed, activations } = report.calibration;
  console.log(`${rows} rows; ${smoothed} of ${activations} activations smoothed`);
  console.log(`${((report.bytesAfter / report.bytesBefore) * 100).toFixed(1)} % of the size`);
  console.log(`${report.check?.snrDb?.toFixed(1)} dB signal-to-noise on dummy inputs`);
  for (const warning of report.warnings) console.warn(warning);
} catch (error) {
  if (!(error instanceof OctavoError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
