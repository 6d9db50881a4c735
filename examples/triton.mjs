// From a model to a repository for Triton Inference Server: `node examples/triton.mjs [model] [repository]`.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exportTriton, quantize } from "octavo/node";

const demo = fileURLToPath(new URL("demo-reviews", import.meta.url));
const [model = demo, output = join(mkdtempSync(join(tmpdir(), "octavo-")), "repository")] =
  process.argv.slice(2);

// Static: an answer does not depend on the requests that share a batch with it.
const quantizedModel = await quantize(model, {
  mode: "static",
  data: join(demo, "reviews.tsv"),
  samples: 48,
  output: `${output}.onnx`,
});
const { report } = await exportTriton(quantizedModel.path, { output, name: "reviews" });
for (const file of report.files) console.log(file);
console.log(report.startCommand);
console.log(report.requestCommand);
