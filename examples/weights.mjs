// Weights alone: four or eight bits in the file, float activations. `node examples/weights.mjs [model] [data]`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { quantize } from "octavo/node";

const demo = fileURLToPath(new URL("demo-reviews", import.meta.url));
const [model = demo, data = join(demo, "reviews.tsv")] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "octavo-"));

try {
  for (const weights of ["int8", "int8-only", "int4"]) {
    const output = join(folder, `${weights}.onnx`);
    // With int4 and int8-only the data serves for the check alone, which reads real texts then.
    const { report } = await quantize(model, { weights, data, samples: 48, output });
    const share = ((report.bytesAfter / report.bytesBefore) * 100).toFixed(1);
    console.log(`${weights}: ${share} % of the size, ${report.check.snrDb.toFixed(1)} dB`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
