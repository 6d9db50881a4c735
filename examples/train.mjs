// Trains the demo's model on some of its reviews, with others to choose the best weights by, and quantizes what came out.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quantize, train } from "octavo/node";

const model = new URL("demo-reviews", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "octavo-train-"));
try {
  const [header, ...rows] = readFileSync(join(model, "reviews.tsv"), "utf8").trimEnd().split("\n");
  const file = (name, part) => {
    writeFileSync(join(folder, name), [header, ...part].join("\n"));
    return join(folder, name);
  };
  const { path, report } = await train(model, {
    data: file("train.tsv", rows.slice(0, 64)),
    evaluate: file("dev.tsv", rows.slice(64, 128)),
    output: join(folder, "tuned"),
    batchSize: 16,
    rate: 1e-5,
  });
  console.log(
    `${report.steps} steps on ${report.rows} rows, loss ${report.losses[0].value.toFixed(3)} at first`,
  );
  console.log(
    `${report.metric}: ${report.scores.map(({ value }) => value.toFixed(3)).join(" → ")}`,
  );

  const small = await quantize(path, { output: join(folder, "small.onnx") });
  console.log(
    `quantized: ${((100 * small.report.bytesAfter) / small.report.bytesBefore).toFixed(1)} % of the size`,
  );
} finally {
  rmSync(folder, { recursive: true });
}
