// Quantizes a model and reads the report: `node examples/quantize.mjs [model] [output]`.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { OctavoError, quantize } from "octavo/node";

const demo = fileURLToPath(new URL("demo-reviews", import.meta.url));
const [
  model = demo,
  output = join(mkdtempSync(join(tmpdir(), "octavo-")), "model_quantized.onnx"),
] = process.argv.slice(2);

try {
  const { path, report } = await quantize(model, {
    mode: "dynamic",
    target: "cpu",
    output,
    onProgress: ({ step }) => console.error(`${step} …`),
  });
  const count = (runs) => report.sites.filter((site) => site.runs === runs).length;
  console.log(
    `${path}: ${((report.bytesAfter / report.bytesBefore) * 100).toFixed(1)} % of the size`,
  );
  console.log(`${count("int8")} products run in INT8, ${count("float")} sites stay in float`);
  console.log(`${report.check?.snrDb?.toFixed(1)} dB signal-to-noise against the float model`);
  for (const warning of report.warnings) console.warn(warning);
} catch (error) {
  // Everything that is the caller's to mend is an OctavoError; its message says what to do.
  if (!(error instanceof OctavoError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
