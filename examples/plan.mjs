// Decides what runs in 8 bits: a plan is written, edited and passed back. `node examples/plan.mjs [model]`.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect, quantize } from "octavo/node";

const model = process.argv[2] ?? fileURLToPath(new URL("demo-reviews", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "octavo-"));
const plan = join(folder, "plan.json");

try {
  const first = await quantize(model, {
    output: join(folder, "default.onnx"),
    writePlan: plan,
  });

  // A plan is JSON: keep the last linear layer that runs in INT8 in float.
  const edited = JSON.parse(readFileSync(plan, "utf8"));
  const last = first.report.sites.findLast((site) => site.runs === "int8");
  edited.sites[last.name] = { kind: last.kind, quantize: false, reason: "kept by hand" };
  writeFileSync(plan, JSON.stringify(edited, undefined, 2));

  // What would become of the sites; nothing is written.
  const { sites } = await inspect(model, { plan });
  const kept = sites.find((site) => site.name === last.name);
  console.log(`${kept.name}: ${kept.runs} (${kept.reason})`);

  const second = await quantize(model, { output: join(folder, "edited.onnx"), plan });
  for (const { report } of [first, second])
    console.log(`${report.bytesAfter} bytes, ${report.check.snrDb.toFixed(1)} dB`);
} finally {
  rmSync(folder, { recursive: true });
}
